"""CSV files, landed as typed Parquet."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.extras import require
from everloop.data.duck import closed_duckdb, first_lines, quote_name, quote_text
from everloop.data.sources.parquet_file import unlike

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# What means a missing value in every column. Markers of one table alone (?, -999) are found in cleaning.
MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null")
DELIMITERS = (",", ";", "\t", "|")

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


def land_csv(paths: tuple[Path, ...], target: Path, scratch: Path) -> None:
    """Writes CSV files as one Parquet file, with types found over all rows of all files.

    Raises:
        SourceUnreadable: When a file is empty, is not UTF-8, has rows of different widths or other
            columns than the first; the file, and the line where there is one, are named.
    """
    headers = [_header(path) for path in paths]
    for path, (names, _) in zip(paths[1:], headers[1:], strict=True):
        if names != headers[0][0]:
            if set(names) == set(headers[0][0]):
                raise SourceUnreadable(f"{path} has its columns in another order than {paths[0].name}.")
            raise unlike(path, names, paths[0], headers[0][0])
    text = scratch / "text.parquet"
    with closed_duckdb(scratch, paths) as connection:
        for position, (path, (names, delimiter)) in enumerate(zip(paths, headers, strict=True)):
            part = text.with_suffix(f".{position:06d}.parquet")
            _copy_text(connection, path, names, delimiter, part)
        parts = f"read_parquet({quote_text(str(text.with_suffix('.*.parquet')))})"
        types = _find_types(connection, parts, headers[0][0])
        columns = ", ".join(_typed(name, kind) for name, kind in types.items())
        _copy(connection, f"SELECT {columns} FROM {parts}", target)  # noqa: S608
    for part in scratch.glob("text.*.parquet"):
        part.unlink()


def _copy(connection: DuckDBPyConnection, query: str, target: Path) -> None:
    connection.execute(f"COPY ({query}) TO {quote_text(str(target))} (FORMAT parquet)")


def _copy_text(
    connection: DuckDBPyConnection, path: Path, names: list[str], delimiter: str, target: Path
) -> None:
    duckdb = require("duckdb", extra="train")
    columns = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in names)
    missing = ", ".join(quote_text(mark) for mark in MISSING)
    scan = (
        f"read_csv({quote_text(str(path))}, auto_detect = false, header = true, "
        f"delim = {quote_text(delimiter)}, "
        f"quote = '\"', escape = '\"', strict_mode = true, nullstr = [{missing}], columns = {{{columns}}}, "
        "max_line_size = 16000000)"
    )
    try:
        _copy(connection, f"SELECT * FROM {scan}", target)  # noqa: S608
    except duckdb.Error as error:
        raise _find_fault(path, names, delimiter) or SourceUnreadable(
            f"{path} is not readable as CSV: {first_lines(error, 4)}"
        ) from error


def _find_types(connection: DuckDBPyConnection, scan: str, names: list[str]) -> dict[str, str]:
    tests = [
        f"coalesce(bool_and({test.format(c=column)}) FILTER ({column} IS NOT NULL), false)"
        for column in map(quote_name, names)
        for test in TYPE_TESTS.values()
    ]
    query = f"SELECT {', '.join(tests)} FROM {scan}"  # noqa: S608
    answers = iter(cast("tuple[bool, ...]", connection.execute(query).fetchone()))
    types = {}
    for name in names:
        passed = [kind for kind in TYPE_TESTS if next(answers)]
        types[name] = passed[0] if passed else "VARCHAR"
    return types


def _typed(name: str, kind: str) -> str:
    column = quote_name(name)
    return column if kind == "VARCHAR" else f"CAST({column} AS {kind}) AS {column}"


def _header(path: Path) -> tuple[list[str], str]:
    with _opened(path) as file:
        first = file.readline()
    if not first.strip():
        raise SourceUnreadable(f"{path} is empty; expected a line with the columns' names.")
    outside_quotes = "".join(first.split('"')[::2])
    tabbed = ".tsv" in path.suffixes
    delimiter = "\t" if tabbed else max(DELIMITERS, key=outside_quotes.count)
    with _opened(path) as file:
        names = [name.strip() for name in next(csv.reader(file, delimiter=delimiter))]
    seen: set[str] = set()
    names = [name or f"column_{position}" for position, name in enumerate(names, start=1)]
    for name in names:
        if name.lower() in seen:
            raise SourceUnreadable(
                f"{path}, line 1: the column {name} is there twice (capitals do not count)."
            )
        seen.add(name.lower())
    return names, delimiter


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig", newline="")
        ) as file:
            yield cast("TextIO", file)
    except UnicodeDecodeError as error:
        line = _line_of_bad_bytes(path)
        raise SourceUnreadable(
            f"{path}, line {line}: not UTF-8 text.",
            hint=f"iconv -f LATIN1 -t UTF-8 {path.name} > utf8-{path.name}",
        ) from error
    except PermissionError as error:
        raise SourceUnreachable(f"{path} may not be read.", hint=f"ls -l {path}") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceUnreadable(f"{path} is not a whole gzip file: {error}.") from error


def _line_of_bad_bytes(path: Path) -> int:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _find_fault(path: Path, names: list[str], delimiter: str) -> SourceUnreadable | None:
    """Looks for the first row that is wrong; only called when DuckDB has refused the file."""
    try:
        with _opened(path) as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                if row and len(row) != len(names):
                    return SourceUnreadable(
                        f"{path}, line {reader.line_num}: {len(row)} fields "
                        f"where the first line has {len(names)}."
                    )
    except csv.Error as error:
        return SourceUnreadable(f"{path}, line {reader.line_num}: {error}.")
    except SourceUnreadable as error:
        return error
    return None
