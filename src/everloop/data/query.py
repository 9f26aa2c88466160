"""The query that joins the sources into one table, checked before it runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from everloop.core.errors import DataFault, SpecFault, StorageFull
from everloop.core.extras import require
from everloop.core.nearness import near_names
from everloop.data.duck import first_lines, quote_name, quote_text

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

PLACE = "data.table"
# The side of a join of which a row may have nothing.
_OUTSIDE = {"LEFT": ("right",), "RIGHT": ("left",), "OUTER": ("left", "right")}
# The types whose functions follow the session's time zone.
_ZONED = "WITH TIME ZONE|TIMESTAMPTZ|TIMETZ"
# Written without parentheses, these look like columns.
_BARE_CLOCKS = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}


def check_query(connection: DuckDBPyConnection, query: str) -> None:
    """Holds a query against what a snapshot needs: one SELECT that gives the same rows each time.

    Raises:
        SpecFault: When it is no SQL, more than one statement, something else than a SELECT, or asks
            the clock or chance.
    """
    duckdb = require("duckdb", extra="train")
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise SpecFault(f"The query is no SQL: {first_lines(error)}", place=PLACE) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise SpecFault("The query must be one SELECT statement.", place=PLACE)
    row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    tree = json.loads(row[0]) if row else {}
    unsteady = _unsteady_functions(connection)
    for node in _nodes(tree):
        name = str(node.get("function_name", "")).lower()
        columns = node.get("column_names") or [""]
        bare = str(columns[0]).lower() if len(columns) == 1 else ""
        # `age` of one time counts from today; of two it does not.
        given = node.get("arguments") or node.get("children") or ()
        since_today = name == "age" and len(given) == 1
        if name in unsteady or bare in _BARE_CLOCKS or since_today:
            raise SpecFault(
                f"The query uses {name or bare}, which gives another answer each time; a snapshot must not.",
                hint="rows are cut at --as-of by problem.time; leave the clock out of data.table",
                place=PLACE,
            )
        if node.get("sample"):
            raise SpecFault(
                "The query samples rows, which gives other rows each time; a snapshot must not.",
                hint="choose rows by a column instead, such as: where hash(id) % 10 = 0",
                place=PLACE,
            )


def run_query(
    connection: DuckDBPyConnection, query: str, target: Path, columns: Mapping[str, tuple[str, ...]]
) -> None:
    """Writes the rows of a checked query as Parquet.

    Args:
        connection: A closed DuckDB with a view for each source.
        query: What `check_query` let pass.
        target: The file to write.
        columns: For each source its columns, to name the nearest when one is unknown.

    Raises:
        SpecFault: When the query names what is not there, or fails on a row.
        StorageFull: When the disk has no room.
    """
    duckdb = require("duckdb", extra="train")
    try:
        connection.execute(f"DESCRIBE (\n{query}\n)")
        connection.execute(f"COPY (\n{query}\n) TO {quote_text(str(target))} (FORMAT parquet)")
    except duckdb.Error as error:
        raise_storage_fault(error, target)
        hint = _nearest(str(error), columns)
        raise SpecFault(f"The query fails: {_without_guess(error)}", hint=hint, place=PLACE) from error


def tables_of_rows(query: str) -> set[str]:
    """Names the tables that the rows of a query come from, without those that are joined on the outside.

    Args:
        query: One SELECT.
    """
    duckdb = require("duckdb", extra="train")
    with duckdb.connect(":memory:") as connection:
        row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    found, waiting = set(), [json.loads(row[0]) if row else {}]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            if node.get("type") == "BASE_TABLE":
                found.add(str(node["table_name"]))
            outside = _OUTSIDE.get(str(node.get("join_type")), ())
            waiting.extend(value for name, value in node.items() if name not in outside)
    return found


def raise_storage_fault(error: Exception, target: Path) -> None:
    """Raises when an error of DuckDB is about room on the disk or in memory; otherwise does nothing.

    Raises:
        StorageFull: When the disk has no room.
        DataFault: When the memory limit and the disk do not suffice.
    """
    text = str(error)
    if "No space left" in text or "disk quota" in text.lower():
        raise StorageFull(
            f"No room left on the disk while writing {target.name}.",
            hint="free some space and give the same command again",
        ) from error
    if type(error).__name__ == "OutOfMemoryException":
        raise DataFault(
            f"The table does not fit: {first_lines(error)}", hint="select fewer rows or columns in data.table"
        ) from error


def refuse_column(name: str, kind: str) -> NoReturn:
    """Raises the error about a column of a type that no table of ours has."""
    raise SpecFault(
        f"The column {name} is of the type {kind}; expected boolean, integer, number, text or time.",
        hint="take the parts that matter in data.table, or leave it out: "
        f"select * exclude ({quote_name(name)})",
        place=PLACE,
    )


def _unsteady_functions(connection: DuckDBPyConnection) -> set[str]:
    """Names the functions that give another answer each time, in whatever form.

    Arithmetic on times with a zone is none of them: some versions of DuckDB say that it changes from
    query to query, since it follows the session's zone, which `closed_duckdb` fixes.
    """
    rows = connection.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE' OR "
        "(stability = 'CONSISTENT_WITHIN_QUERY' AND NOT (len(parameter_types) > 0 AND "
        "regexp_matches(concat_ws(' ', parameter_types::VARCHAR, return_type), ?)))",
        [_ZONED],
    ).fetchall()
    # `error` gives no answer at all, so it cannot give two.
    return {str(row[0]).lower() for row in rows} - {"error"}


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _without_guess(error: Exception) -> str:
    return re.sub(r'\s*Did you mean "[^"]*"\??', "", first_lines(error, 3))


def _nearest(message: str, columns: Mapping[str, tuple[str, ...]]) -> str | None:
    table = re.search(r"Table with name (\S+) does not exist", message)
    if table:
        near = near_names(table[1], columns)
        return f"did you mean {near[0]}?" if near else f"the sources are {', '.join(columns)}"
    column = re.search(r'[Cc]olumn "?([^"\s]+)"? (?:not found|that cannot)', message)
    if column:
        names = [name for known in columns.values() for name in known]
        near = near_names(column[1].rsplit(".", 1)[-1], names)
        return f"did you mean {near[0]}?" if near else None
    return None
