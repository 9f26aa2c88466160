"""Values that must be in the key of another source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SpecFault
from everloop.table.schema import column_type

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.contract.table_rules import TableRule

ROW = "__everloop_row"


def strangers(lazy: pl.LazyFrame, rule: TableRule, tables: Mapping[str, Any]) -> pl.LazyFrame:
    """Gives the rows whose values the other source does not know, with their number in `ROW`.

    A row where one of the values is missing refers to nothing, and is not among them.

    Args:
        lazy: The table.
        rule: A rule of kind ``refers``.
        tables: The other sources, by name.

    Raises:
        SpecFault: The other source lacks the key's columns, or they are of another type.
    """
    import polars as pl

    from everloop.table.tables import as_lazy

    other = as_lazy(tables[str(rule.source)])
    theirs, ours = dict(other.collect_schema()), dict(lazy.collect_schema())
    left, right = [], []
    for column, key in zip(rule.columns, rule.key, strict=True):
        if key not in theirs:
            raise SpecFault(
                f"A rule refers to {rule.source}.{key}, and {rule.source} has no column {key!r}.",
                hint=f"its columns are {', '.join(theirs)}",
            )
        kind = _compared(column_type(column, ours[column]), column_type(key, theirs[key]))
        if kind is None:
            raise SpecFault(
                f"{column} ({ours[column]}) cannot refer to {rule.source}.{key} ({theirs[key]}).",
                hint="cast one of them in data.table",
            )
        left.append(_cast(pl.col(column), kind, ours[column]))
        right.append(_cast(pl.col(key), kind, theirs[key]))
    names = [f"__key{place}" for place in range(len(left))]
    keys = other.select(**dict(zip(names, right, strict=True))).unique()
    numbered = lazy.select(rule.columns).with_row_index(ROW)
    asked = numbered.with_columns(**dict(zip(names, left, strict=True))).drop_nulls(names)
    return asked.join(keys, on=names, how="anti", maintain_order="left").drop(names)


def _compared(ours: str, theirs: str) -> str | None:
    numeric = {"integer", "number"}
    if ours == theirs:
        return ours
    return "number" if {ours, theirs} <= numeric else None


def _cast(column: pl.Expr, kind: str, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    if kind == "time":
        return column.dt.epoch("us")
    targets: dict[str, Any] = {"integer": pl.Int64, "number": pl.Float64, "text": pl.String}
    column = column.cast(targets[kind]) if kind in targets else column
    return column.fill_nan(None) if kind == "number" and dtype.is_float() else column
