"""Rows as plain values that a database can carry, and back."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from everloop.core.errors import DataFault
from everloop.core.values import to_jsonable
from everloop.record.faults import check_time, kind_name
from everloop.record.rows import Row

R = TypeVar("R", bound=Row)


def plain(value: Any, what: str) -> Any:
    """Gives what JSON carries of a value: a deep copy that shares nothing with it.

    Raises:
        DataFault: When a part of it has no JSON form.
    """
    try:
        return to_jsonable(value)
    except TypeError as error:
        raise DataFault(f"{what} cannot be recorded: {error}.") from None


def row_values(row: Row) -> dict[str, Any]:
    """Gives a row's fields: times in UTC, facts as JSON carries them.

    Raises:
        DataFault: When a time has no zone or a fact has no JSON form.
    """
    values: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        what = f"{field.name} of {kind_name(type(row))} {row.id!r}"
        if isinstance(value, datetime):
            value = check_time(value, what).astimezone(UTC)
        elif field.name in ("facts", "metrics"):
            value = plain(value, what)
        elif isinstance(value, str):
            value = readable(value)
        elif hasattr(value, "tolist"):  # a numpy scalar
            value = value.tolist()
        values[field.name] = value
    return values


def readable(text: str) -> str:
    r"""Gives the text with what no database keeps (lone surrogates, NUL) written out, as in ``\x00``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def searched(value: Any) -> Any:
    """Gives a value to search for in the form in which it is kept."""
    if isinstance(value, datetime):
        return check_time(value, "what is searched for").astimezone(UTC)
    if isinstance(value, str):
        return readable(value)
    return value.tolist() if hasattr(value, "tolist") else value
