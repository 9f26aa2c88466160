"""Rows of a Parquet file into a database's table: all of them, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SourceUnreachable, SourceUnreadable, UsageFault
from everloop.core.extras import require
from everloop.data.sources.sql_alchemy import engine_of, without_secrets

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

    from everloop.spec import SqlSource

BATCH_ROWS = 20_000


def require_new(table: SqlSource, folder: Path) -> None:
    """Refuses a table that is there already.

    Args:
        table: The table's name and the database.
        folder: Where relative paths of database files start.

    Raises:
        UsageFault: When it is there.
        SourceUnreachable: When the database does not answer.
    """
    with _connected(table, folder) as connection:
        _refuse(connection, table.sql)


def load_table(table: SqlSource, folder: Path, rows: Path, *, replace: bool) -> None:
    """Makes a table of a Parquet file's rows; it is there with all of them or not at all.

    Args:
        table: The table's name, perhaps with a schema before it, and the database.
        folder: Where relative paths of database files start.
        rows: The Parquet file.
        replace: Whether a table of this name is replaced; otherwise it is refused.

    Raises:
        UsageFault: When a table of this name is there and stays.
        SourceUnreachable: When the database does not answer.
        SourceUnreadable: When the database refuses the table or a row.
    """
    import pyarrow.parquet as pq

    sqlalchemy = require("sqlalchemy", extra="train")
    with _connected(table, folder) as connection, pq.ParquetFile(rows) as file:
        if not replace:
            _refuse(connection, table.sql)
        schema, name = _parts(table.sql)
        columns = [sqlalchemy.Column(one.name, _type_of(one.type)) for one in file.schema_arrow]
        made = sqlalchemy.Table(name, sqlalchemy.MetaData(), *columns, schema=schema)
        made.drop(connection, checkfirst=True)
        made.create(connection)
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            if batch.num_rows and connection.dialect.name == "postgresql":
                _copy(connection, made, batch)
            elif batch.num_rows:
                connection.execute(made.insert(), batch.to_pylist())


def _copy(connection: Connection, table: Any, batch: Any) -> None:
    """Sends rows by COPY, within the connection's transaction."""
    quote = connection.dialect.identifier_preparer
    columns = ", ".join(quote.quote(column.name) for column in table.columns)
    driver: Any = connection.connection.driver_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {quote.format_table(table)} ({columns}) FROM STDIN") as copy,
    ):
        for row in zip(*batch.to_pydict().values(), strict=True):
            copy.write_row(row)


@contextmanager
def _connected(table: SqlSource, folder: Path) -> Iterator[Connection]:
    """Connects in one transaction, committed at the end."""
    errors = require("sqlalchemy.exc", extra="train")
    url = _url_of(table)
    engine = engine_of(url, folder, writes=True)
    name = engine.url.render_as_string(hide_password=True)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":  # its driver begins no transaction before a table is made
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
    # The causes are cut off: drivers put connection strings into them.
    except (errors.OperationalError, errors.InterfaceError) as error:
        raise SourceUnreachable(
            f"The database {name} does not take the rows: {without_secrets(error, engine.url)}."
        ) from None
    except errors.SQLAlchemyError as error:
        raise SourceUnreadable(
            f"The database {name} refuses the table {table.sql}: {without_secrets(error, engine.url)}."
        ) from None


def _url_of(table: SqlSource) -> URL:
    from everloop.data.sources.sql import url_of

    url = url_of(table)
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url


def _refuse(connection: Connection, name: str) -> None:
    sqlalchemy = require("sqlalchemy", extra="train")
    schema, table = _parts(name)
    if sqlalchemy.inspect(connection).has_table(table, schema=schema):
        raise UsageFault(f"The database has a table {name} already.", hint="--replace, or another name")


def _parts(name: str) -> tuple[str | None, str]:
    schema, _, table = name.rpartition(".")
    return schema or None, table


def _type_of(kind: Any) -> Any:
    """Gives the column's type for a type of Arrow; what a table has no type for is text."""
    import pyarrow as pa

    sqlalchemy = require("sqlalchemy", extra="train")
    if pa.types.is_decimal(kind):
        return sqlalchemy.Numeric(kind.precision, kind.scale)
    if pa.types.is_timestamp(kind):
        return sqlalchemy.DateTime(timezone=kind.tz is not None)
    known = {
        "is_boolean": sqlalchemy.Boolean, "is_integer": sqlalchemy.BigInteger,
        "is_floating": sqlalchemy.Double, "is_date": sqlalchemy.Date,
    }  # fmt: skip
    return next(
        (made() for asked, made in known.items() if getattr(pa.types, asked)(kind)), sqlalchemy.Text()
    )
