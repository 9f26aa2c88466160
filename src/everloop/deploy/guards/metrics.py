"""Guards on metrics that are means over rows: both versions on the same rows, from actuals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from everloop.core.units import Bound
from everloop.deploy.candidate import Candidate
from everloop.deploy.guards.answers import compared, nothing_yet, words
from everloop.deploy.guards.differences import Bets, paired_bets, unbounded_bets
from everloop.deploy.guards.look import Booleans, Budget, Floats, Look
from everloop.deploy.guards.rates import bounded_rate
from everloop.deploy.rollout import GuardFinding
from everloop.spec.fields import Against

TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class RowMetric:
    """A metric that is the mean of something over some rows.

    Attributes:
        of: What each row has, greater being better, (n,).
        rows: Which rows count, from their actuals, (n,).
        is_rate: Whether each row has 0 or 1.
        tasks: The tasks that it judges.
        bounded: Whether what a row has lies within 1.
        tolerance: How much worse `not worse` may be, as a share of the champion's mean where unbounded.
    """

    of: Callable[[Candidate], Floats]
    rows: Callable[[Floats], Booleans]
    is_rate: bool
    tasks: tuple[str, ...]
    bounded: bool = True


def _right(version: Candidate) -> Floats:
    return np.asarray(version.decisions == version.actual, dtype=np.float64)


def _every(actual: Floats) -> Booleans:
    return ~np.isnan(actual)


_EVENTS = ("binary", "anomaly")
ROW_METRICS: dict[str, RowMetric] = {
    "accuracy": RowMetric(_right, _every, True, ("binary", "multiclass", "anomaly")),
    "recall": RowMetric(_right, lambda actual: actual == 1, True, _EVENTS),
    "specificity": RowMetric(_right, lambda actual: actual == 0, True, _EVENTS),
    "brier": RowMetric(lambda one: -((one.scores - one.actual) ** 2), _every, False, ("binary",)),
    "mae": RowMetric(
        lambda one: -np.abs(one.decisions - one.actual), _every, False, ("regression",), bounded=False
    ),
}


def row_metric(name: str, required: Bound | Against, look: Look, budget: Budget) -> GuardFinding:
    """A metric of the field from actuals, against a bound or against the champion on the same rows."""
    metric, known = ROW_METRICS[name], look.known
    frame = known.champion.frame
    if frame.task not in metric.tasks:
        return nothing_yet(name, required, f"unknown: it does not judge a {frame.task} task")
    rows = metric.rows(known.champion.actual)
    ours, theirs = (metric.of(version)[rows] for version in (known.challenger, known.champion))
    if isinstance(required, Bound):
        return bounded_rate(name, required, int(ours.sum()), ours.size, budget)
    margin = required.margin
    allowed = required.allowed(TOLERANCE)
    bets = Bets(margin or 0.0, allowed, budget)
    differences = ours - theirs
    money = (
        paired_bets(differences, np.ones(differences.size), bets)
        if metric.bounded
        else unbounded_bets(differences, bets)
    )
    mean = float(differences.mean()) if differences.size else float("nan")
    found = f"{mean:+.4f} on {differences.size} rows" if differences.size else "not known yet: 0 rows"
    return compared(
        name, words(required, f"{allowed:g}"), found, money, budget, difference=mean, rows=differences.size
    )
