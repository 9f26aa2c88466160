"""Columns of any DuckDB type as columns of our five, with times in UTC."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from everloop.core.errors import SpecFault
from everloop.data.duck import quote_name
from everloop.data.query import refuse_column

if TYPE_CHECKING:
    from everloop.table.schema import ColumnType

# DuckDB type (without what is in parentheses) -> our type, and the expression that makes it.
# NaN is a missing value, and a negative zero is zero: equal rows have equal bytes.
_NUMBER = "nullif(CAST({c} AS DOUBLE), 'NaN'::DOUBLE) + 0.0"
_TIME = "CAST({c} AS TIMESTAMPTZ)"
_INTEGER = "CAST({c} AS BIGINT)"
_TEXT = "CAST({c} AS VARCHAR)"
_TYPES: dict[str, tuple[ColumnType, str]] = {
    "BOOLEAN": ("boolean", "{c}"),
    **dict.fromkeys(
        (
            *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
            *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
        ),
        ("integer", _INTEGER),
    ),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), ("number", _NUMBER)),
    **dict.fromkeys(
        ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE"), ("time", _TIME)
    ),
    "TIMESTAMP_NS": ("time", "CAST(CAST({c} AS TIMESTAMP) AS TIMESTAMPTZ)"),
    **dict.fromkeys(("VARCHAR", "ENUM", "UUID", "TIME", "NULL", '"NULL"'), ("text", _TEXT)),
}


def typed_column(name: str, kind: str) -> tuple[ColumnType, str]:
    """Gives a column's type among our five, and the SQL that makes it one.

    Args:
        name: The column's name.
        kind: Its DuckDB type, such as ``DECIMAL(18,3)``.

    Raises:
        SpecFault: When the type holds what a table cannot, such as a list.
    """
    plain = re.sub(r"\(.*\)$", "", kind, flags=re.DOTALL)
    if plain not in _TYPES or kind.endswith("]"):
        refuse_column(name, kind)
    ours, template = _TYPES[plain]
    return ours, template.format(c=quote_name(name))


def typed_time(name: str, kind: str, role: str) -> str:
    """Gives the SQL that makes a column a time; text in ISO 8601 is read.

    Args:
        name: The column's name.
        kind: Its DuckDB type.
        role: Where the lifecycle file names it, such as ``problem.time``.

    Raises:
        SpecFault: When the column holds something else than times or text.
    """
    ours, expression = typed_column(name, kind)
    if ours == "time":
        return expression
    if ours == "text":
        return f"CAST({quote_name(name)} AS TIMESTAMPTZ)"
    raise SpecFault(
        f"{role} names {name}, which holds {ours} values; expected times.",
        hint="make a time of it in data.table, such as: "
        f"to_timestamp({quote_name(name)}) as {quote_name(name)}",
        place=role,
    )
