"""A table's columns as histograms, and the distances that are watched for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from everloop.measure.drift import DISTANCES
from everloop.measure.histogram import (
    Bins,
    Histogram,
    build_bins,
    categorical_bins,
    count,
    count_categories,
)
from everloop.table.labels import label_counts

if TYPE_CHECKING:
    import polars as pl

STATISTICS: dict[str, tuple[str, ...]] = {
    "numeric": ("kolmogorov_smirnov", "wasserstein", "missing_shift"),
    "categorical": ("jensen_shannon", "missing_shift"),
}
"""The distances that are watched, by the kind of column."""


def watched_columns(table: pl.DataFrame, names: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Gives the columns that can be watched: all but times, which move by nature, and nested values."""
    return tuple(
        name
        for name in (table.columns if names is None else names)
        if name in table.columns and not (table.schema[name].is_temporal() or table.schema[name].is_nested())
    )


def bins_of(column: pl.Series) -> Bins:
    """Builds bins that fit a column of the reference."""
    if column.dtype.is_numeric():
        return build_bins(numbers_of(column))
    return categorical_bins(_frequencies(column))


def count_column(bins: Bins, column: pl.Series) -> Histogram:
    """Counts a column in the reference's bins.

    A text where numbers were expected counts as missing.
    """
    if bins.kind == "numeric":
        return count(bins, numbers_of(column))
    return count_categories(bins, _frequencies(column))


def numbers_of(column: pl.Series) -> NDArray[np.float64]:
    """Gives a column as numbers, NaN where missing or no number, shape (n,)."""
    import polars as pl

    floats = column.cast(pl.Float64, strict=False).fill_null(float("nan"))
    return floats.to_numpy().astype(np.float64)


def distances_of(reference: Histogram, current: Histogram) -> dict[str, float]:
    """Measures every distance that is watched for this kind of column."""
    return {name: DISTANCES[name](reference, current) for name in STATISTICS[reference.bins.kind]}


def _frequencies(column: pl.Series) -> dict[str | None, int]:
    counts: dict[str | None, int] = dict(label_counts(column).items())
    missing = len(column) - sum(counts.values())
    if missing:
        counts[None] = missing
    return counts
