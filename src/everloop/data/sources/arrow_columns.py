"""Arrow columns as database drivers give them, brought to the types that a landed table has."""

from __future__ import annotations

import json
from typing import Any

from everloop.core.errors import SourceUnreadable
from everloop.core.extras import require


def landed_schema(schema: Any) -> Any:
    """Gives the schema that columns of a driver's schema are landed with.

    Booleans, 64-bit integers, doubles, text, and times in UTC by the microsecond; decimals become
    doubles, dates their midnight, lists and structures JSON, times of day and UUIDs text.

    Raises:
        SourceUnreadable: When a column is of a type that a table cannot hold, or is there twice.
    """
    arrow = require("pyarrow", extra="train")
    names = [name.lower() for name in schema.names]
    if len(set(names)) != len(names):
        raise SourceUnreadable(
            f"A column is there twice: {', '.join(schema.names)}.", hint="name each column once, with AS"
        )
    return arrow.schema([(field.name, _landed_type(field)) for field in schema])


def landed_column(column: Any, field: Any, wanted: Any) -> Any:
    """Gives a column in the type that `landed_schema` says."""
    arrow = require("pyarrow", extra="train")
    kind = field.type
    if column.type == wanted.type:
        return column
    if isinstance(kind, arrow.BaseExtensionType):
        column = column.storage
        if kind.extension_name == "arrow.uuid":
            return arrow.array([_as_uuid(value) for value in column.to_pylist()], wanted.type)
    if arrow.types.is_nested(column.type):
        texts = [None if value is None else json.dumps(value, default=str) for value in column.to_pylist()]
        return arrow.array(texts, wanted.type)
    if arrow.types.is_time(column.type):
        texts = [None if value is None else str(value) for value in column.to_pylist()]
        return arrow.array(texts, wanted.type)
    if arrow.types.is_timestamp(column.type) and column.type.tz is None:
        column = column.cast(arrow.timestamp("us"))
        return column.cast(arrow.int64()).cast(wanted.type)
    return column.cast(wanted.type)


def _landed_type(field: Any) -> Any:
    arrow = require("pyarrow", extra="train")
    kind, types = field.type, arrow.types
    if isinstance(kind, arrow.BaseExtensionType):
        return _extension_type(field)
    if types.is_boolean(kind):
        return arrow.bool_()
    if types.is_integer(kind):
        return arrow.int64()
    if types.is_floating(kind) or types.is_decimal(kind):
        return arrow.float64()
    if types.is_date(kind) or types.is_timestamp(kind):
        return arrow.timestamp("us", tz="UTC")
    if types.is_time(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_nested(kind):
        return arrow.string()
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        raise _refused(field.name, "bytes")
    raise _refused(field.name, str(kind))


def _extension_type(field: Any) -> Any:
    arrow = require("pyarrow", extra="train")
    kind = field.type
    if kind.extension_name in ("arrow.uuid", "arrow.json"):
        return arrow.string()
    name = str(getattr(kind, "type_name", kind.extension_name))
    if name == "numeric":
        return arrow.float64()
    if arrow.types.is_string(kind.storage_type):
        return arrow.string()
    raise _refused(field.name, name)


def _refused(column: str, kind: str) -> SourceUnreadable:
    return SourceUnreadable(
        f"The column {column} holds {kind}, which a table cannot hold.",
        hint="leave it out of the query, or cast it to text there",
    )


def _as_uuid(value: bytes | None) -> str | None:
    if value is None:
        return None
    text = value.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
