"""Parquet files that were written at different times, brought to one schema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from everloop.core.extras import require

# What two types of one column become together; others become text, and a missing one becomes any.
_WIDER = {frozenset(("int64", "double")): "double"}


def united(files: Sequence[Path], scratch: Path, *, undecided: bool = False) -> tuple[Path, ...]:
    """Gives files of one schema: those that have it as they are, others rewritten into `scratch`.

    A column is there when any file has it, in the order of their first appearance. Its type is the
    one that all files agree on, a number where some are whole, and text otherwise.

    Args:
        files: Parquet files.
        scratch: Where files are rewritten.
        undecided: Whether a column without any value stays without a type; it becomes text otherwise.
    """
    parquet = require("pyarrow.parquet", extra="train")
    schemas = [parquet.read_schema(file).remove_metadata() for file in files]
    wanted = _together(schemas, undecided=undecided)
    scratch.mkdir(exist_ok=True)
    result = []
    for place, (file, schema) in enumerate(zip(files, schemas, strict=True)):
        if schema.equals(wanted):
            result.append(file)
            continue
        target = scratch / f"united-{place:06d}.parquet"
        parquet.write_table(_fitted(parquet.read_table(file), wanted), target)
        result.append(target)
    return tuple(result)


def wider(one: Any, other: Any) -> Any:
    """Gives the Arrow type that holds values of both."""
    arrow = require("pyarrow", extra="train")
    if one == other or arrow.types.is_null(other):
        return one
    if arrow.types.is_null(one):
        return other
    name = _WIDER.get(frozenset((str(one), str(other))))
    return arrow.float64() if name else arrow.string()


def _together(schemas: Sequence[Any], *, undecided: bool) -> Any:
    arrow = require("pyarrow", extra="train")
    types: dict[str, Any] = {}
    for schema in schemas:
        for field in schema:
            types[field.name] = wider(types.get(field.name, field.type), field.type)
    if not undecided:
        types = {name: arrow.string() if arrow.types.is_null(kind) else kind for name, kind in types.items()}
    return arrow.schema(list(types.items()))


def _fitted(table: Any, wanted: Any) -> Any:
    arrow = require("pyarrow", extra="train")
    columns = []
    for field in wanted:
        if field.name not in table.column_names:
            columns.append(arrow.nulls(table.num_rows, field.type))
            continue
        column = table[field.name]
        if str(field.type) == "string" and str(column.type) not in ("null", "string", "large_string"):
            texts = [None if value is None else str(value) for value in column.to_pylist()]
            columns.append(arrow.chunked_array([arrow.array(texts, type=field.type)]))
        else:
            columns.append(column.cast(field.type))
    return arrow.table(columns, schema=wanted)
