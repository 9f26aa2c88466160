"""CSV files, landed as typed Parquet."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.errors import SourceUnreadable
from everloop.core.extras import require
from everloop.data.duck import closed_duckdb, first_lines, quote_text
from everloop.data.sources.bad_rows import BadRow, BadRows
from everloop.data.sources.csv_records import read_records
from everloop.data.sources.landed_text import TextParts, land_text
from everloop.data.sources.parquet_file import unlike
from everloop.data.sources.protocol import SourcePart
from everloop.data.sources.text_file import FoundFile, as_utf8, has_null_byte, opened

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# What means a missing value in every column. Markers of one table alone (?, -999) are found in cleaning.
MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null")
DELIMITERS = (",", ";", "\t", "|")
NOT_UTF8_HINT = "say its encoding beside the file: {file: ..., encoding: latin-1}"


@dataclass(frozen=True)
class _Csv:
    """A CSV file in UTF-8 with what its first line says."""

    file: FoundFile
    names: list[str]
    delimiter: str


def land_csv(
    files: Sequence[FoundFile], target: Path, scratch: Path, bad: BadRows, *, encoding: str | None = None
) -> tuple[SourcePart, ...]:
    """Writes CSV files as one Parquet file, with types found over all rows of all files.

    Args:
        files: The files, of which the first says the columns.
        target: The file to write.
        scratch: A folder to work in.
        bad: Collects rows and files that cannot be read.
        encoding: Of the files, where it is stated.

    Returns:
        The rows of each file, where there are several.

    Raises:
        SourceUnreadable: When a file is empty, is not text, has rows of different widths or other
            columns than the first, and bad rows are refused; the file and the line are named.
    """
    landed: list[tuple[_Csv, Path]] = []
    with closed_duckdb(scratch, [file.path for file in files]) as connection:
        for position, file in enumerate(files):
            part = scratch / f"text.{position:06d}.parquet"
            try:
                csv_file = _describe(as_utf8(file, encoding, scratch))
                if landed:
                    _must_agree(csv_file, landed[0][0])
                _copy_text(connection, csv_file, part, scratch, bad)
            except SourceUnreadable as error:
                bad.lose_file(file.name, error)
                continue
            landed.append((csv_file, part))
        if not landed:
            bad.settle(0, len(files), scratch)
            raise SourceUnreadable(f"None of the {len(files)} files can be read.")
        parts = land_text(connection, _parts(landed), target, bad)
    for _, part in landed:
        part.unlink()
    return parts


def _parts(landed: list[tuple[_Csv, Path]]) -> TextParts:
    def locate(part: int, rows: Sequence[int]) -> dict[int, tuple[int, str]]:
        source, wanted = landed[part][0], set(rows)
        found: dict[int, tuple[int, str]] = {}
        right = (r for r in read_records(source.file, source.delimiter, len(source.names)) if r.fields)
        for position, record in enumerate(right):
            if position in wanted:
                found[position] = (record.line, source.delimiter.join(record.fields or []))
                if len(found) == len(wanted):
                    break
        return found

    return TextParts(
        tuple(path for _, path in landed),
        tuple(source.file.name for source, _ in landed),
        tuple(landed[0][0].names),
        locate,
    )


def _must_agree(found: _Csv, first: _Csv) -> None:
    if found.names == first.names:
        return
    if set(found.names) == set(first.names):
        raise SourceUnreadable(f"{found.file.name} has its columns in another order than {first.file.name}.")
    raise unlike(found.file.name, found.names, first.file.name, first.names)


def _copy_text(
    connection: DuckDBPyConnection, source: _Csv, target: Path, scratch: Path, bad: BadRows
) -> None:
    duckdb = require("duckdb", extra="train")
    if not has_null_byte(source.file):
        try:
            connection.execute(_copy(source, target))
        except duckdb.Error:
            pass  # the slower reader finds out where it is wrong
        else:
            return
    sieved = scratch / f"{target.stem}.csv"
    _sieve(source, sieved, bad)
    try:
        connection.execute(_copy(_Csv(source.file.moved(sieved), source.names, ","), target))
    except duckdb.Error as error:
        raise SourceUnreadable(
            f"{source.file.name} is not readable as CSV: {first_lines(error, 4)}"
        ) from error
    sieved.unlink()


def _copy(source: _Csv, target: Path) -> str:
    columns = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in source.names)
    missing = ", ".join(quote_text(mark) for mark in MISSING)
    return (
        f"COPY (SELECT * FROM read_csv({quote_text(str(source.file.path))}, auto_detect = false, "  # noqa: S608
        f"header = true, delim = {quote_text(source.delimiter)}, quote = '\"', escape = '\"', "
        f"strict_mode = true, nullstr = [{missing}], columns = {{{columns}}}, max_line_size = 16000000)) "
        f"TO {quote_text(str(target))} (FORMAT parquet)"
    )


def _sieve(source: _Csv, target: Path, bad: BadRows) -> None:
    """Copies the records that are right, and takes the others to the bad rows."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(source.names)
        for record in read_records(source.file, source.delimiter, len(source.names)):
            if record.fields is not None:
                writer.writerow(record.fields)
                continue
            hint = NOT_UTF8_HINT if "UTF-8" in record.reason else None
            bad.add(BadRow(source.file.name, record.line, record.reason, record.text), hint=hint)


def _describe(file: FoundFile) -> _Csv:
    with opened(file) as stream:
        line = stream.readline()
    first = _decoded(line, file)
    if "\r" in first.rstrip("\r\n"):
        path = shlex.quote(str(file.path))
        raise SourceUnreadable(
            f"{file.name}, line 1: lines end with a carriage return alone; expected a line feed.",
            hint=f"tr '\\r' '\\n' < {path} > {shlex.quote(f'lines-{file.path.name}')}",
        )
    if not first.strip():
        raise SourceUnreadable(
            f"{file.name} is empty; expected a line with the columns' names.",
            hint="write the file again: names in its first line, and a row in each other one",
        )
    outside_quotes = "".join(first.split('"')[::2])
    delimiter = "\t" if ".tsv" in file.suffixes else max(DELIMITERS, key=outside_quotes.count)
    with opened(file) as stream:
        lines = (_decoded(line, file) for line in stream)
        try:
            names = [name.strip() for name in next(csv.reader(lines, delimiter=delimiter))]
        except csv.Error as error:
            raise SourceUnreadable(
                f"{file.name}, line 1: {error}.", hint=f"head -n 1 {shlex.quote(str(file.path))}"
            ) from error
    names = [name or f"column_{position}" for position, name in enumerate(names, start=1)]
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise SourceUnreadable(
                f"{file.name}, line 1: the column {name} is there twice (capitals do not count).",
                hint="give each column a name of its own in the first line",
            )
        seen.add(name.lower())
    return _Csv(file, names, delimiter)


def _decoded(line: bytes, file: FoundFile) -> str:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceUnreadable(f"{file.name}, line 1: not UTF-8 text.", hint=NOT_UTF8_HINT) from error
    if "\0" in text:
        raise SourceUnreadable(f"{file.name}, line 1: it holds a NUL byte.", hint=f"file {file.path}")
    return text
