"""What kind of feature each column can be, and which can be none, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from everloop.core.errors import DataFault
from everloop.table.content import content_of
from everloop.table.prose import is_prose

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from everloop.table.schema import ColumnType

Kind = Literal["number", "category", "many_categories", "time", "text", "image", "sound"]

MOST_ONE_HOT = 20
"""A text with more categories is encoded by the target's mean instead."""

ALMOST_UNIQUE = 0.5
"""A text with more categories than this share of its rows tells rows apart; its words may be features."""

FEW_ROWS = 50
"""Under so many distinct values a text is never called almost unique."""


@dataclass(frozen=True, slots=True)
class ColumnKinds:
    """What was decided for each input column.

    Attributes:
        kept: Column -> kind of feature.
        dropped: Column -> why it is no feature.
        types: Column -> its type in the words of `table.schema`, for all of them.
    """

    kept: dict[str, Kind]
    dropped: dict[str, str]
    types: dict[str, ColumnType]


def column_kinds(table: pl.DataFrame, inputs: Sequence[str]) -> ColumnKinds:
    """Decides for each input column what kind of feature it is.

    Args:
        table: The training rows.
        inputs: The columns that may be used.

    Raises:
        DataFault: When a column is not in the table, or none can be a feature.
    """
    from everloop.table.schema import schema_of

    inputs = tuple(dict.fromkeys(inputs))
    known = set(table.columns)
    absent = [name for name in inputs if name not in known]
    if absent:
        raise DataFault(f"The table has no column {absent[0]!r}, which the problem counts among its inputs.")
    types = schema_of(table.select(inputs)).types
    present, distinct = _counts(table, inputs)
    kept: dict[str, Kind] = {}
    dropped: dict[str, str] = {}
    for name in inputs:
        content = content_of(table[name])
        if content is not None:
            kept[name] = content
            continue
        reason = _why_not(types[name], present[name], distinct[name])
        apart = types[name] == "text" and _tells_rows_apart(present[name], distinct[name])
        if apart and is_prose(table[name]):
            kept[name] = "text"
        elif reason is None:
            kept[name] = _kind(types[name], distinct[name])
        else:
            dropped[name] = reason
    if not kept:
        raise DataFault(
            "No column can be a feature: "
            + "; ".join(f"{n!r}: {r}" for n, r in list(dropped.items())[:5])
            + ".",
            hint="look at problem and data.features in everloop.yaml: everloop check",
        )
    return ColumnKinds(kept, dropped, types)


def _counts(table: pl.DataFrame, inputs: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    import polars as pl

    schema = table.schema

    def cleaned(name: str) -> pl.Expr:
        return pl.col(name).fill_nan(None) if schema[name].is_float() else pl.col(name)

    counts: dict[str, Any] = table.select(
        *(cleaned(name).count().alias(f"present {i}") for i, name in enumerate(inputs)),
        *(cleaned(name).drop_nulls().n_unique().alias(f"distinct {i}") for i, name in enumerate(inputs)),
    ).row(0, named=True)
    present = {name: int(counts[f"present {i}"]) for i, name in enumerate(inputs)}
    distinct = {name: int(counts[f"distinct {i}"]) for i, name in enumerate(inputs)}
    return present, distinct


def _why_not(type_name: str, present: int, distinct: int) -> str | None:
    if present == 0:
        return "it is missing in every training row"
    if distinct == 1:
        return "it has one value in all training rows that have it"
    if type_name == "text" and _tells_rows_apart(present, distinct):
        return f"it is no category and has no words: {distinct} different values in {present} rows"
    return None


def _tells_rows_apart(present: int, distinct: int) -> bool:
    return distinct > max(FEW_ROWS, ALMOST_UNIQUE * present)


def _kind(type_name: str, distinct: int) -> Kind:
    if type_name in ("integer", "number"):
        return "number"
    if type_name == "time":
        return "time"
    return "category" if distinct <= MOST_ONE_HOT else "many_categories"
