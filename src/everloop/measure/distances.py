"""Distances of many pairs of counts in the same bins at once: what chance does is drawn by the hundred.

`everloop.measure.drift` says what each of them is; here they are computed for a batch, shape (pairs,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from everloop.measure.arrays import Floats, Integers
from everloop.measure.histogram import Bins, Histogram

_GROUPS = 20
_FLOOR = 0.5


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

    def shares(self) -> tuple[Floats, Floats]:
        """The shares of the present values in each bin; NaN where none is present."""
        return _shares(self.before), _shares(self.after)

    def grouped(self) -> tuple[Floats, Floats]:
        """The counts of groups of neighbouring bins."""
        if self.firsts.size == self.before.shape[-1]:
            return self.before, self.after
        return tuple(np.add.reduceat(side, self.firsts, axis=-1) for side in (self.before, self.after))  # type: ignore[return-value]


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
    before, after = pairs.grouped()
    one_sided = ((before == 0) != (after == 0)).any(axis=-1, keepdims=True)
    raised = np.where(one_sided, _FLOOR, 0.0)
    p, q = _shares(before + raised), _shares(after + raised)
    ratio = np.divide(q, p, out=np.ones(np.broadcast_shapes(p.shape, q.shape)), where=(p > 0) & (q > 0))
    found = np.sum((q - p) * np.log(ratio), axis=-1)
    # Equal shares of samples of different size are raised differently; that is no shift.
    equal = np.isclose(_shares(before), _shares(after), rtol=0, atol=1e-12).all(axis=-1)
    empty = np.logical_or(before.sum(axis=-1) == 0, after.sum(axis=-1) == 0)
    return np.where(empty, np.nan, np.where(equal, 0.0, found))


def jensen_shannon(pairs: Pairs) -> Floats:
    """The Jensen-Shannon distance of each pair."""
    p, q = (_shares(side) for side in pairs.grouped())
    middle = (p + q) / 2
    divergence = _divergence(p, middle) + _divergence(q, middle)
    return np.where(np.isnan(middle).any(axis=-1), np.nan, np.sqrt(np.maximum(0.0, divergence / 2)))


def chi_square(pairs: Pairs) -> Floats:
    """Cramer's V of side and group of each pair."""
    table = np.stack(np.broadcast_arrays(*pairs.grouped()))
    columns, sides = table.sum(axis=0), table.sum(axis=-1)
    total = sides.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = sides[..., None] * (columns / total[..., None])
        terms = np.where(columns > 0, (table - expected) ** 2 / expected, 0.0)
        found = np.sqrt(np.sum(terms, axis=(0, -1)) / total)
    return np.where(sides.all(axis=0), found, np.nan)


def kolmogorov_smirnov(pairs: Pairs) -> Floats:
    """The largest distance of the cumulative distributions of each pair."""
    p, q = pairs.shares()
    difference = q - p
    if pairs.bins.kind == "categorical":
        variation: Floats = np.abs(difference).sum(axis=-1) / 2
        return variation
    # The last cumulative number is 1 on both sides.
    found = np.abs(np.cumsum(difference, axis=-1)[..., :-1]).max(axis=-1, initial=0.0)
    return np.where(np.isnan(difference).any(axis=-1), np.nan, found)


def wasserstein(pairs: Pairs) -> Floats:
    """The first Wasserstein distance of each pair, in standard deviations of the reference."""
    p, q = pairs.shares()
    if pairs.bins.kind == "categorical" or not pairs.low <= pairs.high:
        return np.full(np.broadcast_shapes(p.shape, q.shape)[:-1], np.nan)
    edges = np.concatenate(([pairs.low], np.clip(pairs.bins.edges, pairs.low, pairs.high), [pairs.high]))
    ahead = np.cumsum(p - q, axis=-1)
    ahead[..., -1] = np.where(np.isnan(ahead[..., -1]), np.nan, 0.0)
    begin = np.concatenate((np.zeros_like(ahead[..., :1]), ahead[..., :-1]), axis=-1)
    area = np.sum(_mean_absolute(begin, ahead) * np.diff(edges), axis=-1)
    scaled: Floats = area / pairs.deviation if pairs.deviation > 0 else area
    return scaled


def missing_shift(pairs: Pairs) -> Floats:
    """The absolute difference of the shares of missing values of each pair."""
    rates = []
    for counts, missing in ((pairs.before, pairs.before_missing), (pairs.after, pairs.after_missing)):
        rows = counts.sum(axis=-1) + missing
        rates.append(np.divide(missing, rows, out=np.full(rows.shape, np.nan), where=rows > 0))
    difference: Floats = np.abs(rates[1] - rates[0])
    return difference


def unseen_share(pairs: Pairs) -> Floats:
    """By how much the share of values that the reference never had rose in each pair."""
    p, q = pairs.shares()
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
    "chi_square": chi_square,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "wasserstein": wasserstein,
    "missing_shift": missing_shift,
    "unseen_share": unseen_share,
}


def _shares(counts: Floats) -> Floats:
    total = counts.sum(axis=-1, keepdims=True)
    shares: Floats = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return shares


def _rise(before: Floats, after: Floats) -> Floats:
    rise: Floats = np.maximum(0.0, after - before)
    return rise


def _divergence(p: Floats, middle: Floats) -> Floats:
    ratio = np.divide(p, middle, out=np.ones(middle.shape), where=(p > 0) & (middle > 0))
    found: Floats = np.sum(p * np.log2(ratio), axis=-1)
    return found


def _mean_absolute(begin: Floats, end: Floats) -> Floats:
    """The mean of |straight line| from ``begin`` to ``end``."""
    size = np.abs(begin) + np.abs(end)
    crossing = begin * end < 0
    triangles = np.divide(begin**2 + end**2, 2 * size, out=np.zeros_like(size), where=crossing)
    return np.where(crossing, triangles, size / 2)
