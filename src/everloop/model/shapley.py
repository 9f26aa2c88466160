"""Shapley values of any scorer over raw columns, by sampling orders of the columns.

A value is what a column adds to a row's score when it joins the columns that are already the row's own,
the others being those of a background row, averaged over orders and background rows: the interventional
values that the ``shap`` package estimates as well.

Source:
    Štrumbelj and Kononenko, "Explaining prediction models and individual predictions with feature
    contributions", KAIS 41 (2014); each order is walked in both directions, after Mitchell et al., JMLR 23
    (2022).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Score = Callable[[Places], NDArray[np.float64]]
"""From places (n, columns), the row that each column's value is taken from, to scores (n,)."""

CHUNK = 50_000


@dataclass(frozen=True, slots=True)
class ShapleyValues:
    """What each column adds to the score of each row.

    Attributes:
        values: Shape (rows, columns); with the base they sum to the row's score, but for the draw of the
            background.
        errors: Their standard errors from the sampling, (rows, columns); NaN with one order.
        base: The mean score of the background rows that were drawn, (rows,).
    """

    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    base: NDArray[np.float64]


def shapley_values(
    score: Score, rows: Places, background: Places, columns: int, *, orders: int, seed: int
) -> ShapleyValues:
    """Estimates the Shapley values of rows against background rows.

    Args:
        score: Scores rows that are put together from others; for row k of an answer with several outputs it
            gives the one that is explained.
        rows: Which rows are explained, as places that `score` knows, (r,).
        background: Which rows stand for "not known", (b,).
        columns: How many columns there are.
        orders: How many orders of the columns for each row; each costs two walks of ``columns + 1`` scores.
        seed: Of the draw.
    """
    random = np.random.default_rng(seed)
    steps = np.zeros((len(rows), 2 * orders, columns))
    base = np.zeros((len(rows), 2 * orders))
    places, walks = [], []
    for position, row in enumerate(rows):
        for order in range(orders):
            walk, other = random.permutation(columns), int(random.choice(background))
            for turn, way in enumerate((walk, walk[::-1])):
                # Row k of the walk has the first k columns of the order from the row itself.
                own = np.argsort(way)[None, :] < np.arange(columns + 1)[:, None]
                places.append(np.where(own, row, other))
                walks.append((position, 2 * order + turn, way))
    found = scored(score, np.concatenate(places)) if places else np.zeros(0)
    for (position, order, way), path in zip(walks, found.reshape(-1, columns + 1), strict=True):
        steps[position, order, way] = np.diff(path)
        base[position, order] = path[0]
    pairs = steps.reshape(len(rows), orders, 2, columns).mean(axis=2)
    errors = pairs.std(axis=1, ddof=1) / np.sqrt(orders) if orders > 1 else np.full(pairs[:, 0].shape, np.nan)
    return ShapleyValues(pairs.mean(axis=1), errors, base.mean(axis=1))


def scored(score: Score, places: Places) -> NDArray[np.float64]:
    """Scores many places in bounded pieces."""
    parts = [score(places[start : start + CHUNK]) for start in range(0, len(places), CHUNK)]
    return np.concatenate(parts)
