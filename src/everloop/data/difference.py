"""The difference between two tables: columns, rows, distributions."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.values import to_jsonable
from everloop.data.row_changes import RowChanges, row_changes
from everloop.table.schema import schema_of
from everloop.table.tables import as_frame

if TYPE_CHECKING:
    import polars as pl

# Of the distance between two distributions, from 0 (the same) to 1 (apart).
NOTABLE = 0.1


@dataclass(frozen=True)
class ColumnDifference:
    """How one column's values changed.

    Attributes:
        name: The column.
        missing: The shares of rows without a value, before and after.
        distance: Between the two distributions: the greatest difference of their distribution
            functions for numbers and times (Kolmogorov-Smirnov), half the sum of the differences of
            their shares for the others (total variation); None where a side has no value.
        new: Values that only the second has, ten at most; for text and booleans.
        gone: Values that only the first has, ten at most.
    """

    name: str
    missing: tuple[float, float]
    distance: float | None
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def notable(self) -> bool:
        """Whether the change deserves a look."""
        shift = abs(self.missing[1] - self.missing[0])
        return shift >= NOTABLE or (self.distance or 0.0) >= NOTABLE


@dataclass(frozen=True)
class Difference:
    """How a table changed.

    Attributes:
        rows: Rows before and after.
        same_rows: Rows that both have, repeated ones counted as often as both have them; None where
            their columns differ.
        added: Columns that only the second has.
        removed: Columns that only the first has.
        retyped: Columns whose type changed: before and after.
        columns: The columns that both have with one type.
        changes: What became of single rows; None where no key tells them apart.
    """

    rows: tuple[int, int]
    same_rows: int | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    retyped: dict[str, tuple[str, str]]
    columns: tuple[ColumnDifference, ...]
    changes: RowChanges | None = None

    @property
    def same(self) -> bool:
        """Whether the two hold the same rows, in whatever order."""
        return self.same_rows == self.rows[0] == self.rows[1] and not self.retyped

    def to_dict(self) -> dict[str, Any]:
        """Gives the difference as what JSON can carry."""
        return dict(to_jsonable(vars(self)))

    def __str__(self) -> str:
        """Writes the difference as lines of text."""
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        """Shows the difference in a notebook."""
        return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in self._lines()) + "</ul>"

    def _lines(self) -> list[str]:
        if self.same:
            return [f"the same {self.rows[0]:,} rows"]
        lines = [f"rows: {self.rows[0]:,} -> {self.rows[1]:,}"]
        if self.same_rows is not None:
            lines[0] += f", {self.same_rows:,} of them the same"
        lines += self.changes.lines() if self.changes else []
        lines += [f"column added: {name}" for name in self.added]
        lines += [f"column removed: {name}" for name in self.removed]
        lines += [f"{name}: {before} -> {after}" for name, (before, after) in self.retyped.items()]
        for column in self.columns:
            if column.notable:
                distance = "" if column.distance is None else f"distance {column.distance:.2f}, "
                lines.append(
                    f"{column.name}: {distance}missing {column.missing[0]:.1%} -> {column.missing[1]:.1%}"
                )
                lines += [f"  new: {', '.join(column.new)}"] if column.new else []
                lines += [f"  gone: {', '.join(column.gone)}"] if column.gone else []
        return lines


def diff(before: Any, after: Any, *, key: Sequence[str] | str | None = None) -> Difference:
    """Compares two tables: columns, rows and each column's distribution.

    Args:
        before: A snapshot or its folder, a Polars, pandas, Arrow or DuckDB table, or a path.
        after: The same.
        key: The column or columns that tell rows apart, to see which were added, removed and changed.
            By default the first column of whole numbers or text that is complete and unique in both
            tables and has at least half its values in common.

    Raises:
        DataFault: When a key is not in both tables, is missing in a row or is there twice.

    Example:
        >>> import polars as pl
        >>> found = diff(pl.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [1, 2], "b": [0, 0]}))
        >>> found.added
        ('b',)
    """
    first, second = _frame(before), _frame(after)
    types, later = schema_of(first).types, schema_of(second).types
    shared = [name for name in types if name in later]
    retyped = {name: (str(types[name]), str(later[name])) for name in shared if types[name] != later[name]}
    compared = [name for name in shared if name not in retyped]
    first, second = _alike(first, types, compared), _alike(second, later, compared)
    same_rows = None
    if len(compared) == len(types) == len(later):
        same_rows = _count_same(first, second)
    wanted = (key,) if isinstance(key, str) else key
    return Difference(
        rows=(first.height, second.height),
        same_rows=same_rows,
        added=tuple(name for name in later if name not in types),
        removed=tuple(name for name in types if name not in later),
        retyped=retyped,
        columns=tuple(_compare(name, types[name], first[name], second[name]) for name in compared),
        changes=row_changes(first, second, wanted, compared),
    )


def _frame(table: Any) -> pl.DataFrame:
    from everloop.data.snapshots import SNAPSHOT_FILE, Snapshot

    if isinstance(table, str | Path) and (Path(table) / SNAPSHOT_FILE).is_file():
        table = Snapshot.load(table)
    return table.table() if isinstance(table, Snapshot) else as_frame(table)


def _alike(table: pl.DataFrame, types: Mapping[str, str], columns: Sequence[str]) -> pl.DataFrame:
    """Gives columns in the one form of their type, so that equal values are equal."""
    import polars as pl

    forms = {"integer": pl.Int64, "number": pl.Float64, "text": pl.String, "boolean": pl.Boolean}

    def formed(name: str) -> pl.Expr:
        column, dtype = pl.col(name), table.schema[name]
        if types[name] != "time":
            column = column.cast(forms[types[name]])
            return column.fill_nan(None) if types[name] == "number" else column
        column = column.cast(pl.Datetime("us")) if dtype == pl.Date else column.dt.cast_time_unit("us")
        zoned = isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
        return column.dt.convert_time_zone("UTC") if zoned else column.dt.replace_time_zone("UTC")

    return table.select(formed(name) for name in columns)


def _count_same(first: pl.DataFrame, second: pl.DataFrame) -> int:
    import polars as pl

    columns = first.columns
    counts = [
        table.select(pl.struct(columns).hash(seed=0).alias("key")).group_by("key").len(name)
        for table, name in ((first, "first"), (second, "second"))
    ]
    shared = counts[0].join(counts[1], on="key")
    return int(shared.select(pl.min_horizontal("first", "second").sum()).item() or 0)


def _compare(name: str, kind: str, first: pl.Series, second: pl.Series) -> ColumnDifference:
    one, other = _present(first), _present(second)
    missing = tuple(
        1 - len(kept) / len(all_) if len(all_) else 0.0 for kept, all_ in ((one, first), (other, second))
    )
    pair = (missing[0], missing[1])
    if one.is_empty() or other.is_empty():
        return ColumnDifference(name, pair, None)
    if kind in ("integer", "number", "time"):
        return ColumnDifference(name, pair, _greatest_gap(one, other))
    return ColumnDifference(name, pair, *_share_gap(one, other))


def _present(column: pl.Series) -> pl.Series:
    return column.drop_nulls()


def _greatest_gap(one: pl.Series, other: pl.Series) -> float:
    import polars as pl

    def numbers(column: pl.Series) -> Any:
        return np.sort(column.to_physical().cast(pl.Float64).to_numpy())

    first, second = numbers(one), numbers(other)
    places = np.concatenate([first, second])
    gaps = np.searchsorted(first, places, "right") / len(first) - np.searchsorted(
        second, places, "right"
    ) / len(second)
    return float(np.abs(gaps).max())


def _share_gap(one: pl.Series, other: pl.Series) -> tuple[float, tuple[str, ...], tuple[str, ...]]:
    import polars as pl

    shares = []
    for column in (one, other):
        counts = column.cast(pl.String).alias("value").value_counts(name="rows")
        texts, rows = counts["value"].to_list(), counts["rows"].to_list()
        shares.append({text: count / len(column) for text, count in zip(texts, rows, strict=True)})
    before, after = shares
    distance = (
        sum(abs(before.get(key, 0.0) - after.get(key, 0.0)) for key in before.keys() | after.keys()) / 2
    )
    new = tuple(sorted(after.keys() - before.keys())[:10])
    return distance, new, tuple(sorted(before.keys() - after.keys())[:10])
