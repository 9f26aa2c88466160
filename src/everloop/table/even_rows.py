"""Rows drawn evenly from the space that a table spans: what its own rows are set against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

MOST_CATEGORIES = 1_000

CONTRAST_POINTS = 2_000
"""So many points know a share of the space to about one point of a hundred."""


def even_rows(table: pl.DataFrame, columns: Sequence[str], count: int, *, seed: int = 0) -> pl.DataFrame:
    """Draws rows whose every column is even over what the table's column spans, apart from all others.

    A number or a time lies evenly between the least and the greatest, a category is any of those there
    are, each as likely. Missing values are as frequent as in the table.

    Args:
        table: The rows that span the space; at least one.
        columns: Which columns to draw.
        count: How many rows.
        seed: Of the drawing.

    Returns:
        The columns in their types, (count, columns).
    """
    import polars as pl

    random = np.random.default_rng(seed)
    return pl.DataFrame([_drawn(table[name], count, random) for name in columns])


def _drawn(column: pl.Series, count: int, random: np.random.Generator) -> pl.Series:
    import polars as pl

    known = column.drop_nulls()
    if column.dtype.is_float():
        known = known.filter(known.is_finite())
    absent = random.random(count) < 1 - len(known) / max(1, len(column))
    if known.is_empty():
        return pl.Series(column.name, [None] * count, dtype=column.dtype)
    if column.dtype.is_numeric() or column.dtype.is_temporal():
        numbers = known.to_physical().cast(pl.Float64)
        low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
        at = low + random.random(count) * (high - low)
        drawn = pl.Series(column.name, at if column.dtype.is_float() else np.rint(at))
        drawn = drawn.cast(known.to_physical().dtype).cast(column.dtype)
    else:
        distinct = known.unique().sort().head(MOST_CATEGORIES)
        drawn = distinct.gather(random.integers(0, len(distinct), count)).alias(column.name)
    return pl.select(pl.when(pl.Series(~absent)).then(drawn).alias(column.name)).to_series()
