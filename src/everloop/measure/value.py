"""The threshold that earns most, under what the problem and the goal require.

The prices of decisions live in `everloop.measure.pricing` and are offered here as well.

Example:
    >>> choice = choose_threshold([0.1, 0.4, 0.8], [0, 0, 1], (10, -5, -20, 0))
    >>> round(choice.threshold, 3), round(choice.value_per_decision, 3)
    (0.6, 3.333)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault, SpecFault
from everloop.core.units import Bound
from everloop.measure.arrays import Booleans, Floats, Integers, binary, numbers, same_length, weights_for
from everloop.measure.confusion import DECISION_MEASURES, Confusion
from everloop.measure.intervals import Interval, mean_interval, student_quantile
from everloop.measure.pricing import (
    OUTCOMES,
    ConstantValues,
    break_even_rate,
    constant_values,
    decision_values,
    expected_values,
    mean_value,
    perfect_value,
    prices_for,
    values_by_decision,
)

__all__ = [
    "OUTCOMES",
    "ConstantValues",
    "ThresholdChoice",
    "ThresholdCurve",
    "break_even_rate",
    "choose_threshold",
    "constant_values",
    "decision_values",
    "expected_values",
    "mean_value",
    "perfect_value",
]

Constraint = tuple[str, Bound]
_CURVE_POINTS = 201


@dataclass(frozen=True, slots=True)
class ThresholdCurve:
    """What each threshold would be worth, for a picture; at most 201 points, thresholds falling.

    Attributes:
        thresholds: Shape (k,).
        values: Mean value per decision at each, shape (k,).
        positive_rates: Share of positive decisions at each, shape (k,).
        allowed: Whether each satisfies every constraint, shape (k,).
    """

    thresholds: Floats
    values: Floats
    positive_rates: Floats
    allowed: Booleans

    def to_dict(self) -> dict[str, list[float] | list[bool]]:
        """Gives the curve as lists."""
        return {
            "thresholds": self.thresholds.tolist(),
            "values": self.values.tolist(),
            "positive_rates": self.positive_rates.tolist(),
            "allowed": self.allowed.tolist(),
        }


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The threshold for the decision ``score >= threshold``, and how sure it is.

    Attributes:
        threshold: Always finite. 0.0 (or the lowest score, if that is below) stands for deciding
            positive always, the next number above 1.0 (or above the highest score) for never.
        value_per_decision: Its mean value on the rows given. It was chosen on them, so on new rows
            expect a little less.
        low: The lowest threshold whose value is within one standard error of the best.
        high: The highest such threshold.
        interval: The mean value with its 95 % interval on the rows given.
        curve: For a picture.
        satisfied: Whether the constraints hold at the threshold. When no threshold satisfies them all,
            it is the nearest attainable one.
        attained: What each constraint's measure is at the threshold.
        reason: Why this threshold, in a sentence.
    """

    threshold: float
    value_per_decision: float
    low: float
    high: float
    interval: Interval
    curve: ThresholdCurve
    satisfied: bool
    attained: Mapping[str, float]
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Gives the choice as what JSON can carry."""
        return {
            "threshold": self.threshold,
            "value_per_decision": self.value_per_decision,
            "low": self.low,
            "high": self.high,
            "interval": self.interval.to_dict(),
            "curve": self.curve.to_dict(),
            "satisfied": self.satisfied,
            "attained": dict(self.attained),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Every decision that a threshold can make: the k-th takes the rows of the k highest scores.

    ``upper[k]`` and ``lower[k]`` bound the thresholds that make it: lower < threshold <= upper. ``expected``
    is what the rows taken would gain if scores were their chances. ``gains`` has a row for each stretch of
    time: what its rows taken gain; None where rows are not told apart by time.
    """

    counts: Confusion
    values: Floats
    upper: Floats
    lower: Floats
    squares: Floats
    expected: Floats
    size: int
    gains: Floats | None = None

    def threshold(self, first: int, last: int) -> float:
        """The middle of the thresholds between candidates ``first`` and ``last`` (counted downwards)."""
        if first == last == 0:
            return float(self.upper[0])
        if first == last == len(self.values) - 1:
            return float(self.lower[-1])
        high, low = float(self.upper[first]), float(self.lower[last])
        middle = low + (high - low) / 2
        return middle if low < middle <= high else high

    def errors_from(self, best: int) -> Floats:
        """How far below the best one's each candidate's mean value may lie by chance.

        One standard error, paired by row; where there are stretches of time, which are few, half a 95 %
        interval over these if that is more.
        """
        errors: Floats = np.sqrt(np.abs(self.squares - self.squares[best])) / self.size
        if self.gains is None:
            return errors
        count = len(self.gains)
        apart = self.gains - self.gains[:, [best]]
        spread = np.sqrt(count * apart.var(axis=0, ddof=1)) / self.size
        of_stretches: Floats = student_quantile(0.975, count - 1) * spread
        return np.maximum(errors, of_stretches)


def choose_threshold(
    scores: ArrayLike,
    actual: ArrayLike,
    prices: ArrayLike,
    *,
    constraints: Sequence[Constraint] = (),
    chances: bool = False,
    stretches: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> ThresholdChoice:
    """Finds the threshold whose decisions ``score >= threshold`` are worth most.

    Every threshold that decides differently is tried, in O(n log n). Between two neighbouring scores the
    threshold lies halfway; where several tie for the best value, the widest stretch of scores is taken
    and the threshold lies in its middle, so that a small change of the scores changes least.

    Args:
        scores: Out-of-fold or held-out scores, shape (n,).
        actual: 0/1, shape (n,).
        prices: Shape (n, 4), or (4,) for all rows; see `OUTCOMES`.
        chances: Whether the scores are calibrated chances. Then what rows happened to bring decides no more
            than it can: of the thresholds within one standard error of the best the one is taken of which
            chances and prices expect most.
        stretches: The stretch of time that each row is of, shape (n,), for rows of a world that moves. Rows
            of a stretch share what happened in it, so what they say together is as sure as the stretches
            agree: with chances, thresholds are ruled out by a 95 % interval over stretches.
        constraints: Pairs of a measure and its bound, such as ``("recall", Bound.parse(">= 0.6"))``;
            measures are those of `everloop.measure.confusion.DECISION_MEASURES` and
            ``value_per_decision``. A measure that is not known at a threshold does not satisfy.
        weights: What each row counts, shape (n,), at least 0: values and measures are weighted ones. Only
            how they stand to each other matters: weights are no evidence, which is of the rows there are.

    Returns:
        The choice. When no threshold satisfies all constraints, ``satisfied`` is false and the choice is
        the one whose shortfalls, each relative to its limit, sum to the least.

    Raises:
        DataFault: When there is no row, or the arrays do not fit each other.
        SpecFault: When a constraint names an unknown measure.
    """
    score, truth = numbers(scores, "scores"), binary(actual, "actuals")
    same_length(score.size, actuals=truth)
    if score.size == 0:
        raise DataFault("There is no row to choose a threshold on; give scores with their actuals.")
    if not np.isfinite(score).all():
        raise DataFault("Some scores are infinite; finite scores were expected.")
    weight, price = weights_for(weights, score.size), prices_for(prices, score.size)
    if not weight.all():  # a row that counts nothing is as good as absent, and no threshold lies at it
        rows = np.flatnonzero(weight)
        kept = None if stretches is None else np.asarray(stretches)[rows]
        return choose_threshold(
            score[rows], truth[rows], price[rows],
            constraints=constraints, chances=chances, stretches=kept, weights=weight[rows],
        )  # fmt: skip
    candidates = _candidates(score, truth, price, stretches, weight * (score.size / weight.sum()))
    measured = {name: _measure(name, candidates) for name, _ in constraints}
    shortfalls = _shortfalls(constraints, measured, len(candidates.values))
    allowed = shortfalls == 0
    satisfied = bool(allowed.any())
    eligible = allowed if satisfied else shortfalls <= shortfalls.min() * (1 + 1e-9)
    best, first, last = _flattest_best(candidates, eligible)
    threshold = candidates.threshold(first, last)
    near = eligible & (candidates.values >= candidates.values[best] - candidates.errors_from(best))
    if chances:
        best = int(np.where(near, candidates.expected, -np.inf).argmax())
        threshold = candidates.threshold(best, best)
    region = np.flatnonzero(near)
    value = mean_interval(decision_values(truth, score >= threshold, price), weights=weight)
    attained = {name: float(values[best]) for name, values in measured.items()}
    return ThresholdChoice(
        threshold=threshold,
        value_per_decision=value.estimate,
        low=min(threshold, candidates.threshold(int(region[-1]), int(region[-1]))),
        high=max(threshold, candidates.threshold(int(region[0]), int(region[0]))),
        interval=value,
        curve=_curve(candidates, allowed),
        satisfied=satisfied,
        attained=attained,
        reason=_reason(constraints, attained, satisfied, _near(candidates) if chances else ""),
    )


def _candidates(
    scores: Floats, truth: Booleans, prices: Floats, stretches: ArrayLike | None, counts: Floats
) -> _Candidates:
    """Gives what each threshold decides; ``counts`` is what each row counts, with the mean 1."""
    prices = prices * counts[:, np.newaxis]
    when_positive, when_negative = values_by_decision(truth, prices)
    order = np.argsort(-scores, kind="stable")
    ordered, positive = scores[order], truth[order]
    gain = (when_positive - when_negative)[order]
    price, chance = prices[order], np.clip(ordered, 0.0, 1.0)
    foreseen = chance * (price[:, 0] - price[:, 2]) + (1 - chance) * (price[:, 1] - price[:, 3])
    last = np.flatnonzero(np.concatenate((ordered[1:] != ordered[:-1], [True])))
    count = counts[order]
    found, false = _running(count * positive, last), _running(count * ~positive, last)
    distinct = ordered[last]
    ceiling = float(np.nextafter(max(1.0, distinct[0]), np.inf))
    floor = min(0.0, float(distinct[-1]))
    return _Candidates(
        counts=Confusion(found, false, found[-1] - found, false[-1] - false),
        values=(when_negative.sum() + _running(gain, last)) / scores.size,
        upper=np.concatenate(([ceiling], distinct)),
        lower=np.concatenate((distinct, [floor])),
        squares=_running(gain**2, last),
        expected=_running(foreseen, last),
        size=scores.size,
        gains=None if stretches is None else _by_stretch(gain, np.asarray(stretches)[order], last),
    )


def _by_stretch(gain: Floats, stretches: Integers, last: Integers) -> Floats | None:
    """What the rows taken gain, stretch by stretch; None where there is one alone."""
    names = np.unique(stretches)
    if len(names) < 2:
        return None
    return np.stack([_running(np.where(stretches == name, gain, 0.0), last) for name in names])


def _running(values: Floats, last: Integers) -> Floats:
    """Sums from the highest score down, at the end of each run of tied scores; 0 before the first."""
    return np.concatenate(([0.0], np.cumsum(values)[last]))


def _measure(name: str, candidates: _Candidates) -> Floats:
    if name == "value_per_decision":
        return candidates.values
    if name not in DECISION_MEASURES:
        known = ", ".join([*DECISION_MEASURES, "value_per_decision"])
        raise SpecFault(f"{name!r} cannot bound a threshold; known are {known}.")
    return DECISION_MEASURES[name](candidates.counts)


def _shortfalls(constraints: Sequence[Constraint], measured: Mapping[str, Floats], size: int) -> Floats:
    """How far each candidate misses the constraints, relative to their limits; 0 where all hold."""
    total = np.zeros(size)
    for name, bound in constraints:
        values = measured[name]
        distance = np.abs(values - bound.limit) / max(abs(bound.limit), 1e-12)
        distance = np.where(np.isnan(values), np.inf, np.maximum(distance, 1e-15))
        total += np.where(_holds(bound, values), 0.0, distance)
    return total


_HOLDS: dict[str, Callable[[Floats, float], Booleans]] = {
    "<=": np.less_equal,
    ">=": np.greater_equal,
    "<": np.less,
    ">": np.greater,
}


def _holds(bound: Bound, values: Floats) -> Booleans:
    return _HOLDS[bound.comparison](values, bound.limit)


def _flattest_best(candidates: _Candidates, eligible: Booleans) -> tuple[int, int, int]:
    """The best candidate and the widest stretch of neighbours that tie with it."""
    values = np.where(eligible, candidates.values, -np.inf)
    top = values.max()
    slack = 1e-12 * max(1.0, float(np.abs(candidates.values).max()))
    ties = values >= top - slack
    edges = np.diff(np.concatenate(([0], ties.astype(np.int8), [0])))
    firsts, lasts = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    widest = int(np.argmax(candidates.upper[firsts] - candidates.lower[lasts]))
    first, last = int(firsts[widest]), int(lasts[widest])
    threshold = candidates.threshold(first, last)
    best = int(np.flatnonzero(candidates.upper[first : last + 1] >= threshold)[-1]) + first
    return best, first, last


def _curve(candidates: _Candidates, allowed: Booleans) -> ThresholdCurve:
    size = len(candidates.values)
    # Evenly over the ranks, and the best always among them.
    picked = np.unique(
        np.concatenate(
            (np.linspace(0, size - 1, min(size, _CURVE_POINTS - 1)).astype(int), [candidates.values.argmax()])
        )
    )
    rates = DECISION_MEASURES["positive_rate"](candidates.counts)
    thresholds = np.array([candidates.threshold(k, k) for k in picked])
    return ThresholdCurve(thresholds, candidates.values[picked], rates[picked], allowed[picked])


def _near(candidates: _Candidates) -> str:
    return "within one standard error" if candidates.gains is None else "as far as stretches of time agree"


def _reason(
    constraints: Sequence[Constraint], attained: Mapping[str, float], satisfied: bool, near: str
) -> str:
    kept = ", ".join(f"{name} {bound}" for name, bound in constraints)
    among = f"the thresholds with {kept}" if kept else "all thresholds"
    if satisfied and near:
        return f"Of {among} that are worth most {near} it promises most."
    if satisfied:
        return f"It is worth most of {among}."
    missed = [f"{name} {bound}" for name, bound in constraints if not bound.holds(attained[name])]
    reached = ", ".join(f"{name} {attained[name]:.4g}" for name, _ in constraints)
    return f"No threshold reaches {' and '.join(missed)} with all the constraints; the nearest has {reached}."
