"""What the engine runs for the model phase."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from everloop.core.files import write_file
from everloop.core.progress import silent
from everloop.core.tasks import LISTED_ITEMS
from everloop.core.values import to_jsonable
from everloop.model.budget import Budget
from everloop.model.deciding import judged_rows
from everloop.model.train import counted
from everloop.model.trained import digest_of_saved
from everloop.model.training import train_task
from everloop.model.training_inputs import Stakes, TrainingSettings, parts_of
from everloop.runtime.decision import PLAIN
from everloop.spec import GoalSpec, ModelSpec, ProblemSpec
from everloop.spec.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from everloop.core.progress import Progress
    from everloop.measure.worth import Worth
    from everloop.model.trained import Trained
    from everloop.table.dataset import Dataset

JOURNAL_FILE = "trials.jsonl"
EXPLANATION_FILE = "explanation.json"


def train_step(
    folder: Path,
    settings: dict[str, Any],
    inputs: dict[str, Path],
    progress: Progress = silent,
    journal: Path | None = None,
) -> dict[str, Any]:
    """Trains a model on a dataset and writes it into the folder, as `Trained.load` reads it.

    Args:
        folder: Where the model is written.
        settings: The file's parts `goal`, `problem`, `data` and `model`, as JSON; `half_life`, in seconds,
            where rows are weighed by their age; `listed`, where a metric asks for longer lists than usual;
            `shown`, False where nobody looks at the evaluation.
        inputs: `dataset`, the folder of the dataset; `frame`, the folder of the frame.
        progress: Told what happens.
        journal: The file of trials that an earlier attempt finished, which stays; without one they are not
            kept.

    Returns:
        Facts for the record; ``digest`` is the same for the same inputs, settings and seed.
    """
    from everloop.table.dataset import Dataset

    frame = Frame.load(inputs["frame"])
    dataset = Dataset.load(inputs["dataset"])
    parts = parts_of(dataset)
    goal = GoalSpec.model_validate(settings["goal"])
    trained = train_task(
        parts,
        frame,
        training_settings(settings, dataset),
        stakes=stakes_of(goal, frame),
        journal=journal,
        progress=progress,
    )
    trained.save(folder)
    return facts_of(trained, digest_of_saved(folder)) | {"outlook": outlook_of(goal, trained, settings)}


def explain_step(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> dict[str, Any]:
    """Explains what was trained, from the rows that it did not learn from.

    Args:
        folder: Gets `explanation.json`.
        settings: The file's part `goal`, as JSON.
        inputs: `trained`, `dataset`.

    Returns:
        The explanation, as `Explanation.to_dict` gives it.
    """
    from everloop.model.explaining import explain
    from everloop.model.targets import judged_by
    from everloop.model.trained import Trained
    from everloop.table.dataset import Dataset

    trained = Trained.load(inputs["trained"])
    dataset = Dataset.load(inputs["dataset"])
    parts = counted(parts_of(dataset), trained.frame)
    held_out = parts.test if parts.test is not None else parts.validation
    rows, actual = judged_by(parts.train if held_out is None else held_out, trained.frame)
    stakes = stakes_of(GoalSpec.model_validate(settings["goal"]), trained.frame)
    scores = trained.scores(rows)
    judged = judged_rows(trained, rows, scores, actual, TrainingSettings(), stakes, "test")
    found = explain(judged, trained.scores, trained.columns).to_dict()
    write_file(folder / EXPLANATION_FILE, json.dumps(found, indent=1).encode())
    return found


def training_settings(settings: dict[str, Any], dataset: Dataset) -> TrainingSettings:
    """Reads what a training is asked for from the parts of the lifecycle file.

    Folds are divided as the dataset was: by the same rule, with the same groups whole.
    """
    goal = GoalSpec.model_validate(settings["goal"])
    problem = ProblemSpec.model_validate(settings["problem"])
    model = ModelSpec.model_validate(settings["model"])
    return TrainingSettings(
        learners=tuple(model.learners),
        budget=Budget(seconds=model.budget.seconds, trials=model.budget.trials),
        by=dataset.split.get("by", "stratified"),
        group=dataset.split.get("group"),
        select=model.select_features,
        required={**goal.bounds, **problem.require},
        segments=goal.segments,
        fairness=dict(model.fairness),
        mitigate=model.mitigate,
        seed=model.seed,
        max_latency=model.max_latency,
        max_size=model.max_size,
        feature_costs=dict(goal.costs.features),
        half_life=timedelta(seconds=settings["half_life"]) if "half_life" in settings else None,
        tuner=model.tuner,
        listed=settings.get("listed", LISTED_ITEMS),
        shown=settings.get("shown", True),
    )


def stakes_of(goal: GoalSpec, frame: Frame) -> Stakes:
    """Gives what decisions are worth, as functions of rows, from the goal."""
    from everloop.table.worth import PRICED_TASKS, worth_of

    if goal.value is None:
        return Stakes()
    if frame.task not in PRICED_TASKS:
        return _stakes_without_actuals(goal, frame)
    rule = goal.today

    def worth(table: pl.DataFrame) -> Worth | None:
        return worth_of(goal.value, frame, table)

    today: Callable[[pl.DataFrame], NDArray[Any]] | None = None
    if rule is not None:
        from everloop.table.today import today_decisions

        def today(table: pl.DataFrame) -> NDArray[Any]:
            return today_decisions(rule, table, frame)

    return Stakes(worth, today)


def _stakes_without_actuals(goal: GoalSpec, frame: Frame) -> Stakes:
    """Gives what lists, and what acting on clusters, are worth: priced by later events or the row itself."""
    from everloop.table import acting, list_worth

    if frame.task == list_worth.TASK:
        return Stakes(lists=lambda table: list_worth.list_worth_of(goal.value, frame, table))
    if frame.task == acting.TASK:
        return Stakes(acting=lambda table: acting.acting_of(goal, frame, table))
    return Stakes()


def outlook_of(goal: GoalSpec, trained: Trained, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Carries the gain on held-out rows on to a month; None where it is not known.

    Training is priced by its budget, since how long it took is no part of what makes two trainings equal.
    """
    from everloop.measure.payback import outlook

    if trained.evaluation is None or trained.evaluation.gain is None:
        return None
    monthly = None if goal.volume is None else goal.volume.per_month
    seconds = ModelSpec.model_validate(settings["model"]).budget.seconds or 0.0
    found = outlook(
        trained.evaluation.gain,
        per_month=monthly,
        cost_per_month=(monthly or 0.0) / 1000 * goal.costs.per_1000_predictions,
        upfront=goal.costs.training_hour * seconds / 3600,
    )
    return dict(to_jsonable(found.to_dict()))


def facts_of(trained: Trained, digest: str) -> dict[str, Any]:
    """Gives what the record keeps of a training."""
    evaluation = trained.evaluation
    facts = {
        "learner": trained.learner,
        "configuration": trained.configuration,
        "seed": trained.seed,
        "threshold": trained.threshold,
        "threshold_reason": trained.threshold_reason,
        "decision": None if trained.decision == PLAIN else trained.decision,
        "calibrated": trained.calibration is not None,
        "features": [choice.name for choice in trained.features if choice.kept],
        "left_out": {choice.name: choice.reason for choice in trained.features if not choice.kept},
        "notes": trained.notes,
        "fitted_apart": trained.fitted_apart,
        "trials": len(trained.trials),
        "failed_trials": {
            str(trial.number): f"{trial.learner}: {trial.error}"
            for trial in trained.trials
            if trial.error and not trial.pruned
        },
        "pruned_trials": sum(trial.pruned for trial in trained.trials),
        "learners_tried": sorted({one.learner for one in trained.trials if one.error is None or one.pruned}),
        "digest": digest,
    }
    if evaluation is not None:
        facts |= {
            "evaluated_on": evaluation.part,
            "metric": evaluation.metric,
            "metrics": evaluation.metrics,
            "value": evaluation.value,
            "value_today": evaluation.value_today,
            "gain": evaluation.gain,
            "requirements": evaluation.requirements,
            "mitigation": evaluation.mitigation,
        }
    return dict(to_jsonable(facts))
