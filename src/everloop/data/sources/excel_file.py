"""Excel workbooks, one sheet of each, landed as typed Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.extras import require
from everloop.data.duck import closed_duckdb
from everloop.data.sources.bad_rows import BadRows
from everloop.data.sources.csv_file import MISSING
from everloop.data.sources.landed_text import TextParts, land_text
from everloop.data.sources.parquet_file import unlike
from everloop.data.sources.protocol import SourcePart
from everloop.data.sources.text_file import FoundFile

if TYPE_CHECKING:
    import polars as pl

EXACT_INTEGERS = 2.0**53


def land_excel(
    files: Sequence[FoundFile], target: Path, scratch: Path, bad: BadRows, *, sheet: str | None = None
) -> tuple[SourcePart, ...]:
    """Writes a sheet of each workbook as one Parquet file, with types found over all rows of all files.

    Excel has one kind of number: a column of whole ones is of integers. A column whose cells are of
    several kinds is text.

    Args:
        files: The workbooks, of which the first says the columns.
        target: The file to write.
        scratch: A folder to work in.
        bad: Collects rows and files that cannot be read.
        sheet: The sheet's name; by default the first one.

    Returns:
        The rows of each file, where there are several.

    Raises:
        MissingExtra: When the reader is not installed.
        SourceUnreadable: When a file is no workbook, has no such sheet, or other columns than the
            first, and bad files are refused.
    """
    require("fastexcel", extra="excel")
    landed: list[tuple[FoundFile, Path]] = []
    columns: list[str] = []
    for position, file in enumerate(files):
        try:
            frame = _as_text(_read(file, sheet))
            if landed and frame.columns != columns:
                raise unlike(file.name, frame.columns, landed[0][0].name, columns)
        except SourceUnreadable as error:
            bad.lose_file(file.name, error)
            continue
        columns = frame.columns
        landed.append((file, scratch / f"text.{position:06d}.parquet"))
        frame.write_parquet(landed[-1][1])
    if not landed:
        bad.settle(0, len(files), scratch)
        raise SourceUnreadable(f"None of the {len(files)} files can be read.")
    paths = tuple(path for _, path in landed)
    parts = TextParts(paths, tuple(file.name for file, _ in landed), tuple(columns), _locator(paths))
    with closed_duckdb(scratch, []) as connection:
        return land_text(connection, parts, target, bad)


def _locator(paths: Sequence[Path]) -> Any:
    import polars as pl

    def locate(part: int, rows: Sequence[int]) -> dict[int, tuple[int, str]]:
        table = pl.read_parquet(paths[part])
        # The sheet's first row is its header.
        return {row: (row + 2, ", ".join(str(value) for value in table.row(row))) for row in rows}

    return locate


def _read(file: FoundFile, sheet: str | None) -> pl.DataFrame:
    fastexcel = require("fastexcel", extra="excel")
    try:
        with file.path.open("rb"):
            pass
        book = fastexcel.read_excel(file.path)
        if sheet is not None and sheet not in book.sheet_names:
            raise SourceUnreadable(
                f"{file.name} has no sheet {sheet}; it has {', '.join(book.sheet_names)}.",
                hint=f"sheet: {book.sheet_names[0]}",
            )
        loaded = book.load_sheet(sheet or 0, schema_sample_rows=None, dtype_coercion="coerce")
        table: pl.DataFrame = loaded.to_polars()
    except PermissionError as error:
        raise SourceUnreachable(f"{file.name} may not be read.", hint=f"ls -l {file.path}") from error
    except fastexcel.FastExcelError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise SourceUnreadable(f"{file.name} is not a readable Excel workbook: {reason}.") from error
    if not table.columns:
        raise SourceUnreadable(f"{file.name} is empty; expected a row with the columns' names.")
    return table


def _as_text(table: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return table.select(
        _texts(column).set(_texts(column).is_in(MISSING), None)
        if column.dtype == pl.String
        else _texts(column)
        for column in table
    )


def _texts(column: pl.Series) -> pl.Series:
    """Writes values so that reading the text gives them back, to the last digit."""
    import polars as pl

    if column.dtype.is_float():
        present = column.drop_nulls()
        whole = bool(((present == present.floor()) & (present.abs() < EXACT_INTEGERS)).all())
        return column.cast(pl.Int64).cast(pl.String) if whole else column.cast(pl.String)
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    return column.cast(pl.String)
