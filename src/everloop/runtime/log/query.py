"""The prediction log in SQL, by DuckDB, while it is being written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from everloop.runtime.log.reading import read_log

if TYPE_CHECKING:
    import polars as pl


def query_log(folder: str | Path, sql: str) -> pl.DataFrame:
    """Answers a question about the log as it is now.

    The sealed parts are Parquet, which DuckDB and others read by themselves, such as
    ``select * from 'log/predictions-*.parquet'``; this also sees the lines that are not sealed yet, reads
    what was asked twice once, and joins actuals.

    Args:
        folder: The log's folder.
        sql: DuckDB's SQL over the tables `predictions`, `actuals`, `refusals` and `joined`
            (predictions with `actual`, `known_at`, `corrections`); a field of the row as served is
            ``row->>'amount'``.

    Example:
        >>> from everloop.runtime.log import query_log
        >>> query_log("no-such-folder", "select count(*) as n from predictions")["n"].to_list()
        [0]
    """
    import duckdb
    import polars as pl

    log = read_log(folder)
    with duckdb.connect() as connection:
        tables = {
            "predictions": log.predictions,
            "actuals": log.actuals,
            "refusals": log.refusals,
            "joined": log.joined(),
        }
        for name, table in tables.items():
            connection.register(name, table.to_arrow())
        return pl.DataFrame(connection.sql(sql).to_arrow_table())
