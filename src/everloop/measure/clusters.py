"""Measures of a division of rows into clusters: how apart they are, and how alike two divisions are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everloop.measure.arrays import Floats, weights_for

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class _Division:
    """Rows with a weight, each in a cluster.

    Attributes:
        rows: (n, width).
        codes: Each row's cluster, from 0 on.
        weights: (n,), above 0.
        sizes: The weight of each cluster.
    """

    rows: Floats
    codes: NDArray[np.int64]
    weights: Floats
    sizes: Floats

    @property
    def clusters(self) -> int:
        return len(self.sizes)

    @property
    def centres(self) -> Floats:
        member = np.eye(self.clusters)[self.codes] * self.weights[:, None]
        centres: Floats = (member.T @ self.rows) / self.sizes[:, None]
        return centres


def _divided(rows: ArrayLike, labels: ArrayLike, weights: Floats) -> _Division:
    """Leaves out what has no weight, and numbers the clusters."""
    used = weights > 0
    matrix = np.asarray(rows, dtype=np.float64)
    matrix = (matrix if matrix.ndim == 2 else matrix[:, None])[used]
    _, codes = np.unique(np.asarray(labels)[used], return_inverse=True)
    sizes = np.asarray(np.bincount(codes, weights[used]), dtype=np.float64)
    return _Division(matrix, codes.astype(np.int64), weights[used], sizes)


def silhouette_values(rows: ArrayLike, labels: ArrayLike, weights: Floats | None = None) -> Floats:
    """How much nearer each row lies to its own cluster than to the next one, between -1 and 1.

    (b - a) / max(a, b), with a the mean distance to the other rows of its cluster and b that to the rows
    of the nearest other cluster; 0 for a row that is a cluster by itself. NaN with a single cluster.

    Args:
        rows: Shape (n, width).
        labels: The cluster of each row, (n,).
        weights: (n,); all 1 when left out.

    Returns:
        A number for each row that has a weight.

    Source:
        Rousseeuw, "Silhouettes", Journal of Computational and Applied Mathematics 20 (1987).
    """
    one = _divided(rows, labels, np.ones(len(np.asarray(labels))) if weights is None else weights)
    n = len(one.rows)
    if one.clusters < 2:
        return np.full(n, np.nan)
    member = np.eye(one.clusters)[one.codes] * one.weights[:, None]
    own, other = np.empty(n), np.empty(n)
    for start in range(0, n, _BLOCK):
        block = slice(start, start + _BLOCK)
        sums = _distances(one.rows[block], one.rows) @ member
        at, mine = np.arange(len(sums)), one.codes[block]
        others = one.sizes[mine] - 1.0
        own[block] = np.divide(sums[at, mine], others, out=np.zeros(len(sums)), where=others > 0)
        means = sums / one.sizes
        means[at, mine] = np.inf
        other[block] = means.min(axis=1)
    greater = np.maximum(own, other)
    values = np.divide(other - own, greater, out=np.zeros(n), where=greater > 0)
    return np.where(one.sizes[one.codes] <= 1.0, 0.0, values)


def _distances(a: Floats, b: Floats) -> Floats:
    """Gives the distances of rows; a column at a time, so that equal rows are at distance 0 exactly."""
    squares = np.zeros((len(a), len(b)))
    for column in range(a.shape[1]):
        squares += (a[:, column, None] - b[None, :, column]) ** 2
    return np.sqrt(squares)


def silhouette(rows: ArrayLike, labels: ArrayLike, weights: Floats) -> float:
    """The weighted mean of `silhouette_values`; greater is better."""
    values = silhouette_values(rows, labels, weights)
    return float(np.average(values, weights=weights[weights > 0])) if values.size else float("nan")


def davies_bouldin(rows: ArrayLike, labels: ArrayLike, weights: Floats) -> float:
    """The mean over clusters of the worst ratio of spread within to distance between; less is better.

    Source:
        Davies and Bouldin, IEEE PAMI 1 (1979).
    """
    one = _divided(rows, labels, weights)
    if one.clusters < 2:
        return float("nan")
    centres = one.centres
    away = np.sqrt(((one.rows - centres[one.codes]) ** 2).sum(axis=1))
    spread = np.bincount(one.codes, one.weights * away) / one.sizes
    between = _distances(centres, centres)
    between[between == 0] = np.inf  # also of a cluster to itself
    return float(((spread[:, None] + spread[None, :]) / between).max(axis=1).mean())


def calinski_harabasz(rows: ArrayLike, labels: ArrayLike, weights: Floats) -> float:
    """The variance between clusters over that within, each by its degrees of freedom; greater is better.

    Source:
        Calinski and Harabasz, Communications in Statistics 3 (1974).
    """
    one = _divided(rows, labels, weights)
    total = float(one.weights.sum())
    if one.clusters < 2 or total <= one.clusters:
        return float("nan")
    centres, middle = one.centres, np.average(one.rows, axis=0, weights=one.weights)
    between = float((one.sizes * ((centres - middle) ** 2).sum(axis=1)).sum())
    within = float((one.weights * ((one.rows - centres[one.codes]) ** 2).sum(axis=1)).sum())
    return between * (total - one.clusters) / (within * (one.clusters - 1)) if within > 0 else 1.0


def adjusted_rand(a: ArrayLike, b: ArrayLike, weights: ArrayLike | None = None) -> float:
    """How far two divisions of the same rows agree: 1 where they are the same, 0 as by chance.

    Args:
        a: The cluster of each row in the one, (n,).
        b: In the other, (n,).
        weights: What each row counts, (n,); all 1 when left out.

    Source:
        Hubert and Arabie, Journal of Classification 2 (1985).
    """
    _, first = np.unique(np.asarray(a), return_inverse=True)
    _, second = np.unique(np.asarray(b), return_inverse=True)
    weight = weights_for(weights, len(first))
    n = float(weight.sum())
    counts = np.zeros((first.max(initial=0) + 1, second.max(initial=0) + 1))
    np.add.at(counts, (first, second), weight)
    together = _pairs(counts).sum()
    by_first, by_second = _pairs(counts.sum(axis=1)).sum(), _pairs(counts.sum(axis=0)).sum()
    every = n * (n - 1) / 2
    if every == 0:
        return float("nan")
    expected = by_first * by_second / every
    most = (by_first + by_second) / 2
    return 1.0 if most == expected else float((together - expected) / (most - expected))


def _pairs(counts: Floats) -> Floats:
    pairs: Floats = counts * (counts - 1) / 2
    return pairs
