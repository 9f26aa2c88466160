"""Databases by URL: PostgreSQL by ADBC, all others by SQLAlchemy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.digest import digest_value
from everloop.core.errors import SpecFault
from everloop.core.extras import require
from everloop.data.sources import sql_part
from everloop.data.sources.protocol import Capabilities, Increment, Surroundings
from everloop.data.sources.sql_position import first_value

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from everloop.spec import SqlSource

# Backend -> the module whose `opened` connects to it.
_SESSIONS = {
    "postgresql": "everloop.data.sources.postgresql",
    "postgres": "everloop.data.sources.postgresql",
}
_ANY = "everloop.data.sources.sql_alchemy"
_PLAIN_NAME = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$")


@dataclass(frozen=True)
class Database:
    """The rows of a query or a table, read in a transaction that cannot write.

    The URL is revealed only while a connection is made, and is cut out of every message. Without a
    cursor every reading takes all rows. With one it takes those whose cursor has at least the last
    value that was seen, less `late`, in the cursor's order; text is ordered by its bytes. Rows with
    equal cursors that are committed at different times are therefore all seen; one that is committed
    after a greater value was read is seen when it is not later than `late`.
    """

    spec: SqlSource
    surroundings: Surroundings
    capabilities: ClassVar[Capabilities] = Capabilities(
        kind="sql",
        reads="a query or a table of PostgreSQL, SQLite, or whatever has an SQLAlchemy dialect",
        cheap_fingerprint=False,
        keeps_order=False,
        needs_network=True,
        incremental=True,
    )

    def identity(self) -> dict[str, Any]:
        """Names the database without its password, the query and the cursor."""
        url = self._url()
        place = [url.get_backend_name(), url.host, url.port, url.database, url.username]
        return {
            "database": digest_value(place)[:16],
            "query": self._query(),
            "cursor": self.spec.cursor,
        }

    def read_after(self, position: dict[str, Any] | None, scratch: Path) -> Iterator[Increment]:
        """Reads the rows at and after a position, or all.

        Raises:
            SourceUnreachable: When the database does not answer.
            SourceUnreadable: When the query fails or gives what a table cannot hold.
            SpecFault: When the URL is none, or the cursor is not among the columns.
        """
        url, cursor = self._url(), self.spec.cursor
        first = first_value(position, self.spec.late)
        progress = self.surroundings.progress
        asked = sql_part.Asked(self._query(), cursor, first, progress, sql_part.PART_ROWS)
        session = import_module(_SESSIONS.get(url.get_backend_name(), _ANY))
        nothing = position or {"cursor": cursor, "type": None, "last": None}
        with session.opened(url, self.surroundings.folder) as opened:
            for part in opened.parts(asked, scratch):
                if cursor is None:
                    yield Increment(part.files, None)
                else:
                    yield Increment(part.files, part.position or nothing, cursor)

    def _query(self) -> str:
        text = self.spec.sql.strip().rstrip(";")
        if _PLAIN_NAME.match(text):
            quoted = ".".join(f'"{part}"' for part in text.split("."))
            return f"SELECT * FROM {quoted}"  # noqa: S608  (the name has no quote in it)
        return text

    def _url(self) -> URL:
        return url_of(self.spec)


def url_of(spec: SqlSource) -> URL:
    """Reveals the URL of a database.

    Raises:
        SpecFault: When it is none.
    """
    sqlalchemy = require("sqlalchemy", extra="train")
    text = spec.url if isinstance(spec.url, str) else spec.url.reveal()
    try:
        url: URL = sqlalchemy.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise SpecFault(
            "The URL of a database source is none that SQLAlchemy can read.",
            hint="such as sqlite:///data.db or postgresql://user:password@host/database",
        ) from None
    return url
