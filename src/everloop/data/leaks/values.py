"""Columns and targets as arrays that statistics can be made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.values import to_jsonable
from everloop.table.labels import label_codes, label_texts

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_CLASSES = 20
"""Of a target with more classes the most frequent are told apart, and all others are one."""

PARSED = 0.99
"""A text column holds numbers, or times, where this share of its values reads as one."""

SMALLEST_EPOCH = 1e8
"""Seconds since 1970 that are smaller fall into the first three years, and are rather amounts."""


@dataclass(frozen=True)
class Target:
    """A target's values, ready to be explained.

    Attributes:
        names: The classes in order; empty for numbers.
        matrix: One-hot classes (n, k), or the ranks of numbers between 0 and 1 (n, 1).
        numbers: Class positions or the numbers themselves, (n,).
    """

    names: tuple[str, ...]
    matrix: Floats
    numbers: Floats

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.numbers)

    def least(self) -> int:
        """Counts the rows of the rarest class; all rows where the target is a number."""
        return int(self.matrix.sum(axis=0).min()) if self.names else self.rows


def target_of(column: pl.Series, task: str) -> Target:
    """Reads a target without missing values.

    Args:
        column: Its values, (n,).
        task: The frame's task.
    """
    if task == "regression":
        import polars as pl

        numbers = column.cast(pl.Float64).to_numpy()
        return Target((), ranks(numbers)[:, None], numbers)
    labels, codes = label_codes(column)
    names, place = merged_classes(labels, np.bincount(codes, minlength=len(labels)))
    codes = place[codes]
    matrix = np.zeros((len(codes), len(names)))
    matrix[np.arange(len(codes)), codes] = 1.0
    return Target(names, matrix, codes.astype(np.float64))


def merged_classes(labels: Sequence[str], counts: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Makes one of the classes that come least, where there are many.

    Args:
        labels: The classes, in order.
        counts: The rows of each.

    Returns:
        The names, and each class's place among them.
    """
    if len(labels) <= MOST_CLASSES:
        return tuple(labels), np.arange(len(labels))
    kept = np.argsort(-counts, kind="stable")[: MOST_CLASSES - 1]
    place = np.full(len(labels), MOST_CLASSES - 1)
    place[kept] = np.arange(len(kept))
    return (*(labels[one] for one in kept), "all others"), place


def ranks(numbers: Floats) -> Floats:
    """Gives the mean rank of each number, between 0 and 1; equal numbers have equal ranks."""
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((ends - counts / 2) / len(numbers))[inverse], dtype=np.float64)


def numbers_of(column: pl.Series) -> Floats | None:
    """Gives a column's values as numbers, NaN where missing; None for text that is no numbers.

    Times are microseconds, booleans 0 and 1; text is read where nearly every value is a number.
    """
    import polars as pl

    if column.dtype.is_numeric() or column.dtype == pl.Boolean or column.dtype.is_temporal():
        return column.to_physical().cast(pl.Float64).to_numpy()  # NaN where missing
    if column.dtype != pl.String:
        return None
    parsed = column.str.strip_chars().cast(pl.Float64, strict=False).fill_nan(None)
    if len(parsed) - parsed.null_count() < max(1.0, PARSED * (len(column) - column.null_count())):
        return None
    return parsed.to_numpy()


def codes_of(column: pl.Series) -> tuple[NDArray[np.int64], int]:
    """Gives each value's number among the distinct ones, a missing value being one of them."""
    import polars as pl

    if column.dtype.is_float():
        column = column.fill_nan(None)
    codes = column.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() if _ordered(column) else None
    if codes is None:
        codes = label_texts(column).rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    _, inverse = np.unique(codes, return_inverse=True)
    return inverse.astype(np.int64), int(inverse.max(initial=-1)) + 1


def _ordered(column: pl.Series) -> bool:
    import polars as pl

    return column.dtype.is_numeric() or column.dtype.is_temporal() or column.dtype in (pl.String, pl.Boolean)


def times_of(column: pl.Series, near: tuple[float, float] | None = None) -> Floats | None:
    """Gives a column's times in microseconds since 1970, NaN where missing; None where it holds none.

    Args:
        column: Times, text that reads as times, or whole numbers of seconds, milliseconds or
            microseconds since 1970.
        near: The least and the greatest time that numbers must lie near to be taken for times.
    """
    import polars as pl

    if column.dtype.is_temporal() and column.dtype not in (pl.Duration, pl.Time):
        times = column.dt.replace_time_zone(None) if _zoned(column) else column.cast(pl.Datetime("us"))
        return times.cast(pl.Datetime("us")).to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()
    if column.dtype == pl.String:
        return _read_times(column)
    if column.dtype.is_numeric() and near is not None:
        return _epochs(column, near)
    return None


def _zoned(column: pl.Series) -> bool:
    return getattr(column.dtype, "time_zone", None) is not None


def _read_times(column: pl.Series) -> Floats | None:
    import polars as pl

    present = column.drop_nulls()
    if present.is_empty() or not present.head(20).str.contains(r"^\s*\d{4}-\d{2}-\d{2}([T ]|\s*$)").all():
        return None
    text = column.str.strip_chars().str.replace("T", " ").str.replace(r"Z$", "+00:00")
    parsed = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", strict=False, time_unit="us")
    parsed = parsed.dt.replace_time_zone(None)
    for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        parsed = parsed.fill_null(text.str.to_datetime(form, strict=False, time_unit="us"))
    if parsed.count() < PARSED * len(present):
        return None
    return parsed.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()


def _epochs(column: pl.Series, near: tuple[float, float]) -> Floats | None:
    numbers = numbers_of(column)
    if numbers is None:
        return None
    known = numbers[np.isfinite(numbers)]
    if not len(known) or known.min() < SMALLEST_EPOCH:
        return None
    span = max(near[1] - near[0], 366 * 86_400e6)
    for scale in (1e6, 1e3, 1.0):
        if known.min() * scale > near[0] - span and known.max() * scale < near[1] + span:
            return np.asarray(numbers * scale, dtype=np.float64)
    return None


def moment_text(microseconds: float) -> str:
    """Writes microseconds since 1970 as a time in UTC."""
    from datetime import UTC, datetime, timedelta

    return str(to_jsonable(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=float(microseconds))))
