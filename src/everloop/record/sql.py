"""The record in an SQL database: SQLite and PostgreSQL through SQLAlchemy's expression language."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import import_module
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from everloop.core.errors import UsageFault
from everloop.record.database_faults import Address, database_faults
from everloop.record.faults import already_recorded, check_fields, check_time, not_found, too_late
from everloop.record.rows import UNIQUE, Link, Row
from everloop.record.tables import LEASES, LINKS, MEASUREMENTS, ROWS, STATES
from everloop.record.values import plain, row_values, searched

R = TypeVar("R", bound=Row)

_NEAREST_AMONG = 500


class SqlRecord:
    """A `Record` in an SQL database; made by `open_record`."""

    def __init__(self, engine: sa.Engine, address: Address) -> None:
        self._engine = engine
        self._address = address
        # INSERT ... ON CONFLICT belongs to the dialects; importing the other one's takes a while.
        dialect = import_module(f"sqlalchemy.dialects.{engine.dialect.name}")
        self._insert: Callable[[sa.Table], Any] = dialect.insert
        self._local = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits everything inside at once; a transaction inside another joins it."""
        if self._current() is not None:
            yield
            return
        connection = self._begun()
        self._local.connection = connection
        try:
            yield
        except BaseException:
            self._local.connection = None
            with suppress(sa.exc.DBAPIError):  # the exception that ended the transaction is the one to tell
                connection.close()
            raise
        self._local.connection = None
        with database_faults(self._address), connection:
            connection.commit()

    def add(self, row: Row) -> None:
        """Adds a row."""
        table = _table(type(row))
        values = row_values(row)
        try:
            self._write(sa.insert(table), values)
        except sa.exc.IntegrityError:
            raise already_recorded(row, UNIQUE.get(type(row), ())) from None

    def put(self, row: Row) -> None:
        """Adds a row, or replaces the one with the same id."""
        table = _table(type(row))
        insert = self._insert(table)
        changed = {
            column.name: insert.excluded[column.name] for column in table.columns if column.name != "id"
        }
        try:
            self._write(insert.on_conflict_do_update(index_elements=["id"], set_=changed), row_values(row))
        except sa.exc.IntegrityError:
            raise already_recorded(row, UNIQUE.get(type(row), ())) from None

    def get(self, kind: type[R], identity: str, *, hold: bool = False) -> R:
        """Gives the row of this kind with this id."""
        table = _table(kind)
        query = sa.select(table).where(table.c.id == identity)
        # SQLite has no such clause and needs none: its transactions hold the whole database.
        found = self._read(query.with_for_update() if hold else query)
        if not found:
            newest = sa.select(table.c.id).order_by(table.c.at.desc()).limit(_NEAREST_AMONG)
            raise not_found(kind, identity, [known for (known,) in self._read(newest)])
        return kind(*found[0])

    def find(self, kind: type[R], /, *, order: str = "at", limit: int | None = None, **equal: Any) -> list[R]:
        """Gives the rows of a kind whose fields equal what is asked for."""
        table = _table(kind)
        field, newest_first = order.removeprefix("-"), order.startswith("-")
        check_fields(kind, [field, *equal])
        query = sa.select(table)
        for name, value in equal.items():
            column = table.c[name]
            several = isinstance(value, (tuple, list, set, frozenset))
            query = query.where(
                column.in_([searched(item) for item in value]) if several else column == searched(value)
            )
        for column in (table.c[field], table.c.id):
            key = self._comparable(column)
            direction = key.desc() if newest_first else key.asc()
            if column.nullable:
                direction = direction.nulls_last() if newest_first else direction.nulls_first()
            query = query.order_by(direction)
        return [kind(*row) for row in self._read(query.limit(limit))]

    def link(self, cause: str, effect: str, role: str) -> None:
        """Notes that one thing led to another."""
        statement = self._insert(LINKS).on_conflict_do_nothing(index_elements=["cause", "effect", "role"])
        self._write(statement, {"cause": cause, "effect": effect, "role": role})

    def causes(self, identity: str) -> list[Link]:
        """Gives the links that lead to a thing."""
        return self._links(LINKS.c.effect == identity)

    def effects(self, identity: str) -> list[Link]:
        """Gives the links that go out from a thing."""
        return self._links(LINKS.c.cause == identity)

    def measure(self, owner: str, numbers: Mapping[str, float]) -> None:
        """Keeps numbers about a row."""
        if not numbers:
            return
        insert = self._insert(MEASUREMENTS)
        statement = insert.on_conflict_do_update(
            index_elements=["owner", "name"], set_={"value": insert.excluded["value"]}
        )
        self._write(
            statement,
            [
                {"owner": owner, "name": name, "value": None if math.isnan(value) else float(value)}
                for name, value in sorted(numbers.items())
            ],
        )

    def measurements(self, owner: str) -> dict[str, float]:
        """Gives the numbers about a row, sorted by name."""
        query = sa.select(MEASUREMENTS.c.name, MEASUREMENTS.c.value).where(MEASUREMENTS.c.owner == owner)
        found = {row[0]: math.nan if row[1] is None else row[1] for row in self._read(query)}
        return dict(sorted(found.items()))

    def state(self, lifecycle: str, key: str, default: Any = None) -> Any:
        """Gives a value that was kept under a key, or the default."""
        found = self._read(sa.select(STATES.c.value).where(*_state_key(lifecycle, key)))
        return found[0][0] if found else default

    def generation(self, lifecycle: str, key: str) -> int:
        """Tells how often a key was set."""
        found = self._read(sa.select(STATES.c.generation).where(*_state_key(lifecycle, key)))
        return int(found[0][0]) if found else 0

    def set_state(self, lifecycle: str, key: str, value: Any, *, expect: int | None = None) -> int:
        """Keeps a value under a key, if its generation still is the expected one."""
        content = plain(value, f"the state {key!r} of {lifecycle!r}")
        insert = self._insert(STATES)
        statement = insert.on_conflict_do_update(
            index_elements=["lifecycle", "key"],
            set_={"value": insert.excluded["value"], "generation": STATES.c.generation + 1},
            where=None if expect is None else STATES.c.generation == expect,
        )
        row = {"lifecycle": lifecycle, "key": key, "value": content, "generation": 1}
        with self.transaction():
            overtaken = bool(expect) and self.generation(lifecycle, key) == 0
            if overtaken or self._write(statement, row) == 0:
                raise too_late(lifecycle, key, expect or 0, self.generation(lifecycle, key))
            return self.generation(lifecycle, key)

    def lease(self, name: str, holder: str, until: datetime, now: datetime) -> bool:
        """Takes or renews the sole right to a name."""
        end = check_time(until, f"the end of lease {name!r}").astimezone(UTC)
        start = check_time(now, f"the time at which lease {name!r} is asked for").astimezone(UTC)
        insert = self._insert(LEASES)
        statement = insert.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": insert.excluded["holder"], "until": insert.excluded["until"]},
            where=sa.or_(LEASES.c.holder == insert.excluded["holder"], LEASES.c.until <= start),
        )
        return self._write(statement, {"name": name, "holder": holder, "until": end}) > 0

    def release(self, name: str, holder: str) -> None:
        """Gives a lease back."""
        self._write(sa.delete(LEASES).where(LEASES.c.name == name, LEASES.c.holder == holder))

    def close(self) -> None:
        """Lets go of files and connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        """Gives the record itself, to be closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the record."""
        self.close()

    def _comparable(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """Compares text by code points everywhere, whatever order a database was made with."""
        if self._engine.dialect.name == "postgresql" and isinstance(column.type, sa.Text):
            return column.collate("C")
        return column

    def _current(self) -> sa.Connection | None:
        return getattr(self._local, "connection", None)

    def _begun(self) -> sa.Connection:
        with database_faults(self._address):
            connection = self._engine.connect().execution_options(everloop_writes=True)
            try:
                connection.begin()
            except BaseException:
                connection.close()
                raise
            return connection

    def _write(self, statement: Any, values: Any = None) -> int:
        with self.transaction():
            connection = self._current()
            assert connection is not None  # noqa: S101  (a transaction has a connection)
            with database_faults(self._address):
                counting = {"preserve_rowcount": True}
                return connection.execute(statement, values, execution_options=counting).rowcount

    def _read(self, query: sa.Select[Any]) -> list[Sequence[Any]]:
        current = self._current()
        with database_faults(self._address):
            if current is not None:
                return list(current.execute(query))
            with self._engine.connect() as connection:
                return list(connection.execute(query))

    def _links(self, condition: sa.ColumnElement[bool]) -> list[Link]:
        query = (
            sa.select(LINKS.c.cause, LINKS.c.effect, LINKS.c.role).where(condition).order_by(LINKS.c.number)
        )
        return [Link(row[0], row[1], row[2]) for row in self._read(query)]


def _table(kind: type[Row]) -> sa.Table:
    if kind not in ROWS:
        known = ", ".join(row.__name__ for row in ROWS)
        raise UsageFault(f"{kind.__name__} is not a kind of row; the record keeps {known}.")
    return ROWS[kind]


def _state_key(lifecycle: str, key: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return STATES.c.lifecycle == lifecycle, STATES.c.key == key
