"""Measures of a division of rows into clusters: how apart they are, and how alike two divisions are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everloop.measure.arrays import Floats

_BLOCK = 512


def _divided(rows: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Gives the rows as a matrix, each row's cluster from 0 on, and the clusters' sizes."""
    matrix = np.asarray(rows, dtype=np.float64)
    _, codes, sizes = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    return matrix, codes.astype(np.int64), sizes.astype(np.int64)


def silhouette_values(rows: ArrayLike, labels: ArrayLike) -> Floats:
    """How much nearer each row lies to its own cluster than to the next one, between -1 and 1.

    (b - a) / max(a, b), with a the mean distance to the other rows of its cluster and b that to the rows
    of the nearest other cluster; 0 for a row that is a cluster by itself. NaN with a single cluster.

    Args:
        rows: Shape (n, width).
        labels: The cluster of each row, (n,).

    Source:
        Rousseeuw, "Silhouettes", Journal of Computational and Applied Mathematics 20 (1987).
    """
    matrix, codes, sizes = _divided(rows, labels)
    n, clusters = len(matrix), len(sizes)
    if clusters < 2:
        return np.full(n, np.nan)
    member = np.eye(clusters)[codes]
    own, other = np.empty(n), np.empty(n)
    for start in range(0, n, _BLOCK):
        block = slice(start, start + _BLOCK)
        sums = _distances(matrix[block], matrix) @ member
        at, mine = np.arange(len(sums)), codes[block]
        own[block] = sums[at, mine] / np.maximum(sizes[mine] - 1, 1)
        means = sums / sizes
        means[at, mine] = np.inf
        other[block] = means.min(axis=1)
    greater = np.maximum(own, other)
    values = np.divide(other - own, greater, out=np.zeros(n), where=greater > 0)
    return np.where(sizes[codes] == 1, 0.0, values)


def _distances(a: Floats, b: Floats) -> Floats:
    """Gives the distances of rows; a column at a time, so that equal rows are at distance 0 exactly."""
    squares = np.zeros((len(a), len(b)))
    for column in range(a.shape[1]):
        squares += (a[:, column, None] - b[None, :, column]) ** 2
    return np.sqrt(squares)


def silhouette(rows: ArrayLike, labels: ArrayLike, weights: Floats) -> float:
    """The weighted mean of `silhouette_values`; greater is better."""
    values = silhouette_values(rows, labels)
    return float(np.average(values, weights=weights)) if weights.sum() > 0 else float("nan")


def davies_bouldin(rows: ArrayLike, labels: ArrayLike, weights: Floats) -> float:
    """The mean over clusters of the worst ratio of spread within to distance between; less is better.

    Source:
        Davies and Bouldin, IEEE PAMI 1 (1979).
    """
    matrix, codes, sizes = _divided(rows, labels)
    clusters = len(sizes)
    if clusters < 2:
        return float("nan")
    centres = _centres(matrix, codes, clusters, weights)
    away = np.sqrt(((matrix - centres[codes]) ** 2).sum(axis=1))
    spread = np.bincount(codes, weights * away, clusters) / np.bincount(codes, weights, clusters)
    between = _distances(centres, centres)
    np.fill_diagonal(between, np.inf)
    with np.errstate(divide="ignore"):
        return float(((spread[:, None] + spread[None, :]) / between).max(axis=1).mean())


def calinski_harabasz(rows: ArrayLike, labels: ArrayLike, weights: Floats) -> float:
    """The variance between clusters over that within, each by its degrees of freedom; greater is better.

    Source:
        Calinski and Harabasz, Communications in Statistics 3 (1974).
    """
    matrix, codes, sizes = _divided(rows, labels)
    clusters, total = len(sizes), float(weights.sum())
    if clusters < 2 or total <= clusters:
        return float("nan")
    centres = _centres(matrix, codes, clusters, weights)
    middle = np.average(matrix, axis=0, weights=weights)
    share = np.bincount(codes, weights, clusters)
    between = float((share * ((centres - middle) ** 2).sum(axis=1)).sum())
    within = float((weights * ((matrix - centres[codes]) ** 2).sum(axis=1)).sum())
    return between * (total - clusters) / (within * (clusters - 1)) if within > 0 else float("inf")


def _centres(matrix: Floats, codes: NDArray[np.int64], clusters: int, weights: Floats) -> Floats:
    member = np.eye(clusters)[codes] * weights[:, None]
    centres: Floats = (member.T @ matrix) / member.sum(axis=0)[:, None]
    return centres


def adjusted_rand(a: ArrayLike, b: ArrayLike) -> float:
    """How far two divisions of the same rows agree: 1 where they are the same, 0 as by chance.

    Args:
        a: The cluster of each row in the one, (n,).
        b: In the other, (n,).

    Source:
        Hubert and Arabie, Journal of Classification 2 (1985).
    """
    _, first = np.unique(np.asarray(a), return_inverse=True)
    _, second = np.unique(np.asarray(b), return_inverse=True)
    n = len(first)
    counts = np.zeros((first.max(initial=0) + 1, second.max(initial=0) + 1))
    np.add.at(counts, (first, second), 1.0)
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
