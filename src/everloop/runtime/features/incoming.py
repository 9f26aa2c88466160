"""A row of a source, as an event that a history keeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec

from everloop.core.clock import parse_time
from everloop.core.errors import UsageFault
from everloop.runtime.row_fill import microseconds
from everloop.table.feature_joined import SourceEvents
from everloop.table.labels import label_text

_MOST_MICROSECONDS = 2**61


class Flaw(NamedTuple):
    """What is wrong with a row, never its value.

    Attributes:
        row: Its place among those that were given.
        field: The field; empty for the row as a whole.
        expected: What was expected, in words.
        type: The type of what was given.
    """

    row: int
    field: str
    expected: str
    type: str


class FlawedValue(Exception):
    """A value is not of its column's type.

    Args:
        expected: What was expected, in words.
    """

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


class IncomingEvent(NamedTuple):
    """An event with everything that any history wants of it.

    Attributes:
        time: When it happened, in microseconds since 1970; None takes its event back.
        known: When it became known.
        key: What tells events apart.
        entities: From each `by` column to the text of its value; None belongs to no one.
        values: From each column that features read to its value.
    """

    time: int | None
    known: int
    key: str | None
    entities: dict[str, str | None]
    values: dict[str, Any]


class RowReader:
    """Makes events of a source's rows.

    Args:
        events: Which columns say when.
        by: The columns that tell entities apart.
        columns: From each column that features read to its type.
    """

    def __init__(self, events: SourceEvents, by: tuple[str, ...], columns: Mapping[str, str]) -> None:
        self._events = events
        self._by = by
        self._columns = tuple((name, _TYPES[kind]) for name, kind in columns.items())

    def read(self, row: Mapping[str, Any]) -> IncomingEvent | None:
        """Reads a row; None where it counts for no feature, ever.

        Raises:
            FlawedField: When a value is not of its column's type.
        """
        events = self._events
        time = _field(row, events.time, moment_of)
        known = time if events.known == events.time else _field(row, events.known, moment_of)
        key = self._key(row)
        if known is None or (time is None and key is None):
            return None
        entities = {name: _field(row, name, _entity) for name in self._by}
        return IncomingEvent(
            time, known, key, entities, {name: _field(row, name, read) for name, read in self._columns}
        )

    def _key(self, row: Mapping[str, Any]) -> str | None:
        parts = [_field(row, name, _entity) for name in self._events.key]
        if not parts or any(part is None for part in parts):
            return None
        return parts[0] if len(parts) == 1 else msgspec.json.encode(parts).decode()


class FlawedField(Exception):
    """A field of a row is not of its column's type.

    Args:
        field: The field.
        expected: What was expected, in words.
        type: The type of what was given.
    """

    def __init__(self, field: str, expected: str, type: str) -> None:  # noqa: A002  (as in problem details)
        super().__init__(f"{field}: expected {expected}, not {type}")
        self.field = field
        self.expected = expected
        self.type = type


def _field(row: Mapping[str, Any], name: str, read: Callable[[Any], Any]) -> Any:
    value = row.get(name)
    if value is None:
        return None
    try:
        return read(value)
    except FlawedValue as flaw:
        raise FlawedField(name, flaw.expected, type(value).__name__) from None


def moment_of(value: Any) -> int:
    """Gives a time as microseconds since 1970.

    Args:
        value: A datetime or date, ISO 8601 text, or a whole number of microseconds since 1970.

    Raises:
        FlawedValue: When it is none.
    """
    if isinstance(value, date):
        return microseconds(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST_MICROSECONDS:
        return value
    if isinstance(value, str):
        try:
            return microseconds(parse_time(value))
        except (UsageFault, OverflowError):
            pass
    raise FlawedValue("a time: ISO 8601, or microseconds since 1970")


def _entity(value: Any) -> str | None:
    if isinstance(value, datetime):
        return str(microseconds(value))
    if isinstance(value, (str, bool, int, float)):
        return label_text(value)
    raise FlawedValue("text, a number or a boolean")


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, int, float)) or hasattr(value, "as_tuple"):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    raise FlawedValue("a number")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise FlawedValue("text")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise FlawedValue("true or false")


_TYPES: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "text": _text,
    "boolean": _boolean,
    "time": moment_of,
}
