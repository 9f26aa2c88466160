"""Distances between two histograms of the same bins: how far a window is from its reference.

Every distance of a histogram to itself is 0. A distance is NaN when one side has no value to compare.
None of them is a p-value: whether a distance is large is for `everloop.measure.budget` to say, from how
much the reference itself varies.

Example:
    >>> from everloop.measure.histogram import build_bins, count
    >>> reference = count(build_bins([1.0, 2.0, 3.0, 4.0]), [1.0, 2.0, 3.0, 4.0])
    >>> kolmogorov_smirnov(reference, count(reference.bins, [3.0, 4.0]))
    0.5
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from everloop.core.errors import UsageFault
from everloop.measure.arrays import Floats
from everloop.measure.histogram import Histogram

_GROUPS = 20
_FLOOR = 0.5


def psi(reference: Histogram, current: Histogram) -> float:
    """The population stability index, over about 20 groups of bins.

    Each group's count is raised by a half, so that an empty group gives a large and finite number.

    Source:
        Siddiqi, "Credit Risk Scorecards" (2006): sum of (q - p) log(q / p), symmetric Kullback-Leibler
        divergence; the raise is Jeffreys' prior.
    """
    p, q = _grouped(reference, current)
    if not (p.sum() and q.sum()):
        return float("nan")
    p, q = (p + _FLOOR) / (p + _FLOOR).sum(), (q + _FLOOR) / (q + _FLOOR).sum()
    # Equal shares of samples of different size are raised differently; that is no shift.
    return 0.0 if _same_shares(reference, current) else float(np.sum((q - p) * np.log(q / p)))


def jensen_shannon(reference: Histogram, current: Histogram) -> float:
    """The Jensen-Shannon distance (base 2, between 0 and 1), over about 20 groups of bins.

    Source:
        Endres and Schindelin, IEEE Transactions on Information Theory 49 (2003).
    """
    p, q = (_shares(side) for side in _grouped(reference, current))
    middle = (p + q) / 2
    if np.isnan(middle).any():
        return float("nan")
    return float(np.sqrt(max(0.0, (_divergence(p, middle) + _divergence(q, middle)) / 2)))


def chi_square(reference: Histogram, current: Histogram) -> float:
    """Cramer's V of side and group: the chi-square of the 2 x k table over its rows, rooted; 0 to 1.

    Source:
        Cramer, "Mathematical Methods of Statistics" (1946), section 21.9.
    """
    table = np.stack(_grouped(reference, current))
    table = table[:, table.sum(axis=0) > 0]
    total = table.sum()
    if not table.sum(axis=1).all():
        return float("nan")
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / total
    return float(np.sqrt(np.sum((table - expected) ** 2 / expected) / total))


def kolmogorov_smirnov(reference: Histogram, current: Histogram) -> float:
    """The largest distance of the two cumulative distributions, at the bins' edges; 0 to 1.

    It is at most the exact statistic, and below it by no more than `kolmogorov_smirnov_error`. For
    categories, which have no order, it is the total variation distance.

    Source:
        Smirnov, Bulletin of Moscow University 2 (1939).
    """
    p, q = _both(reference, current)
    difference = _shares(q) - _shares(p)
    if reference.bins.kind == "categorical":
        return float(np.abs(difference).sum() / 2)
    # The last cumulative number is 1 on both sides.
    return float(np.abs(np.cumsum(difference)[:-1]).max(initial=0.0)) if p.sum() and q.sum() else float("nan")


def kolmogorov_smirnov_error(reference: Histogram, current: Histogram) -> float:
    """How far the distance on the grid can be below the exact one: the largest share of a wide bin.

    Bins that hold a single value cost nothing.
    """
    p, q = (_shares(side) for side in _both(reference, current))
    single = np.array([_single_value(reference, i) for i in range(p.size)])
    return float(np.maximum(p, q)[~single].max(initial=0.0))


def wasserstein(reference: Histogram, current: Histogram) -> float:
    """The first Wasserstein distance in units of the reference's standard deviation.

    Inside a bin values are taken as evenly spread; the outermost bins end at the lowest and highest value
    of both sides. NaN for categories; in the column's own unit when the reference is constant.

    Source:
        Vallender (1974): the area between the cumulative distributions.
    """
    if reference.bins.kind == "categorical":
        return float("nan")
    p, q = (_shares(side) for side in _both(reference, current))
    low, high = min(reference.low, current.low), max(reference.high, current.high)
    if np.isnan(p).any() or np.isnan(q).any() or not low <= high:
        return float("nan")
    edges = np.concatenate(([low], np.clip(reference.bins.edges, low, high), [high]))
    ahead = np.concatenate(([0.0], np.cumsum(p - q)))
    ahead[-1] = 0.0
    area = float(np.sum(np.diff(edges) * _mean_absolute(ahead[:-1], ahead[1:])))
    deviation = reference.deviation
    return area / deviation if deviation > 0 else area


def missing_shift(reference: Histogram, current: Histogram) -> float:
    """The absolute difference of the shares of missing values; 0 to 1."""
    _check_bins(reference, current)
    if not (reference.rows and current.rows):
        return float("nan")
    return abs(current.missing / current.rows - reference.missing / reference.rows)


DISTANCES: dict[str, Callable[[Histogram, Histogram], float]] = {
    "psi": psi,
    "jensen_shannon": jensen_shannon,
    "chi_square": chi_square,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "wasserstein": wasserstein,
    "missing_shift": missing_shift,
}


def _check_bins(reference: Histogram, current: Histogram) -> None:
    if reference.bins != current.bins:
        raise UsageFault(
            "The two histograms have different bins; count the window in the reference's bins first."
        )


def _both(reference: Histogram, current: Histogram) -> tuple[Floats, Floats]:
    _check_bins(reference, current)
    return np.asarray(reference.counts, dtype=np.float64), np.asarray(current.counts, dtype=np.float64)


def _shares(counts: Floats) -> Floats:
    total = counts.sum()
    return counts / total if total else np.full(counts.shape, np.nan)


def _same_shares(reference: Histogram, current: Histogram) -> bool:
    p, q = (_shares(side) for side in _grouped(reference, current))
    return bool(np.allclose(p, q, rtol=0, atol=1e-12))


def _grouped(reference: Histogram, current: Histogram) -> tuple[Floats, Floats]:
    """Joins neighbouring bins until each group holds about a twentieth of the reference.

    Statistics that look at each bin alone drown in the noise of hundreds of bins.
    """
    p, q = _both(reference, current)
    if p.sum() == 0 or p.size <= _GROUPS:
        return p, q
    begun = (np.cumsum(p) - p) / p.sum()
    # A bin that alone holds a group's share stands alone: the group after it is a new one.
    heavy = p >= p.sum() / _GROUPS
    group = np.floor(begun * _GROUPS + 1e-9) * 2 + heavy
    firsts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    return np.add.reduceat(p, firsts), np.add.reduceat(q, firsts)


def _divergence(p: Floats, middle: Floats) -> float:
    some = p > 0
    return float(np.sum(p[some] * np.log2(p[some] / middle[some])))


def _mean_absolute(begin: Floats, end: Floats) -> Floats:
    """The mean of |straight line| from ``begin`` to ``end``."""
    size = np.abs(begin) + np.abs(end)
    crossing = begin * end < 0
    with np.errstate(invalid="ignore", divide="ignore"):
        triangles = (begin**2 + end**2) / (2 * size)
    return np.where(crossing, triangles, size / 2)


def _single_value(histogram: Histogram, i: int) -> bool:
    if histogram.bins.kind == "categorical":
        return True
    edges = histogram.bins.edges
    return 0 < i < len(edges) and edges[i] <= np.nextafter(edges[i - 1], np.inf)
