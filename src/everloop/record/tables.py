"""The record's tables, made from the kinds of rows.

Tables carry a prefix, so that a record may live in a database that others use too. The tables here
are the present format; `migrations/versions` says how an older one becomes it, and a test holds the
two equal.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import sqlalchemy as sa

from everloop.record.rows import KINDS, UNIQUE, DecisionRow, RolloutRow, Row, WindowRow

REVISIONS = ("0001",)
"""All formats of the record, oldest first; the last is the present one."""

PREFIX = "everloop_"
VERSION_TABLE = f"{PREFIX}format"


class UtcTime(sa.TypeDecorator[datetime]):
    """Aware times in UTC, also where the database keeps no zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Turns the time to UTC, without a zone for SQLite."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Gives the time back aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_TYPES: dict[Any, Any] = {
    str: sa.Text(),
    int: sa.BigInteger(),
    float: sa.Double(),
    datetime: UtcTime(),
    dict: sa.JSON(),
}

_LOOKED_UP: dict[type[Row], tuple[tuple[str, ...], ...]] = {
    WindowRow: (("status", "at"), ("until",)),
    RolloutRow: (("state", "at"),),
    DecisionRow: (("kind", "at"),),
}
"""By what each turn of the loop asks for rows of a lifecycle, however many there are."""

METADATA = sa.MetaData()


def _column(name: str, hint: Any) -> sa.Column[Any]:
    parts = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    stored = next(part for part in parts if part is not type(None))
    origin = get_origin(stored)
    python = str if origin is Literal else origin or stored
    return sa.Column(name, _TYPES[python], nullable=type(None) in parts, primary_key=name == "id")


def _table(word: str, kind: type[Row]) -> sa.Table:
    hints = get_type_hints(kind)
    name = f"{PREFIX}{word}s"
    constraints: list[Any] = [sa.Index(f"{name}_by_time", "lifecycle", "at")]
    constraints += [
        sa.Index(f"{name}_by_{columns[0]}", "lifecycle", *columns) for columns in _LOOKED_UP.get(kind, ())
    ]
    if kind in UNIQUE:
        constraints.append(sa.UniqueConstraint(*UNIQUE[kind], name=f"{name}_unique"))
    constraints += [
        sa.Index(f"{name}_by_{column}", column)
        for column in ("run", "key", "window", "version")
        if column in hints
    ]
    return sa.Table(
        name, METADATA, *(_column(field.name, hints[field.name]) for field in fields(kind)), *constraints
    )


ROWS: dict[type[Row], sa.Table] = {kind: _table(word, kind) for word, kind in KINDS.items()}

LINKS = sa.Table(
    f"{PREFIX}links",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("effect", sa.Text, nullable=False, index=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.UniqueConstraint("cause", "effect", "role", name=f"{PREFIX}links_unique"),
)

MEASUREMENTS = sa.Table(
    f"{PREFIX}measurements",
    METADATA,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Double, nullable=True),
)

STATES = sa.Table(
    f"{PREFIX}states",
    METADATA,
    sa.Column("lifecycle", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.JSON(none_as_null=False), nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
)

LEASES = sa.Table(
    f"{PREFIX}leases",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until", UtcTime, nullable=False),
)
