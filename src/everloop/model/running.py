"""Trials under way: their folds as tasks for children, their outcomes as a finished trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.metrics import METRICS
from everloop.model.contained import Task
from everloop.model.learners.learner import StopsEarly
from everloop.model.learners.registry import BUILT_IN
from everloop.model.preparation import PreparationSettings
from everloop.model.trained import PRUNED, Trial
from everloop.model.trial import fit_fold, fold_score, judged_positions, largest_fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from everloop.model.contained import Outcome
    from everloop.model.learners.learner import Learner
    from everloop.model.pace import Pace
    from everloop.model.trial import FoldMatrices, Material

FEWEST_COMPARED = 5
HOPELESS = 0.25
"""A trial among the worst of all, this share of them, is left; others may help a mean of several."""

SMALL = 20_000
"""A fit on so few numbers may take less time than a process of its own costs."""

OWN_PROCESS = 0.05
"""Seconds that a process of its own costs; fits that take longer are made side by side."""


def runs_here(learner: Learner, numbers: int) -> bool:
    """Says whether a fit on so many numbers may be made in the process itself."""
    return numbers <= SMALL and learner.name in BUILT_IN and not learner.capabilities.loads


def is_quick(learner: Learner, configuration: dict[str, Any], rows: int, pace: Pace) -> bool:
    """Says whether a fit is over before a process would have begun; of rounds nobody knows until one was.

    Few rows are no short fit: boosting adds a thousand rounds to five hundred rows.
    """
    if isinstance(learner, StopsEarly) and not pace.knows(learner):
        return False
    return pace.of_fit(learner, configuration, rows) <= OWN_PROCESS


@dataclass(frozen=True, slots=True)
class Planned:
    """A trial to make.

    Attributes:
        learner: The learner.
        configuration: What it is given.
        most_rows: Training rows beyond this are left out, evenly over their order.
        may_prune: Whether it is left when it does worse than others on its first folds.
    """

    learner: Learner
    configuration: dict[str, Any]
    most_rows: int
    may_prune: bool = False


@dataclass(slots=True)
class RunningTrial:
    """A trial under way.

    Attributes:
        number: Its number.
        planned: What is made.
        material: What the search works on.
        rivals: Scores on each fold of the trials that were known when it began.
        started: When it began.
        known: What became of it in an earlier attempt; then nothing is to be done.
        outcomes: What became of its folds so far.
        fault: Why it could not even begin.
    """

    number: int
    planned: Planned
    material: Material
    rivals: Sequence[tuple[float, ...]]
    started: float
    known: Trial | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    fault: str | None = None
    begun: int = 0
    rows: int = 0

    @property
    def folds(self) -> int:
        """How many folds it has."""
        return len(self.material.folds)

    @property
    def to_begin(self) -> bool:
        """Whether another fold waits to be started."""
        return self.known is None and self.begun < self.folds and self.stopped() is None

    @property
    def finished(self) -> bool:
        """Whether nothing of it is under way or waits."""
        return len(self.outcomes) == self.begun and not self.to_begin

    def fail(self, reason: str) -> None:
        """Ends it with a reason."""
        self.fault = reason

    def next_task(self, matrices: FoldMatrices, seconds: float, limit: float, *, keep: bool) -> Task:
        """Gives its next fold as a task; fits that can stop do so after `seconds`, others end at `limit`."""
        number, one = self.begun, self.planned
        self.begun += 1
        settings = PreparationSettings.of(one.learner.capabilities, seed=self.material.seed)
        most_rows = min(one.most_rows, one.learner.capabilities.most_rows or one.most_rows)
        encoded = matrices.get(number, settings, most_rows)
        self.rows = max(self.rows, len(encoded.train))
        return Task(
            key=(self.number, number),
            function=lambda: fit_fold(
                one.learner, one.configuration, self.material, encoded, seconds=seconds, keep=keep
            ),
            seconds=limit,
            here=runs_here(one.learner, encoded.X.size),
        )

    def stopped(self) -> str | None:
        """Says why it does not go on: a fold that failed, or others that are better; None when it does."""
        if self.fault is not None:
            return self.fault
        scores: list[float] = []
        for fold in range(self.folds):
            outcome = self.outcomes.get(fold)
            if outcome is None:
                return None
            if outcome.error is not None:
                return outcome.error
            scores.append(self.fold_score(fold))
            if self.planned.may_prune and fold < self.folds - 1 and self._hopeless(scores):
                return f"{PRUNED}: worse than most of the trials on its first {fold + 1} folds"
        return None

    def fold_score(self, fold: int) -> float:
        """Gives the metric on a fold that is done."""
        rows = judged_positions(self.material, fold)
        scores, counts = self.outcomes[fold].values["scores"], self.material.counts_of(rows)
        return fold_score(self.material.frame, self.material.actual[rows], scores, counts)

    def _hopeless(self, scores: list[float]) -> bool:
        whole = [rival[: len(scores)] for rival in self.rivals if len(rival) == self.folds]
        if len(whole) < FEWEST_COMPARED or np.isnan(scores).any():
            return False
        sign = 1.0 if METRICS[self.material.frame.metric].greater_is_better else -1.0
        others = [sign * np.mean(rival) for rival in whole]
        return bool(sign * np.mean(scores) < np.quantile(others, HOPELESS))

    def done(self, seconds: float) -> tuple[Trial, NDArray[np.float64] | None, NDArray[np.uint8] | None]:
        """Gives the finished trial, what its models said of all rows that judge, and a kept estimator."""
        one, error = self.planned, self.stopped()
        blank = Trial(self.number, one.learner.name, one.configuration, None, rows=self.rows, seconds=seconds)
        if error is None and len(self.outcomes) < self.folds:
            error = "out of time before its last fold"
        if error is not None:
            return _failed(blank, error), None, None
        found = [self.outcomes[fold].values for fold in range(self.folds)]
        scores = [self.fold_score(fold) for fold in range(self.folds)]
        defined = tuple(score for score in scores if not np.isnan(score))
        if not defined or not np.isfinite(np.mean(defined)):
            return _failed(blank, f"{self.material.frame.metric} is not defined on any fold"), None, None
        rounds = [each["rounds"] for each in found if each["rounds"] is not None]
        trial = Trial(
            self.number,
            one.learner.name,
            one.configuration,
            float(np.mean(defined)),
            fold_scores=defined,
            rows=self.rows,
            rounds=max(1, round(float(np.mean(rounds)))) if len(rounds) == self.folds else None,
            seconds=seconds,
        )
        said = np.concatenate([each["scores"] for each in found])
        return trial, said, found[largest_fold(self.material)].get("estimator")

    def fit_seconds(self) -> float:
        """Gives the mean seconds of a fit."""
        return float(np.mean([outcome.values["seconds"] for outcome in self.outcomes.values()]))

    def computed_seconds(self) -> float:
        """Gives for how many of them the processor worked, on average; 0 where nothing was fitted."""
        found = [outcome.values["computed"] for outcome in self.outcomes.values()]
        return float(np.mean(found)) if found else 0.0


def _failed(blank: Trial, error: str) -> Trial:
    from dataclasses import replace

    return replace(blank, error=error)
