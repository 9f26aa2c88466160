"""The last value of a cursor column: kept as JSON, given back to the database."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from everloop.core.errors import SourceUnreadable, SpecFault

# The name of a type -> how its values are read back from text.
_READ: dict[str, Any] = {
    "integer": int,
    "number": float,
    "decimal": Decimal,
    "text": str,
    "time": datetime.fromisoformat,
    "date": date.fromisoformat,
}
_TYPES: dict[type, str] = {
    int: "integer",
    float: "number",
    Decimal: "decimal",
    str: "text",
    datetime: "time",
    date: "date",
}


def position_of(column: str, value: Any) -> dict[str, Any]:
    """Describes the last value of a cursor column.

    Raises:
        SourceUnreadable: When the value has no order that can be continued: NaN, a boolean, bytes.
    """
    kind = _TYPES.get(type(value))
    if kind is None or (kind == "number" and not math.isfinite(value)):
        raise SourceUnreadable(
            f"The cursor {column} holds {value!r}; expected whole numbers, numbers, times or text.",
            hint="name another column as cursor, or cast it in the query",
        )
    last = repr(value) if kind == "number" else value.isoformat() if kind in ("time", "date") else str(value)
    return {"cursor": column, "type": kind, "last": last}


def first_value(position: dict[str, Any] | None, late: timedelta | None) -> Any:
    """Gives the value from which rows are read again; None where all are.

    Args:
        position: What `position_of` gave.
        late: How much later than their cursor's value rows may come.

    Raises:
        SpecFault: When `late` is given and the cursor is no time.
    """
    if position is None or position.get("last") is None:
        return None
    value = _READ[position["type"]](position["last"])
    if late is None:
        return value
    if not isinstance(value, date):  # a datetime is one
        raise SpecFault(f"late is a span of time, and the cursor {position['cursor']} is no time.")
    return value - late


def missing_cursor(column: str) -> SourceUnreadable:
    """Makes the error about rows whose cursor has no value: they could never be told from new ones."""
    return SourceUnreadable(
        f"The cursor {column} is missing in some rows; expected a value in each.",
        hint=f"add WHERE {column} IS NOT NULL to the query, or name another column as cursor",
    )
