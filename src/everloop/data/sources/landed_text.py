"""Columns of text given the types that their values have: what CSV files and logs go through.

Types are found over all rows: a column is boolean, integer, number or time only where every value
is one. Where nearly every value is one, the odd rows are named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from everloop.data.duck import quote_name, quote_text
from everloop.data.sources.bad_rows import BadRow, BadRows
from everloop.data.sources.protocol import SourcePart

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Type -> the condition that every value must meet, tried in this order. A number with a leading zero
# is an identifier, such as a postcode, and stays text; so does a word such as yes, which DuckDB's own
# detection would take for a boolean.
TYPE_TESTS = {
    "BOOLEAN": "lower({c}) IN ('true', 'false')",
    "BIGINT": "try_cast({c} AS BIGINT) IS NOT NULL "
    "AND regexp_full_match({c}, '\\s*[+-]?(0|[1-9][0-9]*)\\s*')",
    "DOUBLE": "try_cast({c} AS DOUBLE) IS NOT NULL AND NOT regexp_matches({c}, '^\\s*[+-]?0[0-9]')",
    "TIMESTAMPTZ": "try_cast({c} AS TIMESTAMPTZ) IS NOT NULL AND regexp_matches({c}, '^\\s*[0-9]{{4}}-')",
}
WORDS = {"BOOLEAN": "boolean", "BIGINT": "whole number", "DOUBLE": "number", "TIMESTAMPTZ": "ISO 8601 time"}
# A column of text of which this share has another type is told of: its type may have changed.
TOLD_SHARE = 0.5
# So is one whose type changes once, after or before so many values.
FEWEST_BEFORE_A_TURN = 20

COLUMNS_A_PASS = 100

# Gives the line and the text of rows of a part, by their positions among the part's rows.
Locate = Callable[[int, Sequence[int]], dict[int, tuple[int, str]]]


@dataclass(frozen=True)
class TextParts:
    """Rows as text in Parquet files.

    Attributes:
        paths: One file for each file of the source, in its order.
        names: Their names, as the user knows them.
        columns: The columns.
        locate: Finds the lines of rows.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    columns: tuple[str, ...]
    locate: Locate


@dataclass(frozen=True)
class _Column:
    """A column's type, the one that it nearly has, and one that a part of its values has."""

    name: str
    kind: str
    nearly: str | None = None
    odd: int = 0
    values: int = 0
    turns: str | None = None

    @property
    def misfit(self) -> str:
        """The condition of a row whose value is not of the type that the others have."""
        name = quote_name(self.name)
        return f"({name} IS NOT NULL AND NOT ({TYPE_TESTS[self.nearly or self.kind].format(c=name)}))"


def land_text(
    connection: DuckDBPyConnection, parts: TextParts, target: Path, bad: BadRows
) -> tuple[SourcePart, ...]:
    """Writes rows of text as one typed Parquet file.

    Rows whose value does not fit a column that all others fit are bad rows where those are kept
    aside; otherwise the column stays text, and it is noted where and why.

    Args:
        connection: A DuckDB that can read the parts and write the target.
        parts: The rows.
        target: The file to write.
        bad: Collects bad rows and notes.

    Returns:
        The rows of each part that were written, where there are several.
    """
    scan = _scan(parts.paths)
    columns = [_decide(column, bad) for column in _find_types(connection, scan, parts.columns)]
    for column in columns:
        if column.turns is not None:
            _note_turn(connection, parts, column, bad)
    odd = [column for column in columns if column.nearly is not None]
    dropped = [column for column in odd if column.kind != "VARCHAR"]
    for column in odd:
        if column.kind == "VARCHAR":
            _note(connection, parts, column, bad)
    kept = ""
    if dropped:
        _set_aside(connection, parts, dropped, bad)
        kept = f" WHERE NOT ({' OR '.join(column.misfit for column in dropped)})"
    typed = ", ".join(_typed(column) for column in columns)
    connection.execute(
        f"COPY (SELECT {typed} FROM {scan}{kept}) TO {quote_text(str(target))} (FORMAT parquet)"  # noqa: S608
    )
    if len(parts.paths) == 1:
        return ()
    scan = _scan(parts.paths, ", filename = true")
    query = f"SELECT filename, count(*) FROM {scan}{kept} GROUP BY filename"  # noqa: S608
    counted = dict(connection.execute(query).fetchall())
    return tuple(
        SourcePart(name, int(counted.get(str(path), 0)))
        for path, name in zip(parts.paths, parts.names, strict=True)
    )


def _scan(paths: Sequence[Path], options: str = "") -> str:
    return f"read_parquet([{', '.join(quote_text(str(path)) for path in paths)}]{options})"


def _find_types(connection: DuckDBPyConnection, scan: str, names: Sequence[str]) -> list[_Column]:
    """Finds every column's type, in passes of few columns: planning a query takes the square of them."""
    starts = range(0, len(names), COLUMNS_A_PASS)
    passes = (names[start : start + COLUMNS_A_PASS] for start in starts)
    return [found for some in passes for found in _types_of(connection, scan, some)]


def _types_of(connection: DuckDBPyConnection, scan: str, names: Sequence[str]) -> list[_Column]:
    counts = [
        f"count({column}), {tests}"
        for column in map(quote_name, names)
        for tests in [", ".join(f"count_if({test.format(c=column)})" for test in TYPE_TESTS.values())]
    ]
    query = f"SELECT {', '.join(counts)} FROM {scan}"  # noqa: S608
    answers = iter(cast("tuple[int, ...]", connection.execute(query).fetchone()))
    columns = []
    for name in names:
        values = next(answers)
        fitting = {kind: next(answers) or 0 for kind in TYPE_TESTS}
        best = max(fitting, key=lambda kind: fitting[kind])
        if values and fitting[best] == values:
            columns.append(_Column(name, best, values=values))
        elif fitting[best] >= TOLD_SHARE * max(1, values):
            columns.append(_Column(name, "VARCHAR", best, values - fitting[best], values))
        else:
            some = best if fitting[best] > FEWEST_BEFORE_A_TURN else None
            columns.append(_Column(name, "VARCHAR", values=values, odd=values - fitting[best], turns=some))
    return columns


def _decide(column: _Column, bad: BadRows) -> _Column:
    if column.nearly is None or not bad.kept or column.odd > bad.most * column.values:
        return column
    return _Column(column.name, column.nearly, column.nearly, column.odd, column.values)


def _odd_rows(
    connection: DuckDBPyConnection, parts: TextParts, shown: str, condition: str, limit: str = ""
) -> list[tuple[int, int, str]]:
    """Gives part, position and a value of the rows that meet a condition, in order."""
    scan = _scan(parts.paths, ", filename = true, file_row_number = true")
    rows = connection.execute(
        f"SELECT filename, file_row_number, {shown} FROM {scan} WHERE {condition} "  # noqa: S608
        f"ORDER BY filename, file_row_number {limit}"
    ).fetchall()
    place = {str(path): position for position, path in enumerate(parts.paths)}
    return [(place[file], int(row), value) for file, row, value in rows]


def _set_aside(
    connection: DuckDBPyConnection, parts: TextParts, columns: Sequence[_Column], bad: BadRows
) -> None:
    reasons = " ".join(
        f"WHEN {column.misfit} THEN {quote_text(f'{column.name} is no {WORDS[column.kind]}: ')} "
        f"|| {quote_name(column.name)}"
        for column in columns
    )
    condition = " OR ".join(column.misfit for column in columns)
    found = _odd_rows(connection, parts, f"CASE {reasons} END", condition)
    for part in sorted({place for place, _, _ in found}):
        rows = {row: reason for place, row, reason in found if place == part}
        lines = parts.locate(part, sorted(rows))
        for row, reason in rows.items():
            line, text = lines[row]
            bad.add(BadRow(parts.names[part], line, reason, text))


def _note(connection: DuckDBPyConnection, parts: TextParts, column: _Column, bad: BadRows) -> None:
    ((part, row, value),) = _odd_rows(
        connection, parts, quote_name(column.name), column.misfit, limit="LIMIT 1"
    )
    line, _ = parts.locate(part, [row])[row]
    shown = value if len(value) <= 40 else f"{value[:39]}…"
    bad.notes.append(
        f"{column.name} is text: {column.odd:,} of {column.values:,} values are no "
        f"{WORDS[str(column.nearly)]}, the first in {parts.names[part]}, line {line}: {shown!r}"
    )


def _note_turn(connection: DuckDBPyConnection, parts: TextParts, column: _Column, bad: BadRows) -> None:
    """Notes where a column's values turn from one type to another, if they do so once."""
    scan, name = _scan(parts.paths, ", filename = true, file_row_number = true"), quote_name(column.name)
    fits, place = TYPE_TESTS[str(column.turns)].format(c=name), "filename || printf('%015d', file_row_number)"
    seen = (f"min({place}) FILTER ({fits}), max({place}) FILTER ({fits})",
            f"min({place}) FILTER (NOT ({fits})), max({place}) FILTER (NOT ({fits}))")  # fmt: skip
    query = f"SELECT {', '.join(seen)} FROM {scan} WHERE {name} IS NOT NULL"  # noqa: S608
    first, last, first_odd, last_odd = cast("tuple[str, ...]", connection.execute(query).fetchone())
    if not (last < first_odd or last_odd < first):
        return
    turn = first_odd if last < first_odd else first
    part, row = [str(path) for path in parts.paths].index(turn[:-15]), int(turn[-15:])
    line, _ = parts.locate(part, [row])[row]
    word = WORDS[str(column.turns)]
    change = (
        f"{word}s before, text from there on" if last < first_odd else f"text before, {word}s from there on"
    )
    bad.notes.append(f"{column.name} changes its type in {parts.names[part]}, line {line}: {change}")


def _typed(column: _Column) -> str:
    name = quote_name(column.name)
    return name if column.kind == "VARCHAR" else f"CAST({name} AS {column.kind}) AS {name}"
