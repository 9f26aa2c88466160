"""DuckDB, closed: it reaches the files that it is given and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.extras import require

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT = "1GB"


def quote_name(name: str) -> str:
    """Writes a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Writes a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def parquet_scan(files: Iterable[Path]) -> str:
    """Writes the SQL that reads Parquet files as one table."""
    listed = ", ".join(quote_text(str(file)) for file in files)
    return f"read_parquet([{listed}], union_by_name = true)"


@contextmanager
def closed_duckdb(
    scratch: Path, files: Iterable[Path], *, memory_limit: str | None = None, threads: int | None = None
) -> Iterator[DuckDBPyConnection]:
    """Opens an in-memory DuckDB that can read `files`, and read and write below `scratch`.

    No other file, no network, no extension and no variable of the calling program can be reached
    by SQL, and SQL cannot open that door again. Times without a zone are UTC. What does not fit in
    memory goes to `scratch`.

    Args:
        scratch: A folder that the caller removes.
        files: The files that may be read.
        memory_limit: As DuckDB writes it, such as ``500MB``; by default `MEMORY_LIMIT`.
        threads: One where the answer must be the same each time whatever the query: ties of an ASOF
            join, sums of doubles and `row_number` without an order depend on how threads share rows.
            None takes all processors.
    """
    duckdb = require("duckdb", extra="train")
    connection: DuckDBPyConnection = duckdb.connect(
        ":memory:",
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )
    allowed = ", ".join(quote_text(str(file)) for file in files)
    try:
        for statement in (
            "SET TimeZone = 'UTC'",
            f"SET memory_limit = {quote_text(memory_limit or MEMORY_LIMIT)}",
            f"SET temp_directory = {quote_text(str(scratch / 'spill'))}",
            "SET enable_progress_bar = false",
            *([f"SET threads = {threads}"] if threads else []),
            f"SET allowed_directories = [{quote_text(str(scratch))}]",
            f"SET allowed_paths = [{allowed}]",
            "SET python_enable_replacements = false",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            connection.execute(statement)
        yield connection
    finally:
        connection.close()


def first_lines(error: Exception, lines: int = 2) -> str:
    """Cuts a DuckDB message to the lines that say what is wrong."""
    kept = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in kept if not re.match(r"LINE \d+:|\^+$", line)]
    return re.sub(r"^[A-Z][A-Za-z ]+ Error: ", "", " ".join(kept[:lines]))
