"""Rows with what a model said of them and what was true: what every judgement of a model reads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from everloop.measure.metric_intervals import metric_difference
from everloop.measure.metrics import METRICS
from everloop.runtime.decision import PLAIN, DecisionRule, decisions_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from everloop.core.units import Bound
    from everloop.measure.intervals import Interval
    from everloop.measure.worth import Worth
    from everloop.spec.frame import Frame


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows with what a model said of them and what was true.

    Attributes:
        frame: The problem.
        table: The rows.
        scores: Calibrated, (n,) or (n, classes).
        actual: Class indices or numbers, (n,).
        threshold: For binary.
        decision: What decides beyond it.
        worth: What decisions are worth, or None.
        today: What is decided without a model, (n,), or None.
        required: What the goal and the problem require.
        fairness: Bounds on differences between groups.
        part: Which rows they are.
        seed: Of the resampling.
        mitigate: How groups are made to be treated alike; None where that is not asked for.
        unmitigated: The same rows as judged without it.
        counts: What each row counts, (n,); None where all count alike.
    """

    frame: Frame
    table: pl.DataFrame
    scores: NDArray[np.float64]
    actual: NDArray[Any]
    threshold: float | None = None
    decision: DecisionRule = PLAIN
    worth: Worth | None = None
    today: NDArray[Any] | None = None
    required: Mapping[str, Bound] = field(default_factory=dict)
    fairness: Mapping[str, Bound] = field(default_factory=dict)
    part: str = "test"
    seed: int = 0
    mitigate: str | None = None
    unmitigated: Judged | None = None
    counts: NDArray[np.float64] | None = None

    @property
    def decisions(self) -> NDArray[Any]:
        """Class indices or, for regression, the numbers that are given."""
        return decisions_of(self.scores, self.table, self.frame.task, self.threshold, self.decision)

    def only(self, rows: NDArray[np.int64]) -> Judged:
        """Gives some of the rows, without what is decided on them today."""
        return replace(
            self,
            table=self.table[rows],
            scores=self.scores[rows],
            actual=self.actual[rows],
            worth=None if self.worth is None else self.worth.only(rows),
            today=None,
            counts=None if self.counts is None else self.counts[rows],
        )

    def predicted_for(self, metric: str) -> NDArray[Any]:
        """Gives what a metric is computed from: scores or decisions."""
        return self.decisions if METRICS[metric].needs == "decision" else self.scores

    def difference_to(self, other: Judged, metric: str) -> Interval:
        """Gives the metric of another's answers to the same rows less that of these, with its interval."""
        return metric_difference(
            metric,
            self.actual,
            self.predicted_for(metric),
            other.predicted_for(metric),
            seed=self.seed,
            weights=self.counts,
        )
