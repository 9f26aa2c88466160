"""A threshold for each segment, where it earns more than one for all.

Example:
    >>> import numpy as np
    >>> scores = np.tile(np.linspace(0, 1, 500), 2)
    >>> segments = np.repeat(["shop", "web"], 500)
    >>> actual = scores > np.where(segments == "shop", 0.2, 0.8)
    >>> choice = choose_segment_thresholds(scores, actual, (1, -1, 0, 0), segments.tolist())
    >>> {name: round(number, 2) for name, number in choice.thresholds.items()}
    {'shop': 0.2, 'web': 0.8}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.arrays import (
    Booleans,
    Floats,
    Integers,
    binary,
    numbers,
    same_length,
    weights_for,
)
from everloop.measure.confusion import DECISION_MEASURES, confusion_of
from everloop.measure.pricing import decision_values, prices_for
from everloop.measure.value import Constraint, ThresholdChoice, choose_threshold

FEWEST_ROWS = 100
"""A segment with fewer rows, or fewer of one class than a tenth of that, keeps the threshold of all."""

_STEPS = 25


@dataclass(frozen=True, slots=True)
class SegmentChoice:
    """Thresholds by segment.

    Attributes:
        threshold: Of rows whose segment has none of its own.
        thresholds: From a segment to its own threshold.
        gain: What the own thresholds add to the mean value on the rows given.
        satisfied: Whether the constraints hold on all rows together.
        reason: Why so, in a sentence.
    """

    threshold: float
    thresholds: Mapping[str, float]
    gain: float
    satisfied: bool
    reason: str


def choose_segment_thresholds(
    scores: ArrayLike,
    actual: ArrayLike,
    prices: ArrayLike,
    segments: Sequence[str | None],
    *,
    constraints: Sequence[Constraint] = (),
    stretches: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> SegmentChoice:
    """Chooses a threshold for each segment, and keeps those that earned more on rows they were not chosen on.

    A segment's threshold is chosen on one half of its rows and compared on the other with the threshold
    for all, and the other way round. Where constraints are broken together, each positive decision is
    charged a price, the same in all segments (a Lagrange multiplier), until a limit of the rate of
    positives holds; where other constraints still do not hold, one threshold for all remains.

    Args:
        scores: Calibrated chances, out of fold or held out, shape (n,).
        actual: 0/1, shape (n,).
        prices: Shape (n, 4) or (4,).
        segments: The segment of each row; None where it is not known.
        constraints: As `choose_threshold` takes them; they hold for all rows together.
        stretches: As `choose_threshold` takes them.
        weights: As `choose_threshold` takes them.
    """
    score, truth = numbers(scores, "scores"), binary(actual, "actuals")
    same_length(score.size, segments=np.asarray(segments, dtype=object))
    price = prices_for(prices, score.size)
    weight = weights_for(weights, score.size)
    overall = choose_threshold(
        score, truth, price, constraints=constraints, chances=True, stretches=stretches, weights=weight
    )
    parts = None if stretches is None else np.asarray(stretches)
    rows = _Rows(score, truth, price, parts, _members(segments, truth), weight)
    found = _within_limits(rows, overall, [one for one in constraints if one[0] == "positive_rate"])
    own = rows.decided(found)
    satisfied = rows.holds(constraints, own)
    plain = decision_values(truth, score >= overall.threshold, price)
    gain = float(np.average(decision_values(truth, own, price) - plain, weights=weight))
    if not found.own or gain <= 0 or (overall.satisfied and not satisfied):
        reason = f"{overall.reason} No segment earns more by a threshold of its own."
        return SegmentChoice(overall.threshold, {}, 0.0, overall.satisfied, reason)
    some = "A segment earns" if len(found.own) == 1 else f"{len(found.own)} segments earn"
    reason = f"{overall.reason} {some} more by a threshold of its own: {gain:.4g} a decision of all."
    return SegmentChoice(found.rest, found.own, gain, satisfied, reason)


@dataclass(frozen=True, slots=True)
class _Thresholds:
    rest: float
    own: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Rows:
    scores: Floats
    truth: Booleans
    prices: Floats
    stretches: Integers | None
    members: Mapping[str, Booleans]
    weights: Floats

    def thresholds(self, charge: float, rest: float | None = None) -> _Thresholds:
        """The thresholds when each positive decision costs a charge; `rest` where that is given."""
        charged = self.prices - np.array([charge, charge, 0.0, 0.0])
        base = self._best(slice(None), charged) if rest is None else rest
        own = {
            name: self._best(rows, charged)
            for name, rows in self.members.items()
            if _pays(self.scores[rows], self.truth[rows], charged[rows], self.weights[rows], base)
        }
        return _Thresholds(base, own)

    def _best(self, rows: Booleans | slice, charged: Floats) -> float:
        parts = None if self.stretches is None else self.stretches[rows]
        given = self.scores[rows], self.truth[rows], charged[rows]
        counts = self.weights[rows]
        return choose_threshold(*given, chances=True, stretches=parts, weights=counts).threshold

    def decided(self, chosen: _Thresholds) -> Booleans:
        thresholds = np.full(self.scores.size, chosen.rest)
        for name, threshold in chosen.own.items():
            thresholds[self.members[name]] = threshold
        return np.asarray(self.scores >= thresholds)

    def holds(self, constraints: Sequence[Constraint], decided: Booleans) -> bool:
        counts = confusion_of(self.truth, decided, self.weights)
        values = decision_values(self.truth, decided, self.prices)
        return all(
            bound.holds(
                float(np.average(values, weights=self.weights))
                if name == "value_per_decision"
                else float(DECISION_MEASURES[name](counts))
            )
            for name, bound in constraints
        )


def _within_limits(rows: _Rows, overall: ThresholdChoice, limits: Sequence[Constraint]) -> _Thresholds:
    """The thresholds at the least charge of a positive decision at which the limits of their rate hold."""
    found = rows.thresholds(0.0, overall.threshold)
    if rows.holds(limits, rows.decided(found)):
        return found
    low, high = 0.0, float(np.abs(rows.prices).max()) * 2 + 1e-9
    best = _Thresholds(overall.threshold, {})
    for _ in range(_STEPS):
        middle = (low + high) / 2
        found = rows.thresholds(middle)
        if rows.holds(limits, rows.decided(found)):
            best, high = found, middle
        else:
            low = middle
    return best


def _members(segments: Sequence[str | None], truth: Booleans) -> dict[str, Booleans]:
    """The rows of each segment that is large enough."""
    of_row = np.array([None if name is None else str(name) for name in segments], dtype=object)
    found = {}
    for name in sorted({name for name in of_row if name is not None}):
        rows = np.asarray(of_row == name, dtype=np.bool_)
        positives = int(truth[rows].sum())
        if rows.sum() >= FEWEST_ROWS and min(positives, rows.sum() - positives) >= FEWEST_ROWS / 10:
            found[name] = rows
    return found


def _pays(scores: Floats, truth: Booleans, prices: Floats, weights: Floats, base: float) -> bool:
    """Says whether a threshold chosen on one half earns more on the other than the threshold of all."""
    first = np.arange(scores.size) % 2 == 0
    gains = np.empty(scores.size)
    for chosen_on in (first, ~first):
        rest = ~chosen_on
        half = scores[chosen_on], truth[chosen_on], prices[chosen_on]
        own = choose_threshold(*half, chances=True, weights=weights[chosen_on]).threshold
        earned = decision_values(truth[rest], scores[rest] >= own, prices[rest])
        gains[rest] = earned - decision_values(truth[rest], scores[rest] >= base, prices[rest])
    gains *= weights / weights.mean()
    return bool(gains.mean() > gains.std() / np.sqrt(gains.size))
