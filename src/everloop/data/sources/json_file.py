"""JSON lines, landed as Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.errors import SourceUnreadable
from everloop.core.extras import require
from everloop.data.duck import closed_duckdb, first_lines, quote_name, quote_text
from everloop.data.sources.bad_rows import BadRow, BadRows
from everloop.data.sources.protocol import SourcePart
from everloop.data.sources.text_file import FoundFile, as_utf8, has_content, opened

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def land_json(
    files: Sequence[FoundFile], target: Path, scratch: Path, bad: BadRows, *, encoding: str | None = None
) -> tuple[SourcePart, ...]:
    """Writes JSON files, one object a line (or one array of objects), as one Parquet file.

    Types are found over all rows; a key that a row lacks is a missing value, and a key whose values
    are of several types is text.

    Args:
        files: The files.
        target: The file to write.
        scratch: A folder to work in.
        bad: Collects lines and files that cannot be read.
        encoding: Of the files, where it is stated.

    Returns:
        The rows of each file, where there are several.

    Raises:
        SourceUnreadable: When a file is empty or a line is no JSON object, and bad rows are refused;
            the file and the line are named.
    """
    duckdb = require("duckdb", extra="train")
    lines = all(".json" not in file.suffixes for file in files)
    ready = _ready(files, scratch, bad, encoding)
    with closed_duckdb(scratch, [file.path for file in ready]) as connection:
        try:
            return _land(connection, ready, target, lines=lines)
        except duckdb.Error as error:
            sieved = [_sieve(file, scratch, bad) for file in ready] if lines else []
            if not sieved:
                raise SourceUnreadable(
                    f"{_named(ready)} is not readable as JSON: {first_lines(error)}"
                ) from error
            try:
                return _land(connection, sieved, target, lines=lines)
            except duckdb.Error as second:
                raise SourceUnreadable(
                    f"{_named(ready)} is not readable as JSON: {first_lines(second)}"
                ) from second


def _ready(files: Sequence[FoundFile], scratch: Path, bad: BadRows, encoding: str | None) -> list[FoundFile]:
    ready = []
    for file in files:
        try:
            if not has_content(file):
                raise SourceUnreadable(
                    f"{file.name} is empty; expected one JSON object a line.",
                    hint='write the file again, with lines such as {"amount": 12.5, "paid": true}',
                )
            ready.append(as_utf8(file, encoding, scratch))
        except SourceUnreadable as error:
            bad.lose_file(file.name, error)
    if not ready:
        bad.settle(0, len(files), scratch)
        raise SourceUnreadable(f"None of the {len(files)} files can be read.")
    return ready


def _land(
    connection: DuckDBPyConnection, files: Sequence[FoundFile], target: Path, *, lines: bool
) -> tuple[SourcePart, ...]:
    duckdb = require("duckdb", extra="train")
    listed = ", ".join(quote_text(str(file.path)) for file in files)
    form = "newline_delimited" if lines else "auto"
    scan = f"read_json([{listed}], format = '{form}', sample_size = -1, union_by_name = true)"
    kinds = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()}  # noqa: S608
    if list(kinds) == ["json"]:
        raise duckdb.InvalidInputException("it holds JSON values that are no objects")
    columns = ", ".join(_column(name, kind) for name, kind in kinds.items())
    connection.execute(f"COPY (SELECT {columns} FROM {scan}) TO {quote_text(str(target))} (FORMAT parquet)")  # noqa: S608
    if len(files) == 1:
        return ()
    named = f"{scan[:-1]}, filename = true)"
    query = f"SELECT filename, count(*) FROM {named} GROUP BY filename"  # noqa: S608
    counted = dict(connection.execute(query).fetchall())
    return tuple(SourcePart(file.name, int(counted.get(str(file.path), 0))) for file in files)


def _column(name: str, kind: str) -> str:
    column = quote_name(name)
    return f"{column} ->> '$' AS {column}" if kind == "JSON" else column


def _sieve(file: FoundFile, scratch: Path, bad: BadRows) -> FoundFile:
    """Copies the lines that are JSON objects, and takes the others to the bad rows."""
    target = scratch / f"sieved-{len(list(scratch.iterdir())):06d}.jsonl"
    with opened(file) as stream, target.open("wb") as copy:
        for number, line in enumerate(stream, start=1):
            reason = _fault(line if number > 1 else line.removeprefix(b"\xef\xbb\xbf"))
            if reason is None:
                copy.write(line)
            elif reason:
                text = line.rstrip(b"\r\n").decode("utf-8", errors="backslashreplace")
                bad.add(BadRow(file.name, number, reason, text.replace("\0", "\\x00")))
    return file.moved(target)


def _fault(line: bytes) -> str | None:
    """Says what is wrong with a line; None for nothing, and nothing to say of an empty one."""
    if not line.strip():
        return ""
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return "not UTF-8 text"
    except json.JSONDecodeError as error:
        return f"no JSON: {error.msg} at character {error.pos + 1}"
    except RecursionError:
        return "no JSON that can be read: it is nested too deeply"
    return None if isinstance(value, dict) else f"no JSON object, but {type(value).__name__}"


def _named(files: Sequence[FoundFile]) -> str:
    return files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"
