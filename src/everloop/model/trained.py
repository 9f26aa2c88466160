"""What training leaves: a fitted preparation, an estimator, and everything that led to them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from everloop.core.digest import digest_file
from everloop.core.errors import ModelFault
from everloop.core.files import write_file
from everloop.core.tasks import decides_by
from everloop.core.values import to_jsonable
from everloop.measure.calibration import Sigmoid
from everloop.model.estimator_file import load_estimator, save_estimator
from everloop.model.evaluation import Evaluation
from everloop.model.scoring import calibrated, labels_of, raw_scores
from everloop.runtime.decision import PLAIN, DecisionRule, decisions_of
from everloop.runtime.plan import Plan
from everloop.spec.frame import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRUNED = "pruned"
"""How the reason of a trial begins that was left because others were better on the same folds."""

FORMAT = 1
_TIMINGS = "timings.json"


@dataclass(frozen=True, slots=True)
class Trial:
    """One learner with one configuration, scored on folds.

    Attributes:
        number: Its place in the search, from 0.
        learner: The learner's name.
        configuration: What the learner was given.
        score: The mean of the metric over the folds; None when the trial failed.
        fold_scores: The metric on each fold.
        rows: How many training rows the trial was given (fewer on a low rung).
        rounds: How many rounds were best, the mean over the folds; None for a learner that has none.
        error: Why it failed or was pruned, where it was.
        seconds: How long it took; not part of what makes two searches equal.
    """

    number: int
    learner: str
    configuration: dict[str, Any]
    score: float | None
    fold_scores: tuple[float, ...] = ()
    rows: int = 0
    rounds: int | None = None
    error: str | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def pruned(self) -> bool:
        """Whether it was left because others were better on the same folds."""
        return (self.error or "").startswith(PRUNED)

    @property
    def ending(self) -> str:
        """Why it has no score, in a sentence; the empty text where it has one."""
        if self.error is None or self.pruned:
            return self.error or ""
        return f"failed: {self.error}"

    @property
    def refit_configuration(self) -> dict[str, Any]:
        """What the learner is given to learn from all rows: it stops where it was best on the folds."""
        return (
            dict(self.configuration) if self.rounds is None else {**self.configuration, "rounds": self.rounds}
        )


@dataclass(frozen=True, slots=True)
class FeatureChoice:
    """Whether a column became a feature, and why.

    Attributes:
        name: The column.
        kept: Whether the model reads it.
        reason: Why, in a sentence.
        gain: What the metric loses on held-out rows when the column is shuffled, where it was measured.
    """

    name: str
    kept: bool
    reason: str
    gain: float | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model: the typed artifact of the model phase.

    The path of a row is ``encode_table(plan, table)`` to (n, width) doubles, the estimator's raw score
    (`scoring.raw_scores`), the calibration, the threshold. A package compiles exactly this path.

    Attributes:
        frame: The problem it answers.
        plan: The fitted preparation.
        learner: The name of the learner.
        configuration: What the learner was given.
        estimator: The fitted estimator; fitted on class indices in the order of ``frame.classes``.
        target_type: ``boolean``, ``integer``, ``number`` or ``text``: what predictions are given as.
        seed: What all chance was drawn from.
        calibration: For binary, applied to the raw chance of the positive class; None leaves it.
        threshold: For binary: positive where the calibrated score is at least this.
        threshold_reason: How the threshold, or what decides in its place, was chosen.
        decision: What decides beyond the threshold.
        trials: Every trial of the search, failed ones included.
        features: Every input column, kept or not, with its reason.
        notes: What else the search decided, in sentences.
        fitted_apart: The proof that the preparation was fitted on the rows learned from alone.
        evaluation: How it does on the test part; None where there was none.
        held_out_scores: Calibrated scores of rows that the estimator's twin had not seen.
        held_out_actual: Their actuals: class indices or numbers.
    """

    frame: Frame
    plan: Plan
    learner: str
    configuration: dict[str, Any]
    estimator: Any = field(compare=False)
    target_type: str = "text"
    seed: int = 0
    calibration: Sigmoid | None = None
    threshold: float | None = None
    threshold_reason: str = ""
    decision: DecisionRule = PLAIN
    trials: tuple[Trial, ...] = ()
    features: tuple[FeatureChoice, ...] = ()
    notes: tuple[str, ...] = ()
    fitted_apart: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    held_out_scores: NDArray[np.float64] | None = field(default=None, compare=False)
    held_out_actual: NDArray[np.float64] | None = field(default=None, compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that the model reads."""
        return tuple(item.name for item in self.plan.inputs)

    def encode(self, table: Any) -> NDArray[np.float64]:
        """Gives the rows of a table as the estimator reads them, (n, width)."""
        from everloop.runtime.plan_table import encode_table

        return np.asarray(encode_table(self.plan, table), dtype=np.float64)

    def scores(self, table: Any) -> NDArray[np.float64]:
        """Scores a table: as `scoring.raw_scores`, then calibrated."""
        return calibrated(raw_scores(self.estimator, self.encode(table), self.frame), self.calibration)

    def predict(self, table: Any) -> NDArray[Any]:
        """Gives a label in the target's own type, or a number, for each row: (n,)."""
        decisions = self.decide(self.scores(table), table)
        if decides_by(self.frame.task, "number"):
            return decisions
        return labels_of(decisions, self.frame.classes, self.target_type)

    def decide(self, scores: NDArray[np.float64], table: Any) -> NDArray[Any]:
        """Turns the scores of a table's rows into class positions or numbers, (n,)."""
        return decisions_of(scores, table, self.frame.task, self.threshold, self.decision)

    def predict_proba(self, table: Any) -> NDArray[np.float64]:
        """Gives the chance of each class, (n, classes), in the order of ``frame.classes``.

        Raises:
            ModelFault: When the model predicts a number, or says how unusual a row is.
        """
        if self.frame.task in ("regression", "anomaly"):
            raise ModelFault(f"A model for {self.frame.task} has no class chances; use predict.")
        scores = self.scores(table)
        return np.column_stack([1 - scores, scores]) if self.frame.task == "binary" else scores

    def digest(self) -> str:
        """Gives what two trainings from the same inputs and seed have in common, as sha256."""
        import tempfile

        with tempfile.TemporaryDirectory() as name:
            return digest_of_saved(self.save(Path(name)))

    def save(self, folder: Path) -> Path:
        """Writes the model into a folder; all but ``timings.json`` is the same for the same inputs and seed.

        Raises:
            StorageFull: When the disk has no room.
        """
        save_estimator(self.estimator, folder / "estimator.skops")
        write_file(folder / "plan.json", self.plan.to_json())
        write_file(folder / "trained.json", _json_bytes(self._facts()))
        if self.evaluation is not None:
            write_file(folder / "evaluation.json", _json_bytes(self.evaluation.to_dict()))
        write_file(folder / _TIMINGS, _json_bytes({str(t.number): t.seconds for t in self.trials}))
        for name in ("held_out_scores", "held_out_actual"):
            if (array := getattr(self, name)) is not None:
                write_file(folder / f"{name}.npy", _array_bytes(array))
        return folder

    def _facts(self) -> dict[str, Any]:
        plain = (
            "learner",
            "configuration",
            "target_type",
            "seed",
            "threshold",
            "threshold_reason",
            "notes",
            "fitted_apart",
        )
        trials = [asdict(trial) for trial in self.trials]
        for trial in trials:
            del trial["seconds"]
        return {
            "format": FORMAT,
            **{name: getattr(self, name) for name in plain},
            "decision": self.decision.to_dict(),
            "calibration": asdict(self.calibration) if self.calibration else None,
            "frame": self.frame.to_dict(),
            "features": [asdict(choice) for choice in self.features],
            "trials": trials,
        }

    @classmethod
    def load(cls, folder: Path | str, *, estimator: bool = True) -> Trained:
        """Reads a folder that `save` wrote.

        Args:
            folder: The folder.
            estimator: Whether to read the estimator too, which needs the learner's library; without it the
                model can be told about, but not used.

        Raises:
            ModelFault: When the folder holds no trained model, or a damaged one.
        """
        folder = Path(folder)
        try:
            facts = json.loads((folder / "trained.json").read_bytes())
            return cls._from_facts(folder, facts, estimator=estimator)
        except FileNotFoundError as error:
            raise ModelFault(
                f"{folder} holds no trained model: {Path(error.filename).name} is missing."
            ) from None
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
            raise ModelFault(
                f"The trained model in {folder} is damaged: {error}.", hint="train it again"
            ) from error

    @classmethod
    def _from_facts(cls, folder: Path, facts: dict[str, Any], *, estimator: bool) -> Trained:
        if facts["format"] != FORMAT:
            raise ModelFault(
                f"The trained model in {folder} has format {facts['format']}; this reads {FORMAT}."
            )
        timings = json.loads((folder / _TIMINGS).read_bytes()) if (folder / _TIMINGS).exists() else {}
        evaluation = folder / "evaluation.json"
        plain = ("learner", "configuration", "target_type", "seed", "threshold", "threshold_reason")
        return cls(
            **{name: facts[name] for name in plain},
            decision=msgspec.convert(facts.get("decision", {}), DecisionRule),
            frame=Frame.from_dict(facts["frame"]),
            plan=Plan.load(folder / "plan.json"),
            estimator=load_estimator(folder / "estimator.skops") if estimator else None,
            calibration=Sigmoid(**facts["calibration"]) if facts["calibration"] else None,
            trials=tuple(
                Trial(
                    **{**trial, "fold_scores": tuple(trial["fold_scores"])},
                    seconds=timings.get(str(trial["number"]), 0.0),
                )
                for trial in facts["trials"]
            ),
            features=tuple(FeatureChoice(**choice) for choice in facts["features"]),
            notes=tuple(facts["notes"]),
            fitted_apart=facts.get("fitted_apart", {}),
            evaluation=Evaluation.from_dict(json.loads(evaluation.read_bytes()))
            if evaluation.exists()
            else None,
            held_out_scores=_read_array(folder / "held_out_scores.npy"),
            held_out_actual=_read_array(folder / "held_out_actual.npy"),
        )


def digest_of_saved(folder: Path) -> str:
    """Gives the digest of a saved model's content, its timings left out."""
    from everloop.core.digest import digest_value

    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != _TIMINGS)
    return digest_value({path.name: digest_file(path) for path in files})


def _json_bytes(value: Any) -> bytes:
    return json.dumps(to_jsonable(value), indent=1, sort_keys=True, ensure_ascii=False).encode()


def _array_bytes(array: NDArray[Any]) -> bytes:
    import io

    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()


def _read_array(path: Path) -> NDArray[Any] | None:
    return np.load(path, allow_pickle=False) if path.exists() else None
