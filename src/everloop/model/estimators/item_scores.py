"""Fitted recommenders: from the items that entities had to a score for every item."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class PopularItems:
    """The same scores for everyone: in how many entities' hands each item was."""

    def __init__(self, counts: Floats) -> None:
        self.counts_ = counts

    def scores(self, rows: Any) -> Floats:
        """Gives the score of each item for each entity, (m, items), from what it had, sparse (m, items)."""
        return np.broadcast_to(self.counts_, (rows.shape[0], len(self.counts_))).copy()


class SimilarItems:
    """The items that are most like those that an entity had.

    Attributes:
        likeness_: Sparse (items, items): of each item its most similar ones.
        popular_: What each item is worth to everyone, (items,).
    """

    def __init__(self, likeness: Any, popular: Floats) -> None:
        self.likeness_ = likeness
        self.popular_ = popular

    def scores(self, rows: Any) -> Floats:
        """Gives the score of each item for each entity, (m, items), from what it had, sparse (m, items)."""
        had = rows.copy()
        had.data = np.log1p(had.data)
        near = (had @ self.likeness_ + had).todense()  # an item is as like itself as can be
        found: Floats = np.asarray(near, dtype=np.float64) + self.popular_
        return found


class ItemFactors:
    """Items as points: an entity lies where the items that it had pull it, and likes what is near.

    Attributes:
        factors_: (items, factors).
        alpha_: How much a repeated interaction adds to the confidence.
        penalty_: What holds the points to the origin.
    """

    def __init__(self, factors: Floats, alpha: float, penalty: float) -> None:
        self.factors_ = factors
        self.alpha_ = float(alpha)
        self.penalty_ = float(penalty)

    def scores(self, rows: Any) -> Floats:
        """Gives the score of each item for each entity, (m, items), from what it had, sparse (m, items)."""
        found: Floats = solved(rows, self.factors_, self.alpha_, self.penalty_) @ self.factors_.T
        return found


BLOCK = 4_000
"""Interactions that are worked on at once: of 64 factors 130 MB."""


def solved(rows: Any, factors: Floats, alpha: float, penalty: float) -> Floats:
    """Gives each row's point: the least squares of its interactions, each with its confidence.

    A row's preference is 1 for what it had and 0 for all else, with a confidence of 1 + alpha * times.

    Args:
        rows: Sparse (m, n), how often.
        factors: The others' points, (n, factors).
        alpha: See above.
        penalty: Of the squared length.

    Returns:
        (m, factors); the origin where a row has nothing.

    Source:
        Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (ICDM 2008),
        equation 4.
    """
    width = factors.shape[1]
    common = factors.T @ factors + penalty * np.eye(width)
    points = np.zeros((rows.shape[0], width))
    ends = rows.indptr
    start = 0
    while start < rows.shape[0]:
        end = int(np.searchsorted(ends, ends[start] + BLOCK, side="right")) - 1
        end = min(rows.shape[0], max(end, start + 1))
        points[start:end] = _block(rows[start:end], factors, alpha, common)
        start = end
    return points


def _block(rows: Any, factors: Floats, alpha: float, common: Floats) -> Floats:
    width = factors.shape[1]
    found = np.zeros((rows.shape[0], width))
    some = np.flatnonzero(np.diff(rows.indptr))
    if not len(some):
        return found
    near, extra = factors[rows.indices], alpha * rows.data
    outer = np.einsum("n,ni,nj->nij", extra, near, near)
    starts = rows.indptr[some]
    left = np.add.reduceat(outer, starts, axis=0) + common
    right = np.add.reduceat((1.0 + extra)[:, None] * near, starts, axis=0)
    found[some] = np.linalg.solve(left, right[:, :, None])[:, :, 0]
    return found
