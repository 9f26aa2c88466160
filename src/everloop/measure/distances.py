"""Distances of many pairs of counts in the same bins at once: what chance does is drawn by the hundred.

`everloop.measure.drift` says what each of them is; here they are computed for a batch, shape (pairs,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from everloop.measure.arrays import Booleans, Floats, Integers
from everloop.measure.histogram import Bins, Histogram

_GROUPS = 20
_FLOOR = 0.5
_EQUAL = 1e-12


@dataclass(frozen=True)
class Pairs:
    """Pairs of counts, before and after, in the same bins.

    Attributes:
        bins: The bins.
        before: Counts of present values, shape (pairs, bins) or (1, bins).
        after: As `before`.
        before_missing: How many values were missing, shape (pairs,) or (1,).
        after_missing: As `before_missing`.
        low: The lowest value of both sides; where the outermost bin begins.
        high: The highest of both.
        seen: The lowest and the highest value of the reference.
        deviation: The reference's standard deviation.
        firsts: The first bin of each group of neighbouring bins; see `groups_of`.
    """

    bins: Bins
    before: Floats
    after: Floats
    before_missing: Floats
    after_missing: Floats
    low: float
    high: float
    seen: tuple[float, float]
    deviation: float
    firsts: Integers

    @classmethod
    def of(cls, reference: Histogram, current: Histogram) -> Pairs:
        """Takes one pair."""
        return cls(
            reference.bins,
            np.array([reference.counts], dtype=np.float64),
            np.array([current.counts], dtype=np.float64),
            np.array([reference.missing], dtype=np.float64),
            np.array([current.missing], dtype=np.float64),
            min(reference.low, current.low),
            max(reference.high, current.high),
            (reference.low, reference.high),
            reference.deviation,
            groups_of(reference),
        )

    @classmethod
    def drawn(
        cls, whole: Histogram, before: Floats, after: Floats, before_missing: Floats, after_missing: Floats
    ) -> Pairs:
        """Takes pairs of which both sides are drawn from a whole."""
        ends = (whole.low, whole.high)
        missing = (before_missing, after_missing)
        return cls(whole.bins, before, after, *missing, *ends, ends, whole.deviation, groups_of(whole))

    @classmethod
    def parted(cls, whole: Histogram, after: Floats, after_missing: Floats) -> Pairs:
        """Takes parts of a whole, each with the rest of it before.

        A category that the rest never had is one of the others, as it is in a window of new rows.

        Args:
            whole: Its counts.
            after: Those of each part, shape (parts, bins).
            after_missing: How many values were missing in each, shape (parts,).
        """
        before = np.asarray(whole.counts) - after
        if whole.bins.kind == "categorical":
            new = np.where(before[:, :-1] == 0, after[:, :-1], 0.0)
            after = np.column_stack((after[:, :-1] - new, after[:, -1] + new.sum(axis=-1)))
        return cls.drawn(whole, before, after, whole.missing - after_missing, after_missing)

    @cached_property
    def present(self) -> tuple[Floats, Floats]:
        """How many values are not missing, shape (pairs,) or (1,)."""
        return self.before.sum(axis=-1), self.after.sum(axis=-1)

    @cached_property
    def shares(self) -> tuple[Floats, Floats]:
        """The shares of the present values in each bin; NaN where none is present."""
        before, after = self.present
        return _parts(self.before, before[..., None]), _parts(self.after, after[..., None])

    @cached_property
    def apart(self) -> Floats:
        """How far the cumulative shares are apart after each bin but the last; NaN where none is present."""
        p, q = self.shares
        return np.cumsum((q - p)[..., :-1], axis=-1)

    @cached_property
    def pooled(self) -> Floats:
        """The shares of the present values of both sides together in each bin."""
        return _shares(self.before + self.after)

    @cached_property
    def unknown(self) -> Booleans:
        """Whether one side has no value, shape (pairs,)."""
        before, after = self.present
        unknown: Booleans = np.logical_or(before == 0, after == 0)
        return unknown

    @cached_property
    def grouped(self) -> tuple[Floats, Floats]:
        """The counts of groups of neighbouring bins."""
        if self.firsts.size == self.before.shape[-1]:
            return self.before, self.after
        return tuple(np.add.reduceat(side, self.firsts, axis=-1) for side in (self.before, self.after))  # type: ignore[return-value]

    @cached_property
    def grouped_shares(self) -> tuple[Floats, Floats]:
        """The shares of the present values in each group; NaN where none is present."""
        return _shares(self.grouped[0]), _shares(self.grouped[1])


def groups_of(reference: Histogram) -> Integers:
    """Joins neighbouring bins until each group holds about a twentieth of the reference.

    Statistics that look at each bin alone drown in the noise of hundreds of bins. A bin that alone holds
    a group's share stands alone: the group after it is a new one.

    Returns:
        The first bin of each group.
    """
    p = np.asarray(reference.counts, dtype=np.float64)
    if p.sum() == 0 or p.size <= _GROUPS:
        return np.arange(p.size)
    begun = (np.cumsum(p) - p) / p.sum()
    heavy = p >= p.sum() / _GROUPS
    group = np.floor(begun * _GROUPS + 1e-9) * 2 + heavy
    return np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1]))).astype(np.int64)


def psi(pairs: Pairs) -> Floats:
    """The population stability index of each pair."""
    before, after = pairs.grouped
    plain = pairs.grouped_shares
    one_sided = ((before == 0) != (after == 0)).any(axis=-1, keepdims=True)
    raised = np.where(one_sided, _FLOOR, 0.0)
    p, q = (_shares(before + raised), _shares(after + raised)) if one_sided.any() else plain
    ratio = np.divide(q, p, out=np.ones(np.broadcast_shapes(p.shape, q.shape)), where=(p > 0) & (q > 0))
    found = np.sum((q - p) * np.log(ratio), axis=-1)
    # Equal shares of samples of different size are raised differently; that is no shift.
    equal = (np.abs(plain[1] - plain[0]) <= _EQUAL).all(axis=-1)
    return np.where(pairs.unknown, np.nan, np.where(equal, 0.0, found))


def jensen_shannon(pairs: Pairs) -> Floats:
    """The Jensen-Shannon distance of each pair."""
    return _jensen_shannon(pairs, *pairs.grouped_shares)


def fine_jensen_shannon(pairs: Pairs) -> Floats:
    """The Jensen-Shannon distance of each pair, over every bin."""
    return _jensen_shannon(pairs, *pairs.shares)


def chi_square(pairs: Pairs) -> Floats:
    """Cramer's V of side and group of each pair."""
    table = np.stack(np.broadcast_arrays(*pairs.grouped))
    columns, sides = table.sum(axis=0), table.sum(axis=-1)
    total = sides.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = sides[..., None] * (columns / total[..., None])
        terms = np.where(columns > 0, (table - expected) ** 2 / expected, 0.0)
        found = np.sqrt(np.sum(terms, axis=(0, -1)) / total)
    return np.where(sides.all(axis=0), found, np.nan)


def fine_chi_square(pairs: Pairs) -> Floats:
    """The chi-square distance of each pair, over every bin."""
    p, q = pairs.shares
    both = pairs.pooled
    terms = np.divide((q - p) ** 2, both, out=np.zeros_like(both), where=both > 0)
    return np.where(pairs.unknown, np.nan, np.sqrt(terms.sum(axis=-1)))


def _jensen_shannon(pairs: Pairs, p: Floats, q: Floats) -> Floats:
    middle = (p + q) / 2
    divergence = _divergence(p, middle) + _divergence(q, middle)
    return np.where(pairs.unknown, np.nan, np.sqrt(np.maximum(0.0, divergence / 2)))


def kolmogorov_smirnov(pairs: Pairs) -> Floats:
    """The largest distance of the cumulative distributions of each pair."""
    if pairs.bins.kind == "categorical":
        p, q = pairs.shares
        variation: Floats = np.abs(q - p).sum(axis=-1) / 2
        return variation
    # The last cumulative number is 1 on both sides.
    high, low = pairs.apart.max(axis=-1, initial=0.0), pairs.apart.min(axis=-1, initial=0.0)
    return np.where(pairs.unknown, np.nan, np.maximum(high, -low))


def cramer_von_mises(pairs: Pairs) -> Floats:
    """The root mean square distance of the cumulative distributions of each pair, at the values there are."""
    if pairs.bins.kind == "categorical":
        return np.full(pairs.unknown.shape, np.nan)
    square = np.vecdot(pairs.apart * pairs.apart, pairs.pooled[..., :-1])
    return np.where(pairs.unknown, np.nan, np.sqrt(square))


def wasserstein(pairs: Pairs) -> Floats:
    """The first Wasserstein distance of each pair, in standard deviations of the reference."""
    if pairs.bins.kind == "categorical" or not pairs.low <= pairs.high:
        return np.full(pairs.unknown.shape, np.nan)
    edges = np.concatenate(([pairs.low], np.clip(pairs.bins.edges, pairs.low, pairs.high), [pairs.high]))
    with np.errstate(over="ignore"):  # edges may lie further apart than the largest number
        widths = np.nan_to_num(np.diff(edges))
    area = _area(pairs.apart, widths.astype(pairs.apart.dtype))
    scaled: Floats = area / pairs.deviation if pairs.deviation > 0 else area
    return np.where(pairs.unknown, np.nan, scaled)


def missing_shift(pairs: Pairs) -> Floats:
    """The absolute difference of the shares of missing values of each pair."""
    before, after = (
        _parts(missing, present + missing)
        for present, missing in zip(pairs.present, (pairs.before_missing, pairs.after_missing), strict=True)
    )
    difference: Floats = np.abs(after - before)
    return difference


def unseen_share(pairs: Pairs) -> Floats:
    """By how much the share of values that the reference never had rose in each pair."""
    p, q = pairs.shares
    if pairs.bins.kind == "categorical":
        return _rise(p[..., -1], q[..., -1])
    edges = np.asarray(pairs.bins.edges)
    below = int(np.searchsorted(edges, pairs.seen[0], side="right"))
    above = int(np.searchsorted(edges, pairs.seen[1], side="right")) + 1
    outside = [side[..., :below].sum(axis=-1) + side[..., above:].sum(axis=-1) for side in (p, q)]
    return _rise(outside[0], outside[1])


BATCHED: dict[str, Callable[[Pairs], Floats]] = {
    "psi": psi,
    "jensen_shannon": jensen_shannon,
    "fine_jensen_shannon": fine_jensen_shannon,
    "chi_square": chi_square,
    "fine_chi_square": fine_chi_square,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "cramer_von_mises": cramer_von_mises,
    "wasserstein": wasserstein,
    "missing_shift": missing_shift,
    "unseen_share": unseen_share,
}


def _shares(counts: Floats) -> Floats:
    return _parts(counts, counts.sum(axis=-1, keepdims=True))


def _parts(counts: Floats, whole: Floats) -> Floats:
    """The counts as parts of the whole; NaN where that is nothing."""
    with np.errstate(invalid="ignore"):
        parts: Floats = counts / whole
    return parts


def _rise(before: Floats, after: Floats) -> Floats:
    rise: Floats = np.maximum(0.0, after - before)
    return rise


def _divergence(p: Floats, middle: Floats) -> Floats:
    ratio = np.divide(p, middle, out=np.ones_like(middle), where=(p > 0) & (middle > 0))
    found: Floats = np.sum(p * np.log2(ratio), axis=-1)
    return found


def _area(heights: Floats, widths: Floats) -> Floats:
    """The area between 0 and straight lines that begin and end at 0, shape (pairs,).

    Args:
        heights: Where the lines meet, shape (pairs, lines - 1).
        widths: Of each line, shape (lines,).
    """
    size, square = np.abs(heights), heights * heights
    # The mean of |line| from a to b is |a + b| / 2 on one side of 0 and (a² + b²) / (2 |a| + 2 |b|) where it
    # crosses; the other formula is never the larger one.
    crossing = square[..., :-1] + square[..., 1:]
    crossing /= size[..., :-1] + size[..., 1:] + np.finfo(heights.dtype).tiny
    level = heights[..., :-1] + heights[..., 1:]
    np.maximum(np.abs(level, out=level), crossing, out=level)
    ends = size[..., :1].sum(axis=-1) * widths[0] + size[..., -1:].sum(axis=-1) * widths[-1]
    area: Floats = (np.vecdot(level, widths[1:-1]) + ends) / 2
    return area
