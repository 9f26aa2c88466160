"""PostgreSQL by ADBC: the binary COPY protocol, straight into Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.extras import require
from everloop.data.duck import quote_name, quote_text
from everloop.data.sources.arrow_columns import landed_column, landed_schema
from everloop.data.sources.sql_alchemy import without_secrets
from everloop.data.sources.sql_part import Asked, SqlPart
from everloop.data.sources.sql_position import missing_cursor, position_of

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

EXTRA = "postgresql"
# What is set before the first query. Times without a zone are UTC, and nothing is written.
_SETTINGS = ("default_transaction_read_only = on", "timezone = 'UTC'", "standard_conforming_strings = on")
# Classes of SQLSTATE where another attempt can succeed: connection, authorisation, resources, operator.
_UNREACHABLE = ("08", "28", "53", "57P", "58")
# A connection that breaks has no SQLSTATE, nor has what goes wrong while rows stream.
_LOST = (
    "server closed the connection",
    "terminating connection",
    "could not receive data",
    "no connection to the server",
    "SSL connection has been closed",
    "not currently connected",
)
# Types whose order depends on a language.
_COLLATED = ("text", "varchar", "bpchar", "name")
_ORDERED = (int, float, Decimal, str, date)


@contextmanager
def opened(url: URL, folder: Path) -> Iterator[PostgresqlSession]:
    """Connects to a database, for reading.

    Raises:
        MissingExtra: When the driver is not installed.
        SourceUnreachable: When the database does not answer.
        SourceUnreadable: When a query in the block fails.
    """
    del folder
    driver = require("adbc_driver_postgresql.dbapi", extra=EXTRA)
    plain = url.set(drivername="postgresql")
    name = plain.render_as_string(hide_password=True)
    reached = False
    try:
        with driver.connect(plain.render_as_string(hide_password=False)) as connection:
            with connection.cursor() as cursor:
                for setting in _SETTINGS:
                    cursor.execute(f"SET {setting}")
            connection.commit()
            reached = True
            yield PostgresqlSession(connection)
    # The causes are cut off: drivers put connection strings into them.
    except (driver.Error, _Broken) as error:
        message = without_secrets(error, plain)
        state = (getattr(error, "sqlstate", None) or "").strip("\0")
        lost = any(sign in message for sign in _LOST)
        if not reached or lost or state.startswith(_UNREACHABLE):
            raise SourceUnreachable(f"The database {name} does not answer: {message}.") from None
        raise SourceUnreadable(f"The query on {name} failed: {message}.") from None


class PostgresqlSession:
    """A connection that reads; gives the rows of a query in parts."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def parts(self, asked: Asked, folder: Path) -> Iterator[SqlPart]:
        """Gives the rows in parts, each with the last value of its cursor.

        Raises:
            SourceUnreadable: When a column holds what a table cannot, or a cursor has no value.
        """
        with self._connection.cursor() as cursor:
            cursor.execute(self._query(asked))
            reader = cursor.fetch_record_batch()
            names = list(reader.schema.names)
            place = asked.place_in(names)
            landing, number, last = _Landing(folder / "part-0.parquet", reader.schema), 0, None
            for batch in _batches(reader):
                if not batch.num_rows:
                    continue
                landing.add(batch)
                if place is not None:
                    last = _last(batch.column(place), reader.schema.field(place))
                    if landing.rows >= asked.part_rows:
                        yield SqlPart(landing.files(), landing.rows, last)
                        number += 1
                        landing = _Landing(folder / f"part-{number}.parquet", reader.schema)
                asked.tell(landing.rows)
            if landing.rows or number == 0:
                yield SqlPart(landing.files(), landing.rows, last)

    def _query(self, asked: Asked) -> str:
        if asked.cursor is None:
            return asked.query
        column = quote_name(asked.cursor) + self._collation(asked)
        newer = ""
        if asked.first is not None:
            newer = f" WHERE {column} >= {_literal(asked.first)} OR {column} IS NULL"
        return f"SELECT * FROM ({asked.query}) AS everloop_rows{newer} ORDER BY {column}"  # noqa: S608

    def _collation(self, asked: Asked) -> str:
        with self._connection.cursor() as cursor:
            schema = cursor.adbc_execute_schema(asked.query)
        place = asked.place_in(list(schema.names))
        metadata = schema.field(place).metadata or {}
        return ' COLLATE "C"' if metadata.get(b"POSTGRESQL:type", b"").decode() in _COLLATED else ""


class _Broken(Exception):
    """The stream of rows ended with an error."""


def _batches(reader: Any) -> Iterator[Any]:
    """Gives the batches; the next one is read while the caller is busy with one."""
    with ThreadPoolExecutor(1) as reading:
        following = reading.submit(_next_batch, reader)
        while (batch := following.result()) is not None:
            following = reading.submit(_next_batch, reader)
            yield batch


def _next_batch(reader: Any) -> Any:
    arrow = require("pyarrow", extra="train")
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None
    except (arrow.ArrowException, OSError) as error:
        raise _Broken(str(error)) from None


class _Landing:
    """A Parquet file that grows batch by batch."""

    def __init__(self, path: Path, schema: Any) -> None:
        self.rows = 0
        self._path = path
        self._schema = landed_schema(schema)
        parquet = require("pyarrow.parquet", extra="train")
        # A database's columns have many values more often than few.
        self._writer = parquet.ParquetWriter(
            path, self._schema, compression="zstd", compression_level=1, use_dictionary=False
        )

    def add(self, batch: Any) -> None:
        arrow = require("pyarrow", extra="train")
        columns = [
            landed_column(column, field, wanted)
            for column, field, wanted in zip(batch.columns, batch.schema, self._schema, strict=True)
        ]
        self._writer.write_batch(arrow.record_batch(columns, schema=self._schema))
        self.rows += batch.num_rows

    def files(self) -> tuple[Path, ...]:
        self._writer.close()
        return (self._path,)


def _last(column: Any, field: Any) -> dict[str, Any]:
    if column.null_count:
        raise missing_cursor(field.name)
    try:
        value = column[len(column) - 1].as_py()
    except OverflowError:
        value = None  # infinity
    if (field.metadata or {}).get(b"POSTGRESQL:type") == b"numeric":
        value = Decimal(value)
    return position_of(field.name, value if value is None or isinstance(value, _ORDERED) else str(value))


def _literal(value: Any) -> str:
    if isinstance(value, datetime):
        return f"TIMESTAMP{'TZ' if value.tzinfo else ''} {quote_text(value.isoformat())}"
    if isinstance(value, date):
        return f"DATE {quote_text(value.isoformat())}"
    return quote_text(value) if isinstance(value, str) else str(value)
