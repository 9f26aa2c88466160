"""Databases by SQLAlchemy: any dialect that is installed, row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import MissingExtra, SourceUnreachable, SourceUnreadable, SpecFault
from everloop.core.extras import require
from everloop.data.sources.row_batches import RowLanding
from everloop.data.sources.sql_part import Asked, SqlPart
from everloop.data.sources.sql_position import missing_cursor, position_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import URL

BATCH_ROWS = 20_000
# Dialect -> what makes it compare text by its bytes, as positions are compared.
COLLATIONS = {"sqlite": " COLLATE BINARY", "duckdb": ""}
_READ_ONLY = {"sqlite": "PRAGMA query_only = ON"}
# Databases that are a file, made where there is none -> how they are opened.
_FILES: dict[str, dict[str, Any]] = {"sqlite": {}, "duckdb": {"read_only": True}}


@contextmanager
def opened(url: URL, folder: Path) -> Iterator[AlchemySession]:
    """Connects to a database, for reading.

    Raises:
        MissingExtra: When the dialect's driver is not installed.
        SourceUnreachable: When the database does not answer.
        SourceUnreadable: When a query in the block fails.
    """
    engine = engine_of(url, folder)
    errors = require("sqlalchemy.exc", extra="train")
    name = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            yield AlchemySession(connection)
    # The causes are cut off: drivers put connection strings into them.
    except errors.DBAPIError as error:
        message = without_secrets(error, engine.url)
        if isinstance(error, (errors.OperationalError, errors.InterfaceError)) and not _is_about_the_query(
            error
        ):
            raise SourceUnreachable(f"The database {name} does not answer: {message}.") from None
        raise SourceUnreadable(f"The query on {name} failed: {message}.") from None
    except errors.SQLAlchemyError as error:
        raise SourceUnreadable(f"The query on {name} failed: {without_secrets(error, engine.url)}.") from None


class AlchemySession:
    """A connection that reads; gives the rows of a query in parts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def parts(self, asked: Asked, folder: Path) -> Iterator[SqlPart]:
        """Gives the rows in parts, each with the last value of its cursor.

        Raises:
            SourceUnreadable: When a column holds what a table cannot, or a cursor has no value.
        """
        sqlalchemy = require("sqlalchemy", extra="train")
        text, values = self._query(asked)
        answer = self._connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS).execute(
            sqlalchemy.text(text), values
        )
        names = list(answer.keys())
        place = asked.place_in(names)
        number, landing, last = 0, RowLanding(folder / "rows-0", names), None
        for rows in answer.partitions(BATCH_ROWS):
            landing.add(rows)
            if place is not None:
                if any(row[place] is None for row in rows):
                    raise missing_cursor(names[place])
                last = self._position(names[place], rows[-1][place])
                if landing.rows >= asked.part_rows:
                    yield SqlPart(landing.files(), landing.rows, last)
                    number, landing = number + 1, RowLanding(folder / f"rows-{number + 1}", names)
            asked.tell(landing.rows)
        if landing.rows or number == 0:
            yield SqlPart(landing.files(), landing.rows, last)

    def _query(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        # A colon would be taken for a parameter.
        query = re.sub(r"(?<!:):(?=\w)", r"\\:", asked.query)
        if asked.cursor is None:
            return query, {}
        column = self._connection.dialect.identifier_preparer.quote(asked.cursor)
        column += COLLATIONS.get(self._connection.dialect.name, "")
        newer = f" WHERE {column} >= :first OR {column} IS NULL" if asked.first is not None else ""
        values = {"first": asked.first} if asked.first is not None else {}
        return f"SELECT * FROM ({query}) AS everloop_rows{newer} ORDER BY {column}", values  # noqa: S608

    def _position(self, column: str, value: Any) -> dict[str, Any]:
        position = position_of(column, value)
        if position["type"] == "text" and self._connection.dialect.name not in COLLATIONS:
            raise SpecFault(
                f"The cursor {column} is text, and {self._connection.dialect.name} may order text "
                "by the rules of a language.",
                hint="name a number or a time as cursor",
            )
        return position


def without_secrets(error: Exception, url: URL) -> str:
    """Gives an error's message in one line, without the address and its password."""
    original = getattr(error, "orig", None) or error
    message = " ".join(str(original).split()).rstrip(".")
    for secret in (url.render_as_string(hide_password=False), url.password):
        if secret:
            message = message.replace(secret, "***")
    return message


def engine_of(url: URL, folder: Path, *, writes: bool = False) -> Engine:
    """Gives what connects to a database, once for each use.

    Args:
        url: The database.
        folder: Where a relative path of a database that is a file starts.
        writes: Whether it may be written; otherwise that is forbidden where the database can.

    Raises:
        MissingExtra: When the dialect's driver is not installed.
        SourceUnreachable: When the file is not there.
    """
    sqlalchemy = require("sqlalchemy", extra="train")
    how = {} if writes else _FILES.get(url.get_backend_name(), {})
    if url.get_backend_name() in _FILES:
        url = _file_url(url, folder)
    try:
        engine: Engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool, connect_args=how)
    except (ModuleNotFoundError, sqlalchemy.exc.NoSuchModuleError):
        raise MissingExtra(
            f"No driver for {url.drivername} databases is installed.",
            hint=f"pip install the SQLAlchemy dialect of {url.get_backend_name()}",
        ) from None
    if not writes:
        _forbid_writing(engine)
    return engine


def _file_url(url: URL, folder: Path) -> URL:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return url
    path = folder.resolve() / url.database
    if not path.is_file():
        # The driver would make an empty database here.
        raise SourceUnreachable(
            f"The file {path} of a {url.get_backend_name()} database is not there.", hint=f"ls {path.parent}"
        )
    return url.set(database=str(path))


def _forbid_writing(engine: Engine) -> None:
    event = require("sqlalchemy.event", extra="train")
    if engine.dialect.name not in _READ_ONLY:
        return

    def set_read_only(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(_READ_ONLY[engine.dialect.name])
        cursor.close()
        connection.commit()

    event.listen(engine, "connect", set_read_only)


def _is_about_the_query(error: Any) -> bool:
    """Tells a wrong query from a lost connection: SQLite has one error class for both."""
    if error.connection_invalidated:
        return False
    text = str(error.orig).lower()
    return any(
        sign in text
        for sign in ("no such", "syntax error", "ambiguous", "readonly", "read-only", "not a database")
    )
