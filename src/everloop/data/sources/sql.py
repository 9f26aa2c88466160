"""Databases by SQLAlchemy URL: SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from everloop.core.errors import MissingExtra, SourceUnreachable, SourceUnreadable, SpecFault
from everloop.core.extras import require
from everloop.core.files import scratch_folder
from everloop.core.progress import Event
from everloop.data.sources.protocol import Capabilities, Reading, Surroundings
from everloop.data.sources.row_batches import RowLanding

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from everloop.spec import SqlSource

BATCH_ROWS = 20_000
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 1.0
# Drivers that we test with, for URLs that name none.
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
EXTRAS = {"postgresql": "postgresql"}
_PLAIN_NAME = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Database:
    """The rows of a query or a table, read in a transaction that cannot write.

    The URL is revealed only while a connection is made, and is cut out of every message. A lost
    connection is tried again, from the first row, with pauses that double. The order of rows is the
    query's own. Every reading takes all rows, whether the file names a cursor or not.
    """

    spec: SqlSource
    surroundings: Surroundings
    capabilities: ClassVar[Capabilities] = Capabilities(
        kind="sql",
        reads="a query or a table of SQLite or PostgreSQL, by SQLAlchemy URL",
        cheap_fingerprint=False,
        keeps_order=False,
        needs_network=True,
    )

    def fingerprint(self) -> dict[str, Any]:
        """Gives a digest of the rows, whatever their order; every row is read."""
        with scratch_folder(self.surroundings.folder.resolve()) as scratch:
            return self.read(scratch).fingerprint

    def read(self, scratch: Path) -> Reading:
        """Reads every row into Parquet.

        Raises:
            SourceUnreachable: When the database does not answer after some attempts.
            SourceUnreadable: When the query fails or gives what a table cannot hold.
            SpecFault: When the URL is none.
        """
        url = self.spec.url if isinstance(self.spec.url, str) else self.spec.url.reveal()
        engine = self._engine(url)
        return self._with_retries(
            lambda attempt: self._read_once(engine, url, scratch / f"attempt-{attempt}")
        )

    def _read_once(self, engine: Engine, url: str, folder: Path) -> Reading:
        folder.mkdir()
        with _connection(engine, url) as connection:
            sqlalchemy = require("sqlalchemy", extra="train")
            answer = connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS).execute(
                sqlalchemy.text(self._query())
            )
            landing = RowLanding(folder, list(answer.keys()))
            for rows in answer.partitions(BATCH_ROWS):
                landing.add(rows)
        return Reading(landing.files(), {"kind": "sql", "rows": landing.rows, "digest": landing.digest()})

    def _query(self) -> str:
        text = self.spec.sql.strip().rstrip(";")
        if _PLAIN_NAME.match(text):
            quoted = ".".join(f'"{part}"' for part in text.split("."))
            return f"SELECT * FROM {quoted}"  # noqa: S608  (the name has no quote in it)
        # A colon would be taken for a parameter.
        return re.sub(r"(?<!:):(?=\w)", r"\\:", text)

    def _with_retries(self, work: Callable[[int], _Answer]) -> _Answer:
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return work(attempt)
            except SourceUnreachable as error:
                if attempt == ATTEMPTS:
                    raise SourceUnreachable(f"{error} Tried {ATTEMPTS} times.", hint=error.hint) from None
                self.surroundings.progress(
                    Event("data", f"{error} Trying again in {pause:g} s.", kind="notice")
                )
                self.surroundings.clock.sleep(pause)
                pause *= 2
        raise AssertionError("unreachable")

    def _engine(self, text: str) -> Engine:
        sqlalchemy = require("sqlalchemy", extra="train")
        try:
            url = sqlalchemy.make_url(text)
        except (sqlalchemy.exc.ArgumentError, ValueError):
            raise SpecFault(
                "The URL of a database source is none that SQLAlchemy can read.",
                hint="such as sqlite:///data.db or postgresql://user:password@host/database",
            ) from None
        backend = url.get_backend_name()
        url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
        if backend == "sqlite":
            url = self._sqlite_url(url)
        try:
            engine: Engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
        except (ModuleNotFoundError, sqlalchemy.exc.NoSuchModuleError):
            raise MissingExtra(
                f"No driver for {url.drivername} databases is installed.",
                hint=f"pip install 'everloop[{EXTRAS.get(backend, 'all')}]'",
            ) from None
        _forbid_writing(engine)
        return engine

    def _sqlite_url(self, url: Any) -> Any:
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            return url
        path = self.surroundings.folder.resolve() / url.database
        if not path.is_file():
            # SQLite would make an empty database here.
            raise SourceUnreachable(f"The SQLite file {path} is not there.", hint=f"ls {path.parent}")
        return url.set(database=str(path))


@contextmanager
def _connection(engine: Engine, url: str) -> Iterator[Connection]:
    errors = require("sqlalchemy.exc", extra="train")
    name = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            yield connection
    # The causes are cut off: drivers put connection strings into them.
    except errors.DBAPIError as error:
        message = _without_secrets(error, url, engine.url.password)
        if isinstance(error, (errors.OperationalError, errors.InterfaceError)) and not _is_about_the_query(
            error
        ):
            raise SourceUnreachable(f"The database {name} does not answer: {message}.") from None
        raise SourceUnreadable(f"The query on {name} failed: {message}.") from None
    except errors.SQLAlchemyError as error:
        message = _without_secrets(error, url, engine.url.password)
        raise SourceUnreadable(f"The query on {name} failed: {message}.") from None


def _forbid_writing(engine: Engine) -> None:
    event = require("sqlalchemy.event", extra="train")
    statement = {"sqlite": "PRAGMA query_only = ON", "postgresql": "SET default_transaction_read_only = on"}
    if engine.dialect.name not in statement:
        return

    def set_read_only(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(statement[engine.dialect.name])
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


def _without_secrets(error: Exception, url: str, password: str | None) -> str:
    original = getattr(error, "orig", None) or error
    message = " ".join(str(original).split()).rstrip(".")
    for secret in (url, password):
        if secret:
            message = message.replace(secret, "***")
    return message
