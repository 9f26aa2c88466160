"""How unusual a row is by how far out it lies in each of its columns."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BEYOND = 0.5
"""What lies beyond all training rows is taken for half a row: rarer than the rarest that was seen."""


class TailDetector:
    """Outliers by empirical tails, column by column.

    Of each column it knows which share of the training rows lies at or below a value, and which at or
    above. A row's score is the sum over its columns of -log of that share: once for the lower tails, once
    for the upper ones, once for the tail to which each column is skewed; the largest of the three counts.

    It has no parameters but how finely a tail is kept: with `knots` or fewer different values a column
    is kept exactly; of more, the outermost quarter of the knots at each end, the others evenly by rank.

    Attributes:
        knots: The most values of a column that are kept.
        values_: Of each column the values at which a tail steps, ascending.
        lower_: Of each column -log of the share at or below: one level before the first value, then one
            from each value on, (values + 1,).
        upper_: Of each column -log of the share at or above: one level up to each value, then one beyond.
        leans_low_: Whether a column's longer tail is the lower one, (width,).

    Source:
        Li et al., "ECOD: Unsupervised Outlier Detection Using Empirical Cumulative Distribution Functions"
        (IEEE TKDE 2022), algorithm 1.
    """

    def __init__(self, knots: int = 512) -> None:
        self.knots = knots
        self.values_: list[Floats] = []
        self.lower_: list[Floats] = []
        self.upper_: list[Floats] = []
        self.leans_low_: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)

    def fit(self, X: Floats, weights: Floats | None = None) -> Self:
        """Counts the tails of training rows, (n, width), each by its weight, (n,), where there are any."""
        rows = np.asarray(X, dtype=np.float64)
        each = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
        rows, each = rows[each > 0], each[each > 0]
        total = each.sum()
        self.values_, self.lower_, self.upper_ = [], [], []
        for column in rows.T:
            values, places = np.unique(column, return_inverse=True)
            counts = np.bincount(places, each)
            at_most = np.cumsum(counts)
            at_least = np.cumsum(counts[::-1])[::-1]
            kept = _kept(len(values), self.knots)
            beyond = np.array([BEYOND])
            self.values_.append(values[kept])
            self.lower_.append(-np.log(np.concatenate([beyond, at_most[kept]]) / total))
            self.upper_.append(-np.log(np.concatenate([at_least[kept], beyond]) / total))
        self.leans_low_ = _third_moment(rows, each) < 0
        return self

    def score_samples(self, X: Floats) -> Floats:
        """Gives how usual each row is, (n,); the less, the more unusual."""
        rows = np.asarray(X, dtype=np.float64)
        sums = np.zeros((len(rows), 3))
        for place, values in enumerate(self.values_):
            lower = self.lower_[place][np.searchsorted(values, rows[:, place], side="right")]
            upper = self.upper_[place][np.searchsorted(values, rows[:, place], side="left")]
            sums[:, 0] += lower
            sums[:, 1] += upper
            sums[:, 2] += lower if self.leans_low_[place] else upper
        scores: Floats = -sums.max(axis=1, initial=0.0)
        return scores


def _kept(values: int, knots: int) -> NDArray[np.int64]:
    if values <= knots:
        return np.arange(values)
    end = knots // 4
    middle = np.linspace(end, values - end - 1, knots - 2 * end).astype(np.int64)
    return np.unique(np.concatenate([np.arange(end), middle, np.arange(values - end, values)]))


def _third_moment(X: Floats, weights: Floats) -> Floats:
    """Gives the sign of the skewness as that of the third central moment, (width,)."""
    middle = np.average(X, axis=0, weights=weights)
    moment: Floats = np.average((X - middle) ** 3, axis=0, weights=weights)
    return moment
