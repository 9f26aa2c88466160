"""Rows as Python values, landed as Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from everloop.core.clock import as_utc
from everloop.core.errors import SourceUnreadable
from everloop.core.extras import require
from everloop.data.sources.united import united

# Python type -> Arrow type and how a value becomes one of it. A column's type is the first that all of
# its values fit; what fits none becomes text.
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
# Values that Arrow takes as they are.
_PLAIN = frozenset((bool, int, float, str))
# What two types of one column become together.
_WIDER = {frozenset(("int64", "float64")): "float64"}


class RowLanding:
    """Writes batches of rows as Parquet files; memory holds one batch.

    Args:
        folder: An empty folder for the files.
        columns: The columns' names.

    Raises:
        SourceUnreadable: When two columns have one name; capitals do not count.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        if len({name.lower() for name in columns}) != len(columns):
            raise SourceUnreadable(
                f"A column is there twice: {', '.join(columns)}.", hint="name each column once, with AS"
            )
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = 0
        self._folder = folder
        self._columns = list(columns)
        self._parts: list[Path] = []

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Writes a batch.

        Raises:
            SourceUnreadable: When a column holds bytes.
        """
        values = zip(*rows, strict=True) if rows else ([] for _ in self._columns)
        self._write([_to_arrow(column, name) for column, name in zip(values, self._columns, strict=True)])
        self.rows += len(rows)

    def files(self) -> tuple[Path, ...]:
        """Gives the files, all of one schema; a column without any value has no type yet."""
        if not self._parts:
            self.add([])
        return united(self._parts, self._folder / "united", undecided=True)

    def _write(self, arrays: list[Any]) -> None:
        arrow = require("pyarrow", extra="train")
        parquet = require("pyarrow.parquet", extra="train")
        part = self._folder / f"part-{len(self._parts):06d}.parquet"
        parquet.write_table(arrow.table(arrays, names=self._columns), part)
        self._parts.append(part)


def _together(one: str | None, other: str) -> str:
    if one is None or one == other:
        return other
    return _WIDER.get(frozenset((one, other)), "string")


def _arrow_type(kind: str) -> Any:
    arrow = require("pyarrow", extra="train")
    return arrow.timestamp("us", tz="UTC") if kind == "timestamp" else getattr(arrow, kind)()


def _to_arrow(values: Sequence[Any], name: str) -> Any:
    arrow = require("pyarrow", extra="train")
    found = set(map(type, values)) - {type(None)}
    if unknown := [kind.__name__ for kind in found if kind not in _FROM_PYTHON]:
        raise SourceUnreadable(
            f"The column {name} holds {', '.join(sorted(unknown))}, which a table cannot hold.",
            hint="leave it out of the query, or cast it to text there",
        )
    kind: str | None = None
    for item in found:
        kind = _together(kind, _FROM_PYTHON[item][0])
    if kind is None:
        return arrow.nulls(len(values))
    if len(found) > 1 or not found <= _PLAIN:
        convert = _as_text if kind == "string" else _converted
        values = [None if value is None else convert(value) for value in values]
    try:
        return arrow.array(values, type=_arrow_type(kind))
    except (OverflowError, arrow.ArrowInvalid) as error:
        raise SourceUnreadable(
            f"The column {name} holds a number beyond 64 bits.", hint="cast it in the query"
        ) from error


def _converted(value: Any) -> Any:
    return _FROM_PYTHON[type(value)][1](value)


def _as_text(value: Any) -> str:
    return str(_converted(value))


class RecordLanding:
    """Writes records, which need not have the same fields, as Parquet files of one schema.

    Args:
        folder: An empty folder for the files.
        batch_rows: How many records make a file; memory holds as many.
    """

    def __init__(self, folder: Path, *, batch_rows: int = 20_000) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = 0
        self._folder = folder
        self._batch_rows = batch_rows
        self._waiting: list[Mapping[str, Any]] = []
        self._parts: list[Path] = []

    def add(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Takes records.

        Raises:
            SourceUnreadable: When a field holds what a table cannot.
        """
        for record in records:
            self._waiting.append(record)
            self.rows += 1
            if len(self._waiting) >= self._batch_rows:
                self._write()

    def files(self) -> tuple[Path, ...]:
        """Gives the files; none where there was no record. A field without any value has no type yet."""
        if self._waiting:
            self._write()
        return united(self._parts, self._folder / "united", undecided=True)

    def _write(self) -> None:
        names = list(dict.fromkeys(name for record in self._waiting for name in record))
        landing = RowLanding(self._folder / f"batch-{len(self._parts):06d}", names)
        landing.add([[record.get(name) for name in names] for record in self._waiting])
        self._parts += landing.files()
        self._waiting = []
