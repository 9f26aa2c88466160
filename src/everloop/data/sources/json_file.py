"""JSON lines, landed as Parquet."""

from __future__ import annotations

from pathlib import Path

from everloop.core.errors import SourceUnreadable
from everloop.core.extras import require
from everloop.data.duck import closed_duckdb, first_lines, quote_text


def land_json(paths: tuple[Path, ...], target: Path, scratch: Path) -> None:
    """Writes JSON files, one object a line (or one array of objects), as one Parquet file.

    Types are found over all rows; a key that a row lacks is a missing value.

    Raises:
        SourceUnreadable: When a file is empty or a line is no JSON object; the file and the line
            are named.
    """
    duckdb = require("duckdb", extra="train")
    for path in paths:
        if path.stat().st_size == 0:
            raise SourceUnreadable(f"{path} is empty; expected one JSON object a line.")
    files = ", ".join(quote_text(str(path)) for path in paths)
    lines = all(".json" not in path.suffixes for path in paths)
    form = "newline_delimited" if lines else "auto"
    with closed_duckdb(scratch, paths) as connection:
        scan = f"read_json([{files}], format = '{form}', sample_size = -1, union_by_name = true)"
        try:
            connection.execute(
                f"COPY (SELECT * FROM {scan}) TO {quote_text(str(target))} (FORMAT parquet)"  # noqa: S608
            )
        except duckdb.Error as error:
            raise SourceUnreadable(
                f"{_named(paths)} is not readable as JSON: {first_lines(error)}"
            ) from error
        names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()]  # noqa: S608
    if names == ["json"]:
        raise SourceUnreadable(f"{_named(paths)} holds JSON values that are no objects.")


def _named(paths: tuple[Path, ...]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
