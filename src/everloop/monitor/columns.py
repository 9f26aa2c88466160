"""A table's columns as histograms, and the distances that are watched for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from everloop.measure.cells import Scratch
from everloop.measure.distances import BATCHED, Pairs
from everloop.measure.histogram import (
    Bins,
    Histogram,
    categorical_bins,
    count_categories,
    count_numbers,
    numeric_bins,
)
from everloop.measure.ranks import Ranked
from everloop.monitor.facets import kind_of
from everloop.table.labels import label_counts, label_texts

if TYPE_CHECKING:
    import polars as pl

Found = TypeVar("Found")

STATISTICS: dict[str, tuple[str, ...]] = {
    "numeric": (
        "cramer_von_mises",
        "jensen_shannon",
        "fine_jensen_shannon",
        "fine_chi_square",
        "missing_shift",
    ),
    "categorical": ("fine_jensen_shannon", "fine_chi_square", "missing_shift", "unseen_share"),
}
"""The distances that alarms are held to, by the kind of column; all others are measured beside them."""

_OF_NUMBERS = ("cramer_von_mises", "wasserstein")


def watched_columns(table: pl.DataFrame, names: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Gives the columns that are watched by their values: all but times, which move by nature.

    Of prose, images and sounds `everloop.monitor.facets` are watched.
    """
    types = table.schema
    return tuple(
        name
        for name in (types if names is None else names)
        if name in types
        and not (types[name].is_temporal() or types[name].is_nested())
        and kind_of(table[name]) is None
    )


def count_reference(column: pl.Series, scratch: Scratch | None = None) -> Histogram:
    """Builds bins that fit a column of the reference, and counts it in them."""
    if column.dtype.is_numeric():
        numbers = Ranked.of(numbers_of(column), scratch)
        return count_numbers(numeric_bins(numbers), numbers)
    frequencies = _frequencies(column)
    return count_categories(categorical_bins(frequencies), frequencies)


def count_column(bins: Bins, column: pl.Series, scratch: Scratch | None = None) -> Histogram:
    """Counts a column in the reference's bins.

    A text where numbers were expected counts as missing.
    """
    if bins.kind == "numeric":
        return count_numbers(bins, Ranked.of(numbers_of(column), scratch, np.asarray(bins.edges)))
    return count_categories(bins, _frequencies(column))


def bins_of_rows(bins: Bins, column: pl.Series) -> NDArray[np.int64]:
    """Gives each row's bin, that after the last where it is missing, shape (n,)."""
    import polars as pl

    if bins.kind == "numeric":
        return bins_of_numbers(bins, numbers_of(column))
    places = {category: i for i, category in enumerate(bins.categories)}
    found = label_texts(column).replace_strict(places, default=bins.size - 1, return_dtype=pl.Int64)
    return np.where(column.is_null().to_numpy(), bins.size, found.to_numpy())


def bins_of_numbers(bins: Bins, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Gives each number's bin, that after the last where it is NaN, shape (n,)."""
    found = np.searchsorted(np.asarray(bins.edges), numbers, side="right")
    return np.where(np.isnan(numbers), bins.size, found)


def for_each(work: Callable[[str, Scratch], Found], names: Iterable[str]) -> dict[str, Found]:
    """Works on columns side by side on the processor's cores: NumPy lets go of the interpreter.

    Args:
        work: What is done with each, given what it may write in.
        names: The columns.
    """
    listed, cores = list(names), os.cpu_count() or 1
    free: SimpleQueue[Scratch] = SimpleQueue()

    def alone(name: str) -> Found:
        scratch = free.get()
        try:
            return work(name, scratch)
        finally:
            free.put(scratch)

    for _ in range(cores):
        free.put(Scratch())
    with ThreadPoolExecutor(max_workers=cores) as pool:
        # Who waited for each in turn would wake up for each, and have the others wait for the interpreter.
        found = [pool.submit(alone, name) for name in listed]
    return {name: future.result() for name, future in zip(listed, found, strict=True)}


def numbers_of(column: pl.Series) -> NDArray[np.float64]:
    """Gives a column as numbers, NaN where missing or no number, shape (n,)."""
    import polars as pl

    floats = column.cast(pl.Float64, strict=False)
    if floats.null_count():
        floats = floats.fill_null(float("nan"))
    return np.asarray(floats.to_numpy(), dtype=np.float64)


def all_distances(reference: Histogram, current: Histogram) -> dict[str, float]:
    """Measures every distance of two histograms; those that a kind of column does not have are left out."""
    pairs = Pairs.of(reference, current)
    found = {name: float(distance(pairs)[0]) for name, distance in BATCHED.items()}
    return {name: value for name, value in found.items() if name not in _OF_NUMBERS or _ordered(reference)}


def _ordered(histogram: Histogram) -> bool:
    return histogram.bins.kind == "numeric"


def _frequencies(column: pl.Series) -> dict[str | None, int]:
    counts: dict[str | None, int] = dict(label_counts(column).items())
    missing = len(column) - sum(counts.values())
    if missing:
        counts[None] = missing
    return counts
