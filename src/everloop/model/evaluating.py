"""Evaluates a model on rows that it never saw: from arrays to an `Evaluation`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.calibration import reliability
from everloop.measure.intervals import Interval, bootstrap_interval, mean_interval, paired_interval
from everloop.measure.metrics import METRICS, compute, metrics_of
from everloop.measure.value import choose_threshold
from everloop.model.evaluation import Evaluation, Requirement
from everloop.model.fairness import judge_groups, largest_differences
from everloop.model.slices import worst_slices
from everloop.runtime.decision import PLAIN, DecisionRule, decisions_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from everloop.core.units import Bound
    from everloop.measure.worth import Worth
    from everloop.spec.frame import Frame

BOOTSTRAP_ROWS = 4_000
REPEATS = 200
CURVE_POINTS = 101
PAIRS = 500


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

    @property
    def decisions(self) -> NDArray[Any]:
        """Class indices or, for regression, the numbers that are given."""
        return decisions_of(self.scores, self.table, self.frame.task, self.threshold, self.decision)

    def predicted_for(self, metric: str) -> NDArray[Any]:
        """Gives what a metric is computed from: scores or decisions."""
        return self.decisions if METRICS[metric].needs == "decision" else self.scores


def evaluate(judged: Judged, *, importance: Mapping[str, float] | None = None) -> Evaluation:
    """Evaluates scores on held-out rows.

    Args:
        judged: The rows, their scores and actuals.
        importance: What the metric loses when a column is shuffled, where it was measured.
    """
    names = dict.fromkeys((judged.frame.metric, *(metric.name for metric in metrics_of(judged.frame.task))))
    metrics = {name: metric_interval(judged, name) for name in names}
    common: dict[str, Any] = {
        "part": judged.part,
        "rows": len(judged.actual),
        "metric": judged.frame.metric,
        "metrics": metrics,
        "threshold": judged.threshold,
        "classes": judged.frame.classes,
        "importance": dict(importance or {}),
        "slices": worst_slices(judged, metric_interval),
    }
    money = _money(judged)
    fairness = judge_groups(judged)
    requirements = _requirements(judged, metrics, money, largest_differences(fairness))
    if judged.frame.task == "regression":
        return Evaluation(
            **common, **money, fairness=fairness, requirements=requirements, predicted=_pairs(judged)
        )
    return Evaluation(
        **common,
        **money,
        fairness=fairness,
        requirements=requirements,
        confusion=_confusion(judged),
        **_curves(judged),
    )


def metric_interval(judged: Judged, name: str) -> Interval:
    """Gives a metric with its 95 % interval by the bootstrap.

    Many rows are resampled by a part of them and the spread is scaled by the square root of the
    share (m out of n: Bickel, Götze and van Zwet, Statistica Sinica 1997).
    """
    actual, predicted = judged.actual, judged.predicted_for(name)
    whole = compute(name, actual, predicted)
    if np.isnan(whole):
        return Interval(float("nan"), whole, float("nan"))
    size = len(actual)
    if size > BOOTSTRAP_ROWS:
        rows = np.sort(np.random.default_rng(judged.seed).choice(size, BOOTSTRAP_ROWS, replace=False))
        actual, predicted = actual[rows], predicted[rows]
    found = bootstrap_interval(
        lambda a, p: compute(name, a, p), actual, predicted, seed=judged.seed, repeats=REPEATS
    )
    shrink = float(np.sqrt(min(1.0, BOOTSTRAP_ROWS / size)))
    return Interval(
        whole + shrink * (found.low - found.estimate), whole, whole + shrink * (found.high - found.estimate)
    )


def _money(judged: Judged) -> dict[str, Any]:
    worth = judged.worth
    if worth is None:
        return {}
    values = worth.values(judged.actual, judged.decisions)
    found: dict[str, Any] = {
        "value": mean_interval(values),
        "best_possible": float(worth.best_values(judged.actual).mean()),
    }
    if worth.four is not None:
        found["value_curve"] = choose_threshold(judged.scores, judged.actual, worth.four).curve.to_dict()
    if judged.today is not None:
        today = worth.values(judged.actual, judged.today)
        found |= {"value_today": mean_interval(today), "gain": paired_interval(today, values)}
    return found


def _requirements(
    judged: Judged,
    metrics: Mapping[str, Interval],
    money: Mapping[str, Any],
    differences: Mapping[str, float],
) -> tuple[Requirement, ...]:
    numbers = {name: interval.estimate for name, interval in metrics.items()}
    if "value" in money:
        numbers["value_per_decision"] = money["value"].estimate
    bounds = {**judged.required, **judged.fairness}
    found = []
    for name, bound in bounds.items():
        number = differences.get(name, numbers.get(name, float("nan")))
        found.append(Requirement(name, str(bound), number, bool(bound.holds(number))))
    return tuple(found)


def _confusion(judged: Judged) -> tuple[tuple[int, ...], ...]:
    size = len(judged.frame.classes)
    counts = np.zeros((size, size), dtype=np.int64)
    np.add.at(counts, (judged.actual.astype(np.int64), judged.decisions.astype(np.int64)), 1)
    return tuple(tuple(int(number) for number in row) for row in counts)


def _curves(judged: Judged) -> dict[str, Any]:
    if judged.frame.task != "binary" or not len(judged.actual):
        return {}
    found = reliability(judged.scores, judged.actual)
    return {
        "reliability": {
            "score": found.score.tolist(),
            "rate": found.rate.tolist(),
            "weight": found.weight.tolist(),
        },
        "roc_curve": _roc(judged.scores, judged.actual),
    }


def _roc(scores: NDArray[np.float64], actual: NDArray[Any]) -> dict[str, list[float]]:
    """Gives the curve through every distinct score, thinned evenly over the ranks."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    positives, negatives = max(1, int(actual.sum())), max(1, int(len(actual) - actual.sum()))
    true = np.concatenate([[0], np.cumsum(actual[order])[last]]) / positives
    false = np.concatenate([[0], np.cumsum(1 - actual[order])[last]]) / negatives
    picked = np.unique(np.linspace(0, len(true) - 1, CURVE_POINTS).astype(int))
    return {"false_positive_rate": false[picked].tolist(), "true_positive_rate": true[picked].tolist()}


def _pairs(judged: Judged) -> dict[str, list[float]]:
    picked = np.unique(np.linspace(0, len(judged.actual) - 1, min(PAIRS, len(judged.actual))).astype(int))
    return {
        "predicted": judged.scores[picked].tolist(),
        "actual": judged.actual[picked].astype(float).tolist(),
    }
