"""A category as the target's mean, fitted so that no row sees its own target.

A category's number is its mean target drawn towards the mean over all rows, as if `SMOOTHING` more
rows of the average kind had been seen. For a training row the sums leave out its own part of the
rows (cross-fitting), otherwise a learner would read the answer back from rare categories.

Source: Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes" (2001);
cross-fitting as in scikit-learn's TargetEncoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

SMOOTHING = 20.0
PARTS = 5


@dataclass(frozen=True, slots=True)
class MeanEncoding:
    """One column of means.

    Attributes:
        values: From a category's text to its number.
        unknown: The number of a category that was not seen.
        missing: The number of a missing value.
        training: The cross-fitted numbers of the training rows, (n,).
    """

    values: dict[str, float]
    unknown: float
    missing: float
    training: NDArray[np.float64]


def encode_by_mean(column: pl.Series, target: NDArray[np.float64], *, seed: int) -> MeanEncoding:
    """Fits the encoding of one column by one target.

    Args:
        column: The categories, of any type, (n,).
        target: Numbers, or 0/1 for a class, (n,).
        seed: Of the draw of parts.
    """
    from everloop.table.labels import label_texts

    texts = label_texts(column)
    categories = texts.drop_nulls().unique().sort()
    codes = _codes(texts, categories)
    sums, counts = _sums(codes, target, len(categories) + 1)
    prior = float(target.mean())
    means = _smoothed(sums, counts, prior)
    return MeanEncoding(
        values=dict(zip(categories.to_list(), means[:-1].tolist(), strict=True)),
        unknown=prior,
        missing=float(means[-1]),
        training=_cross_fitted(codes, target, len(categories) + 1, seed),
    )


def _codes(texts: pl.Series, categories: pl.Series) -> NDArray[np.int64]:
    """Gives each text's place among the categories; a missing one's place is after the last."""
    import polars as pl

    size = len(categories)
    places = texts.replace_strict(
        categories, pl.Series(range(size), dtype=pl.Int64), return_dtype=pl.Int64, default=None
    )
    return places.fill_null(size).to_numpy()


def _cross_fitted(
    codes: NDArray[np.int64], target: NDArray[np.float64], size: int, seed: int
) -> NDArray[np.float64]:
    part = np.random.default_rng(seed).permutation(len(codes)) % PARTS
    out = np.empty(len(codes))
    for number in range(PARTS):
        own = part == number
        others = ~own
        if not others.any():
            out[own] = float(target.mean())
            continue
        sums, counts = _sums(codes[others], target[others], size)
        out[own] = _smoothed(sums, counts, float(target[others].mean()))[codes[own]]
    return out


def _sums(
    codes: NDArray[np.int64], target: NDArray[np.float64], size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    counts = np.bincount(codes, minlength=size).astype(np.float64)
    return np.bincount(codes, weights=target, minlength=size).astype(np.float64), counts


def _smoothed(sums: NDArray[np.float64], counts: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
    return (sums + SMOOTHING * prior) / (counts + SMOOTHING)
