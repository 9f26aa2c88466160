"""What users call: search for a model, evaluate it, use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from everloop.core.progress import silent
from everloop.core.tasks import TASKS
from everloop.core.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.core.progress import Progress
    from everloop.model.evaluation import Evaluation
    from everloop.model.explanation import Explanation
    from everloop.model.judged import Judged
    from everloop.model.searching import Budget
    from everloop.model.trained import Trained
    from everloop.model.training_inputs import Parts
    from everloop.spec.frame import Frame


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be asked: a thin face of `trained.Trained`.

    Attributes:
        trained: The typed artifact behind it.
    """

    trained: Trained

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of `predict_proba`; empty for a number."""
        return tuple(self.trained.frame.classes)

    @property
    def evaluation(self) -> Evaluation | None:
        """How it does on rows that it had not seen."""
        return self.trained.evaluation

    def predict(self, table: Any) -> NDArray[Any]:
        """Gives a label, or a number, for each row of a table: (n,)."""
        return self.trained.predict(_frame_of(table))

    def predict_proba(self, table: Any) -> NDArray[np.float64]:
        """Gives the chance of each class: (n, classes).

        Raises:
            ModelFault: When the model predicts a number.
        """
        return self.trained.predict_proba(_frame_of(table))

    def package(self, folder: Path | str, **options: Any) -> Any:
        """Makes a package of it; see `everloop.model.package`."""
        from everloop.model import package as make

        return make(self, folder, **options)

    def save(self, folder: Path | str) -> Path:
        """Writes it into a folder, from which `load` reads it again."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        return self.trained.save(path)

    @classmethod
    def load(cls, folder: Path | str) -> Model:
        """Reads a folder that `save` wrote.

        Raises:
            ModelFault: When there is no trained model in it, or a damaged one.
        """
        from everloop.model.trained import Trained

        return cls(Trained.load(folder))

    def to_dict(self) -> dict[str, Any]:
        """Gives what is known of it, as what JSON can carry."""
        from everloop.core.values import to_jsonable

        one = self.trained
        return dict(
            to_jsonable(
                {
                    "learner": one.learner,
                    "configuration": one.configuration,
                    "task": one.frame.task,
                    "classes": one.frame.classes,
                    "metric": one.frame.metric,
                    "threshold": one.threshold,
                    "threshold_reason": one.threshold_reason,
                    "features": one.features,
                    "trials": one.trials,
                    "evaluation": one.evaluation,
                }
            )
        )

    def __str__(self) -> str:
        score = f", {self.trained.frame.metric} {self.evaluation.score}" if self.evaluation else ""
        frame = self.trained.frame
        about = f" for {frame.target!r}" if frame.is_labelled else ""
        return f"{self.trained.learner}{about} ({frame.task}{score})"

    def _repr_html_(self) -> str:
        from html import escape

        rows = [
            ("model", str(self)),
            ("threshold", f"{self.trained.threshold} {self.trained.threshold_reason}"),
        ]
        if self.evaluation is not None:
            rows += [(name, str(interval)) for name, interval in self.evaluation.metrics.items()]
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
        return f"<table>{cells}</table>"


def search(  # noqa: PLR0913  (what a search may be told, each with a default)
    table: Any,
    target: str | None = None,
    metric: str | None = None,
    budget: str | float | Mapping[str, int] = "60s",
    seed: int = 0,
    *,
    learners: tuple[str, ...] | list[str] = (),
    time: str | None = None,
    task: str | None = None,
    frame: Frame | None = None,
    select_features: bool = True,
    progress: Progress = silent,
) -> Model:
    """Searches for the best model of any table.

    Every row is learned from: trials are judged on folds, and the evaluation is that of the winner
    on the folds. Keep rows aside for a judgement that no choice has touched. Rows to come are taken to be
    drawn as these were, so equal rows are divided like any: what repeats here will repeat. A lifecycle, and
    a `Dataset`, keep them together, in one part and in one fold.

    Args:
        table: Polars, pandas, Arrow, DuckDB or a path; never changed. Of a `table.dataset.Dataset` the
            parts are used for what they are.
        target: The column to predict; may be left out where `frame` says it, and where `task` has none.
        metric: What to optimise; by default ``roc_auc``, ``log_loss``, ``rmse``, or what the task has.
        budget: ``"60s"``, a number of seconds, or ``{"trials": 20}``, which makes it deterministic.
        seed: What all chance is drawn from.
        learners: Names; empty means all that ship.
        time: The column that orders the rows: then every fold learns from the past alone.
        task: ``clustering``, or ``anomaly``, whose target, where there is one, chooses and judges and is
            not learned from; otherwise the task follows from the target.
        frame: The problem, where it was framed before.
        select_features: Whether columns that do not help are left out.
        progress: Told what happens.

    Returns:
        The model.

    Raises:
        DataFault: When the table cannot be learned from.
        ModelFault: When a learner is not known.
        TrainingFailed: When no trial came to a model.
    """
    started = perf_counter()  # the budget pays for libraries that are loaded too
    from dataclasses import replace

    from everloop.measure.metrics import metric_named
    from everloop.measure.recommendation import longest_list
    from everloop.model.quick_frame import quick_frame
    from everloop.model.readings import read_texts
    from everloop.model.training import train_task
    from everloop.model.training_inputs import TrainingSettings
    from everloop.table.dataset import Dataset

    parts = _parts_of(table)
    if metric is not None:
        metric_named(metric)
    if frame is None:
        frame = quick_frame(parts.train, target, task=task, metric=metric, time=time)
    elif metric is not None:
        frame = replace(frame, metric=metric)
    _require_metric_of_task(frame)
    if not isinstance(table, Dataset):
        parts = read_texts(parts, frame)
    settings = TrainingSettings(
        learners=tuple(learners),
        budget=_budget(budget),
        by="time" if frame.time else "stratified",
        twins=isinstance(table, Dataset),
        select=select_features,
        seed=seed,
        listed=longest_list((frame.metric,)),
    )
    return Model(train_task(parts, frame, settings, progress=progress, started=started))


def evaluate(model: Model | Trained, table: Any) -> Evaluation:
    """Evaluates a model on the labelled rows of a table.

    Args:
        model: What to evaluate.
        table: Rows with the target among the columns, where the problem has one.

    Raises:
        DataFault: When the target is missing from the table, or from every row of it.
    """
    from everloop.model.evaluating import evaluate as evaluate_judged

    trained = model.trained if isinstance(model, Model) else model
    if not TASKS[trained.frame.task].supervised:
        from everloop.model.unsupervised import evaluate_rows

        return evaluate_rows(trained, _frame_of(table))
    return evaluate_judged(_judged(trained, table))


def explain(model: Model | Trained, table: Any) -> Explanation:
    """Explains a model from the labelled rows of a table, best such as it did not learn from.

    Args:
        model: What to explain.
        table: Rows with the target among the columns.

    Returns:
        What each column does to the scores (Shapley values), how the scores go over the strongest columns,
        and what missing, noisy and unknown inputs cost.

    Raises:
        DataFault: When the target is missing from the table, or from every row of it.
    """
    from everloop.model.explaining import explain as explain_judged

    trained = model.trained if isinstance(model, Model) else model
    return explain_judged(_judged(trained, table), trained.scores, trained.columns)


def _judged(trained: Trained, table: Any) -> Judged:
    from everloop.core.errors import DataFault
    from everloop.model.deciding import judged_rows
    from everloop.model.targets import judged_by
    from everloop.model.training_inputs import Stakes, TrainingSettings

    rows, actual = judged_by(_frame_of(table), trained.frame)
    if not len(actual):
        raise DataFault(f"No row has the target {trained.frame.target!r}: there is nothing to judge by.")
    return judged_rows(trained, rows, trained.scores(rows), actual, TrainingSettings(), Stakes(), "table")


def _require_metric_of_task(frame: Frame) -> None:
    from everloop.core.errors import SpecFault
    from everloop.measure.metrics import metric_named, metrics_of

    if frame.task not in metric_named(frame.metric).tasks:
        known = ", ".join(one.name for one in metrics_of(frame.task))
        raise SpecFault(
            f"The metric {frame.metric!r} does not judge a {frame.task} problem; these do: {known}."
        )


def _budget(given: str | float | Mapping[str, int]) -> Budget:
    from everloop.core.errors import UsageFault
    from everloop.model.searching import Budget

    if isinstance(given, str):
        return Budget(seconds=parse_duration(given).total_seconds())
    if isinstance(given, (int, float)):
        return Budget(seconds=float(given))
    unknown = sorted(set(given) - {"seconds", "trials"})
    if unknown:
        raise UsageFault(
            f"A budget is seconds or trials, not {', '.join(unknown)}.",
            hint='budget="2m", or budget={"trials": 50}',
        )
    return Budget(**given)


def _parts_of(table: Any) -> Parts:
    from everloop.model.training_inputs import Parts, parts_of
    from everloop.table.dataset import Dataset

    if not isinstance(table, Dataset):
        return Parts(_frame_of(table))
    return parts_of(table)


def _frame_of(table: Any) -> Any:
    from everloop.table.tables import as_frame

    return as_frame(table)
