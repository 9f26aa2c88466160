"""Rows as a database driver gives them, landed as Parquet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from everloop.core.clock import as_utc
from everloop.core.errors import SourceUnreadable
from everloop.core.extras import require

_MODULUS = 1 << 256

# Arrow type -> how a driver's value becomes one of it. A column's type is the first that all of its
# values fit; what fits none becomes text.
_FROM_PYTHON: dict[type, tuple[str, Callable[[Any], Any]]] = {
    bool: ("bool_", bool),
    int: ("int64", int),
    float: ("float64", float),
    Decimal: ("float64", float),
    str: ("string", str),
    UUID: ("string", str),
    time: ("string", str),
    dict: ("string", json.dumps),
    list: ("string", json.dumps),
    datetime: ("timestamp", as_utc),
    date: ("timestamp", lambda value: as_utc(datetime(value.year, value.month, value.day))),  # noqa: DTZ001
}
# What two types of one column become together.
_WIDER = {frozenset(("int64", "float64")): "float64"}


class RowLanding:
    """Writes batches of rows as Parquet files and digests them, whatever their order.

    The digest is the sum of the rows' SHA-256 modulo 2**256, so that a query without an order gives
    the same digest whenever it gives the same rows.

    Args:
        folder: An empty folder for the files.
        columns: The columns' names.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        if len({name.lower() for name in columns}) != len(columns):
            raise SourceUnreadable(
                f"The query gives a column twice: {', '.join(columns)}.",
                hint="name each column once, with AS",
            )
        self.rows = 0
        self._folder = folder
        self._columns = list(columns)
        self._kinds: list[str | None] = [None] * len(columns)
        self._parts: list[Path] = []
        self._sum = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Writes a batch.

        Raises:
            SourceUnreadable: When a column holds bytes.
        """
        for row in rows:
            self._sum += int.from_bytes(hashlib.sha256(repr(tuple(row)).encode()).digest())
        self._sum %= _MODULUS
        arrays = {}
        for position, name in enumerate(self._columns):
            kind, array = _to_arrow([row[position] for row in rows], name)
            self._kinds[position] = _together(self._kinds[position], kind)
            if kind is not None:
                arrays[name] = array
        self.rows += len(rows)
        self._write(arrays, len(rows))

    def files(self) -> tuple[Path, ...]:
        """Gives the files, all of one schema."""
        arrow = require("pyarrow", extra="train")
        parquet = require("pyarrow.parquet", extra="train")
        types = [_arrow_type(kind or "string") for kind in self._kinds]
        schema = arrow.schema(list(zip(self._columns, types, strict=True)))
        if not self._parts:
            self._parts.append(self._folder / "part-000000.parquet")
            parquet.write_table(schema.empty_table(), self._parts[0])
        for part in self._parts:
            table = parquet.read_table(part)
            if table.schema.equals(schema):
                continue
            columns = [_cast(table, field) for field in schema]
            parquet.write_table(arrow.table(columns, schema=schema), part)
        return tuple(self._parts)

    def digest(self) -> str:
        """Gives the digest of the columns' names and all rows so far."""
        names = json.dumps(self._columns).encode()
        return hashlib.sha256(names + self._sum.to_bytes(32)).hexdigest()

    def _write(self, arrays: dict[str, Any], rows: int) -> None:
        arrow = require("pyarrow", extra="train")
        parquet = require("pyarrow.parquet", extra="train")
        columns = {name: arrays.get(name, arrow.nulls(rows)) for name in self._columns}
        part = self._folder / f"part-{len(self._parts):06d}.parquet"
        parquet.write_table(arrow.table(columns), part)
        self._parts.append(part)


def _together(one: str | None, other: str | None) -> str | None:
    if one is None or other is None or one == other:
        return one or other
    return _WIDER.get(frozenset((one, other)), "string")


def _arrow_type(kind: str) -> Any:
    arrow = require("pyarrow", extra="train")
    return arrow.timestamp("us", tz="UTC") if kind == "timestamp" else getattr(arrow, kind)()


def _to_arrow(values: list[Any], name: str) -> tuple[str | None, Any]:
    arrow = require("pyarrow", extra="train")
    found = {type(value) for value in values if value is not None}
    if unknown := [kind.__name__ for kind in found if kind not in _FROM_PYTHON]:
        raise SourceUnreadable(
            f"The column {name} holds {', '.join(sorted(unknown))}, which a table cannot hold.",
            hint="leave it out of the query, or cast it to text there",
        )
    kind: str | None = None
    for item in found:
        kind = _together(kind, _FROM_PYTHON[item][0])
    if kind is None:
        return None, None
    if kind == "string":
        converted = [None if value is None else _as_text(value) for value in values]
    else:
        converted = [None if value is None else _FROM_PYTHON[type(value)][1](value) for value in values]
    try:
        return kind, arrow.array(converted, type=_arrow_type(kind))
    except (OverflowError, arrow.ArrowInvalid) as error:
        raise SourceUnreadable(
            f"The column {name} holds a number beyond 64 bits.", hint="cast it in the query"
        ) from error


def _as_text(value: Any) -> str:
    return str(_FROM_PYTHON[type(value)][1](value))


def _cast(table: Any, field: Any) -> Any:
    column = table[field.name]
    if column.type == field.type:
        return column
    if str(field.type) == "string" and str(column.type) != "null":
        arrow = require("pyarrow", extra="train")
        texts = [None if value is None else str(value) for value in column.to_pylist()]
        return arrow.chunked_array([arrow.array(texts, type=field.type)])
    return column.cast(field.type)
