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
from everloop.measure import distances
from everloop.measure.arrays import Floats
from everloop.measure.distances import Pairs
from everloop.measure.histogram import Histogram


def psi(reference: Histogram, current: Histogram) -> float:
    """The population stability index, over about 20 groups of bins.

    Where a group is empty on one side every count is raised by a half, so that the number is finite.

    Source:
        Siddiqi, "Credit Risk Scorecards" (2006): sum of (q - p) log(q / p), symmetric Kullback-Leibler
        divergence; the raise is Jeffreys' prior.
    """
    return _one(distances.psi, reference, current)


def jensen_shannon(reference: Histogram, current: Histogram) -> float:
    """The Jensen-Shannon distance (base 2, between 0 and 1), over about 20 groups of bins.

    Source:
        Endres and Schindelin, IEEE Transactions on Information Theory 49 (2003).
    """
    return _one(distances.jensen_shannon, reference, current)


def fine_jensen_shannon(reference: Histogram, current: Histogram) -> float:
    """The Jensen-Shannon distance over every bin: rows that were repeated, values that took others' place."""
    return _one(distances.fine_jensen_shannon, reference, current)


def chi_square(reference: Histogram, current: Histogram) -> float:
    """Cramer's V of side and group: the chi-square of the 2 x k table over its rows, rooted; 0 to 1.

    Source:
        Cramer, "Mathematical Methods of Statistics" (1946), section 21.9.
    """
    return _one(distances.chi_square, reference, current)


def fine_chi_square(reference: Histogram, current: Histogram) -> float:
    """The root of the sum of (q - p) squared over the share of both sides together, over every bin.

    Bins that the reference never filled weigh most: numbers of another unit or with noise fall between
    those that it had, new categories beside them.

    Source:
        Pearson, Philosophical Magazine 50 (1900); the chi-square of the 2 x k table over the sizes.
    """
    return _one(distances.fine_chi_square, reference, current)


def kolmogorov_smirnov(reference: Histogram, current: Histogram) -> float:
    """The largest distance of the two cumulative distributions, at the bins' edges; 0 to 1.

    It is at most the exact statistic, and below it by no more than `kolmogorov_smirnov_error`. For
    categories, which have no order, it is the total variation distance.

    Source:
        Smirnov, Bulletin of Moscow University 2 (1939).
    """
    return _one(distances.kolmogorov_smirnov, reference, current)


def kolmogorov_smirnov_error(reference: Histogram, current: Histogram) -> float:
    """How far the distance on the grid can be below the exact one: the largest share of a wide bin.

    Bins that hold a single value cost nothing.
    """
    p, q = (side[0] for side in _pairs(reference, current).shares)
    single = np.array([_single_value(reference, i) for i in range(p.size)])
    return float(np.maximum(p, q)[~single].max(initial=0.0))


def cramer_von_mises(reference: Histogram, current: Histogram) -> float:
    """The root mean square distance of the cumulative distributions, at the values there are; 0 to 1.

    It sees where values lie and not how far: neither outliers nor a long tail drown it. NaN for categories.

    Source:
        Anderson, Annals of Mathematical Statistics 33 (1962).
    """
    return _one(distances.cramer_von_mises, reference, current)


def wasserstein(reference: Histogram, current: Histogram) -> float:
    """The first Wasserstein distance in units of the reference's standard deviation.

    Inside a bin values are taken as evenly spread; the outermost bins end at the lowest and highest value
    of both sides. NaN for categories; in the column's own unit when the reference is constant.

    Source:
        Vallender (1974): the area between the cumulative distributions.
    """
    return _one(distances.wasserstein, reference, current)


def missing_shift(reference: Histogram, current: Histogram) -> float:
    """The absolute difference of the shares of missing values; 0 to 1."""
    return _one(distances.missing_shift, reference, current)


def unseen_share(reference: Histogram, current: Histogram) -> float:
    """By how much the share of values that the reference never had rose; 0 to 1.

    Those are categories that are none of its bins, and numbers below its lowest or above its highest.
    """
    return _one(distances.unseen_share, reference, current)


DISTANCES: dict[str, Callable[[Histogram, Histogram], float]] = {
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


def _pairs(reference: Histogram, current: Histogram) -> Pairs:
    if reference.bins != current.bins:
        raise UsageFault(
            "The two histograms have different bins; count the window in the reference's bins first."
        )
    return Pairs.of(reference, current)


def _one(distance: Callable[[Pairs], Floats], reference: Histogram, current: Histogram) -> float:
    return float(distance(_pairs(reference, current))[0])


def _single_value(histogram: Histogram, i: int) -> bool:
    if histogram.bins.kind == "categorical":
        return True
    edges = histogram.bins.edges
    return 0 < i < len(edges) and edges[i] <= np.nextafter(edges[i - 1], np.inf)
