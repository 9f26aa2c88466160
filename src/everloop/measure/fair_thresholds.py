"""A threshold for each group, so that the groups are treated alike at the least cost.

Example:
    >>> import numpy as np
    >>> from everloop.core.units import Bound
    >>> scores = np.tile(np.linspace(0, 1, 1000), 2)
    >>> groups = np.repeat(["f", "m"], 1000)
    >>> actual = scores > np.where(groups == "f", 0.4, 0.8)
    >>> bounds = {"equal_opportunity_difference": Bound.parse("<= 0.1")}
    >>> gain = np.where(actual, 1.0, -1.0)
    >>> choice = choose_fair_thresholds(scores, actual, gain, groups.tolist(), bounds, 0.6)
    >>> choice.satisfied, {name: round(number, 2) for name, number in choice.thresholds.items()}
    (True, {'f': 0.4, 'm': 0.8})

Source:
    Hardt, Price and Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016. Theirs are drawn
    by lot where two thresholds mix; here each group has one, so that the same row is decided the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.units import Bound
from everloop.measure.arrays import Booleans, Floats, binary, numbers, same_length, weights_for
from everloop.measure.confusion import Confusion
from everloop.measure.fairness import FAIRNESS

FEWEST_ROWS = 100
"""A group with fewer rows keeps the threshold of all: its own would be chosen from noise."""

CANDIDATES = 200
"""Of so many thresholds a group may get one."""

LEVELS = {1: 400, 2: 40, 3: 14, 4: 8}
"""By how many rates are bounded: how many levels of each are tried."""

SAFETY = 0.75
"""The share of what a bound allows that is used on the rows that choose, so that others keep it too."""

_STEPS = 20


@dataclass(frozen=True, slots=True)
class FairChoice:
    """Thresholds by group.

    Attributes:
        thresholds: From a group to its own threshold; others have the threshold of all.
        gain: What the decisions earn over deciding negative always, the mean of the rows given.
        plain: The same with the threshold of all.
        satisfied: Whether every bound holds on the rows given.
        before: Each bounded measure with the threshold of all, over the groups that are large enough.
        after: The same with the groups' own.
    """

    thresholds: Mapping[str, float]
    gain: float
    plain: float
    satisfied: bool
    before: Mapping[str, float]
    after: Mapping[str, float]


class _Group(NamedTuple):
    """A group's candidates: how each counts, and what it gains.

    Attributes:
        name: The group.
        thresholds: The highest first, (k,).
        counts: Of each, (k,).
        gains: The sum of each, (k,).
    """

    name: str
    thresholds: Floats
    counts: Confusion
    gains: Floats


def choose_fair_thresholds(  # noqa: PLR0913  (rows, what they gain and count, and what bounds the choice)
    scores: ArrayLike,
    actual: ArrayLike,
    gain: ArrayLike,
    groups: Sequence[str | None],
    bounds: Mapping[str, Bound],
    otherwise: float,
    *,
    most_positive: float = 1.0,
    weights: ArrayLike | None = None,
) -> FairChoice:
    """Chooses the thresholds that gain most among those that keep the bounds.

    For every level of the bounded rates each group takes its best threshold whose rates lie within what the
    bound allows above that level, which is the best choice of thresholds that there is: some group has the
    lowest rate. Where the threshold of all keeps the bounds, it stays. Where nothing keeps them, everybody
    is decided negative, which treats all alike.

    Args:
        scores: Chances on rows that their model had not seen, (n,).
        actual: 0/1, (n,).
        gain: What a positive decision on the row is worth more than a negative one, (n,).
        groups: The group of each row; None where it is not known, which keeps the threshold of all.
        bounds: Keys of `FAIRNESS` with their bounds: differences from above, ratios from below.
        otherwise: The threshold of all.
        most_positive: The largest share of rows that may be decided positive.
        weights: What each row counts, (n,); 1 each by default.
    """
    score, truth, worth = numbers(scores, "scores"), binary(actual, "actuals"), numbers(gain, "gains")
    counts = weights_for(weights, score.size)
    counts = counts / counts.mean()
    texts = np.array([None if name is None else str(name) for name in groups], dtype=object)
    same_length(score.size, actuals=truth, gains=worth, groups=texts)
    members = _members(texts)
    counted = np.isin(texts, list(members))
    measured = partial(_measured, bounds, truth[counted], groups=texts[counted], weights=counts[counted])
    plain = np.asarray(score >= otherwise)
    before = measured(plain[counted])
    earned = float((counts * worth * plain).mean())
    kept_anyway = all(_allowance(name, bounds[name], SAFETY).holds(value) for name, value in before.items())
    if len(members) < 2 or kept_anyway:
        holds = all(bounds[name].holds(value) for name, value in before.items())
        return FairChoice({}, earned, earned, holds, before, before)

    def decided(thresholds: Mapping[str, float]) -> Booleans:
        each = np.full(score.size, otherwise)
        for name, threshold in thresholds.items():
            each[members[name]] = threshold
        return np.asarray(score >= each)

    def chosen(charge: float) -> dict[str, float]:
        found = [
            _candidates(name, score[at], truth[at], counts[at] * (worth[at] - charge), counts[at])
            for name, at in members.items()
        ]
        places = _best(found, bounds)
        return {
            group.name: float(group.thresholds[place]) for group, place in zip(found, places, strict=True)
        }

    thresholds = _within(
        chosen,
        lambda each: float((counts * decided(each)).mean()) <= most_positive,
        float(np.abs(worth).max()),
    )
    own = decided(thresholds)
    after = measured(own[counted])
    satisfied = all(bounds[name].holds(value) for name, value in after.items())
    return FairChoice(thresholds, float((counts * worth * own).mean()), earned, satisfied, before, after)


def _members(texts: np.ndarray) -> dict[str, Booleans]:
    names = sorted({name for name in texts if name is not None})
    found = {name: np.asarray(texts == name, dtype=np.bool_) for name in names}
    return {name: rows for name, rows in found.items() if rows.sum() >= FEWEST_ROWS}


def _measured(
    bounds: Mapping[str, Bound], truth: Booleans, decided: Booleans, *, groups: np.ndarray, weights: Floats
) -> dict[str, float]:
    return {name: FAIRNESS[name](truth, decided, groups, weights) for name in bounds}


def _within(
    chosen: Callable[[float], dict[str, float]], keeps: Callable[[dict[str, float]], bool], most: float
) -> dict[str, float]:
    """Gives what is chosen at the least charge of a positive decision (a Lagrange multiplier) that keeps."""
    found = chosen(0.0)
    if keeps(found):
        return found
    low, high = 0.0, 2 * most + 1e-9
    best = found
    for _ in range(_STEPS):
        middle = (low + high) / 2
        found = chosen(middle)
        if keeps(found):
            best, high = found, middle
        else:
            low = middle
    return best


def _candidates(name: str, scores: Floats, truth: Booleans, gain: Floats, weights: Floats) -> _Group:
    """Gives a group's candidates; gains are those of the rows, what each counts taken in."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    ends = ends[np.unique(np.linspace(0, len(ends) - 1, min(CANDIDATES, len(ends))).astype(int))]
    taken = np.append(0.0, np.cumsum(weights[order])[ends])
    found = np.append(0.0, np.cumsum((weights * truth)[order])[ends])
    gains = np.append(0.0, np.cumsum(gain[order])[ends])
    # Halfway to the next score, so that rows near the last one taken fall on its side.
    middles = (ordered + np.append(ordered[1:], ordered[-1])) / 2
    thresholds = np.concatenate(([np.nextafter(max(1.0, float(ordered[0])), np.inf)], middles[ends]))
    thresholds[-1] = min(0.0, float(ordered[-1]))
    size, positives = float(weights.sum()), float((weights * truth).sum())
    counts = Confusion(found, taken - found, positives - found, size - positives - (taken - found))
    return _Group(name, thresholds, counts, gains)


def _best(groups: Sequence[_Group], bounds: Mapping[str, Bound]) -> list[int]:
    """Gives the place of each group's candidate; the first (never) where no level keeps the bounds."""
    rates = [(rate, name) for name in bounds for rate in FAIRNESS[name].rates]
    measured = [[rate(group.counts) for rate, _ in rates] for group in groups]
    levels = [_levels([mine[k] for mine in measured], len(rates)) for k in range(len(rates))]
    for share in (SAFETY, 1.0):
        limits = [_allowance(name, bounds[name], share).limit for _, name in rates]
        ratios = [FAIRNESS[name].ratio for _, name in rates]
        best: tuple[float, list[int]] | None = None
        for level in product(*levels):
            ends = [_end(*one) for one in zip(level, limits, ratios, strict=True)]
            found = _at_level(groups, measured, level, ends)
            if found is not None and (best is None or found[0] > best[0]):
                best = found
        if best is not None:
            return best[1]
    return [0] * len(groups)


def _at_level(
    groups: Sequence[_Group],
    measured: Sequence[Sequence[Floats]],
    low: Sequence[float],
    high: Sequence[float],
) -> tuple[float, list[int]] | None:
    """Gives the gain and each group's best candidate with its rates in between; None where one has none."""
    total, places = 0.0, []
    for group, rates in zip(groups, measured, strict=True):
        inside = np.ones(len(group.gains), dtype=np.bool_)
        for rate, start, end in zip(rates, low, high, strict=True):
            # A rate that a group cannot have is compared with nobody's.
            inside &= np.isnan(rate) | ((rate >= start - 1e-12) & (rate <= end + 1e-12))
        if not inside.any():
            return None
        places.append(int(np.where(inside, group.gains, -np.inf).argmax()))
        total += float(group.gains[places[-1]])
    return total, places


def _levels(rates: Sequence[Floats], bounded: int) -> list[float]:
    """Gives the levels that the lowest rate may have: those of the candidates, thinned evenly."""
    known = np.unique(np.concatenate(rates))
    known = known[~np.isnan(known)]
    most = LEVELS.get(bounded, min(LEVELS.values()))
    places = np.unique(np.linspace(0, len(known) - 1, min(most, len(known))).round().astype(int))
    return [float(level) for level in known[places]] or [0.0]


def _allowance(name: str, bound: Bound, share: float) -> Bound:
    """Gives a bound of which that share is used."""
    limit = 1 - share * (1 - bound.limit) if FAIRNESS[name].ratio else share * bound.limit
    return Bound(bound.comparison, limit, bound.text)


def _end(level: float, limit: float, is_ratio: bool) -> float:
    """Gives the highest rate that keeps a bound when the lowest is at the level."""
    if not is_ratio:
        return min(1.0, level + limit)
    return min(1.0, level / limit) if limit > 0 else 1.0
