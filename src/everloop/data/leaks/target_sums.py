"""A target summed up by the values of a column: what a mean of the target was, or may have been, made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.data.leaks.values import merged_classes
from everloop.table.labels import label_codes

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.data.leaks.values import Floats
    from everloop.table.stored import ColumnTable

MOST_NAMED_CLASSES = 10


@dataclass(frozen=True)
class TargetSums:
    """Targets of the rows of each value of a column.

    Attributes:
        values: The values, each once, the missing one among them, (m,).
        rows: How many rows have each, (m,).
        sums: The sum of their targets less `centre`, (m,).
        squares: The sum of the squares of those differences, (m,).
        centre: What is taken off before summing up: sums of numbers far from 0 would lose their last digits.
        binary: Whether every target is 0 or 1.
    """

    values: pl.Series
    rows: Floats
    sums: Floats
    squares: Floats
    centre: float = 0.0
    binary: bool = True


def target_sums(
    tables: Sequence[ColumnTable], name: str, target: str, task: str, centre: float = 0.0
) -> Iterator[tuple[str, TargetSums]]:
    """Sums up a target by a column's values, as rows stream by.

    Args:
        tables: The rows; those without a target are left out. Nothing is given where one lacks the column.
        name: The column.
        target: The target.
        task: The frame's task.
        centre: About where numbers lie.

    Returns:
        What may have been averaged, with its sums: the numbers under the empty name, and the indicator of
        each of the most frequent classes under its own.
    """
    import polars as pl

    if not all(name in table.columns for table in tables):
        return
    each = [table.lazy().select(pl.col(name).alias("x"), pl.col(target).alias("y")) for table in tables]
    rows = pl.concat(each, how="vertical_relaxed").filter(pl.col("y").is_not_null())
    if task == "regression":
        yield "", _of_numbers(rows, centre)
        return
    counted = rows.group_by("x", "y").agg(pl.len().alias("rows")).collect(engine="streaming")
    if counted["y"].dtype.is_numeric() and counted["y"].n_unique() > 2:
        y, held = counted["y"].cast(pl.Float64).to_numpy(), counted["rows"].to_numpy()
        yield "", _together(counted["x"], held, held * y, held * y**2, binary=False)
    yield from _of_classes(counted)


def _of_numbers(rows: pl.LazyFrame, centre: float) -> TargetSums:
    import polars as pl

    y = pl.col("y").cast(pl.Float64)
    binary = y.is_in([0.0, 1.0]).all().alias("binary")
    sums = {"rows": pl.len(), "sums": (y - centre).sum(), "squares": ((y - centre) ** 2).sum()}
    found = rows.group_by("x").agg(binary, **sums).collect(engine="streaming")
    counts, total, squares = (found[key].cast(pl.Float64).to_numpy() for key in sums)
    return TargetSums(found["x"], counts, total, squares, centre, bool(found["binary"].all()))


def _of_classes(counted: pl.DataFrame) -> Iterator[tuple[str, TargetSums]]:
    labels, codes = label_codes(counted["y"])
    held = counted["rows"].to_numpy().astype(np.float64)
    names, place = merged_classes(labels, np.bincount(codes, weights=held, minlength=len(labels)))
    codes = place[codes]
    frequent = np.argsort(-np.bincount(codes, weights=held, minlength=len(names)), kind="stable")
    for chosen in frequent[:MOST_NAMED_CLASSES]:
        own = held * (codes == chosen)
        yield names[int(chosen)], _together(counted["x"], held, own, own, binary=True)


def _together(
    values: pl.Series, rows: NDArray[np.float64], sums: Floats, squares: Floats, *, binary: bool
) -> TargetSums:
    import polars as pl

    parts = pl.DataFrame({"x": values, "rows": rows, "sums": sums, "squares": squares})
    found = parts.group_by("x", maintain_order=True).sum()
    counts, total, squared = (found[key].cast(pl.Float64).to_numpy() for key in ("rows", "sums", "squares"))
    return TargetSums(found["x"], counts, total, squared, binary=binary)
