"""The prediction log in SQL, by DuckDB, while it is being written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from everloop.core.files import SCRATCH_PREFIX
from everloop.runtime.log.part import ACTUALS, REFUSALS
from everloop.runtime.log.reading import MOST_IDS, LogReader
from everloop.runtime.log.tables import LogTables, empty_table

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection

    from everloop.runtime.log.span import LogSpan

MEMORY_LIMIT = "1GB"
"""What DuckDB holds at once, as it writes it; more of the log than this waits on disk."""

_PARTS: dict[str, Callable[[LogSpan], Iterable[pl.DataFrame]]] = {
    "joined": lambda span: span.lines(),
    "actuals": lambda span: span.told(ACTUALS),
    "refusals": lambda span: span.told(REFUSALS),
}
_PREDICTIONS = "create view predictions as select * exclude (actual, known_at, corrections) from joined"


def query_log(folder: str | Path, sql: str) -> pl.DataFrame:
    """Answers a question about the log as it is now.

    The sealed parts are Parquet, which DuckDB and others read by themselves, such as
    ``select * from 'log/predictions-*.parquet'``; this also sees the lines that are not sealed yet, reads
    what was asked twice once, and joins actuals. The log is read a segment at a time, and what does not fit
    in memory waits in a file beside it that is gone afterwards: only the answer is held whole.

    Args:
        folder: The log's folder.
        sql: DuckDB's SQL over the tables `predictions`, `actuals`, `refusals` and `joined`
            (predictions with `actual`, `known_at`, `corrections`); a field of the row as served is
            ``row->>'amount'``. What is to have an order says it.

    Example:
        >>> from everloop.runtime.log import query_log
        >>> query_log("no-such-folder", "select count(*) as n from predictions")["n"].to_list()
        [0]
    """
    import polars as pl

    folder = Path(folder)
    empty = LogTables(*map(empty_table, range(3)))
    with _duckdb(folder) as connection, LogReader(folder, most_ids=MOST_IDS).span() as span:
        asked = _asked(connection, sql)
        for name, none in zip(_PARTS, (empty.joined(), *empty.tables[1:]), strict=True):
            connection.from_arrow(none.to_arrow()).create(name)
            for part in _PARTS[name](span) if name in asked else ():
                connection.from_arrow(part.to_arrow()).insert_into(name)
        connection.execute(_PREDICTIONS)
        return pl.DataFrame(connection.sql(sql).to_arrow_table())


@contextmanager
def _duckdb(folder: Path) -> Iterator[DuckDBPyConnection]:
    """Opens a DuckDB that goes to disk beside the log; it makes that folder where it must, and removes it."""
    import duckdb

    spill = folder / f"{SCRATCH_PREFIX}{uuid4().hex}"
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(spill)}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def _asked(connection: DuckDBPyConnection, sql: str) -> set[str]:
    """The tables that a question rests on: no other is read."""
    import duckdb

    try:
        named = {name.lower() for name in connection.get_table_names(sql)}
    except duckdb.InvalidInputException:  # it is of several statements
        return set(_PARTS)
    return named | {"joined"} if "predictions" in named else named
