"""Columns that name files, such as images: each file's content takes the place of its name.

So a snapshot holds all that is learned from, and stays as it is when a file changes. Arrays of numbers,
and files' bytes, become the same kind of text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.digest import digest_value
from everloop.core.errors import DataFault, SpecFault
from everloop.table.content import as_contents, content_kind, content_text
from everloop.table.images import read_image
from everloop.table.sounds import read_sound

if TYPE_CHECKING:
    import polars as pl

    from everloop.data.sources import DigestMemo, Reading

ROWS_AT_ONCE = 1_000
_SHOWN = 3


def with_contents(
    readings: Mapping[str, Reading], columns: tuple[str, ...], folder: Path, scratch: Path
) -> dict[str, Reading]:
    """Gives readings whose columns of files and arrays carry the contents.

    Args:
        readings: What sources gave.
        columns: Those that name files, beside the lifecycle file.
        folder: The lifecycle file's folder; no file outside of it is read.
        scratch: Where rewritten rows are put.

    Raises:
        SpecFault: When a column is not there, or names no files.
        DataFault: When a file is missing, outside the folder, or cannot be decoded; it is named.
    """
    require_columns(readings, columns)
    return {
        name: replace(reading, files=tuple(_rewritten(reading, columns, folder, scratch / f"{name}-files")))
        for name, reading in readings.items()
    }


def require_columns(readings: Mapping[str, Reading], columns: tuple[str, ...]) -> None:
    """Raises when a column is in no source, or holds no names.

    Raises:
        SpecFault: When it is so.
    """
    import polars as pl

    kinds = {
        name: kind
        for reading in readings.values()
        for file in reading.files
        for name, kind in pl.read_parquet_schema(file).items()
    }
    for place, name in enumerate(columns):
        if name not in kinds:
            raise SpecFault(
                f"data.files names {name!r}, which no source has; they have {', '.join(list(kinds)[:12])}.",
                place=f"data.files[{place}]",
            )
        if kinds[name] != pl.String:
            raise SpecFault(
                f"data.files names {name!r}, which holds {kinds[name]} and no names of files.",
                place=f"data.files[{place}]",
            )


def digest_of_files(
    readings: Mapping[str, Reading], columns: tuple[str, ...], folder: Path, memo: DigestMemo
) -> str:
    """Gives the identity of all files that columns name: another content is another snapshot.

    Raises:
        DataFault: When a file is missing or outside the folder.
    """
    import polars as pl

    require_columns(readings, columns)
    names: set[str] = set()
    for reading in readings.values():
        for file in reading.files:
            there = [name for name in columns if name in pl.read_parquet_schema(file)]
            for name in there:
                names.update(pl.scan_parquet(file).select(name).unique().drop_nulls().collect()[name])
    return digest_value({name: memo.digest(_inside(folder, name)) for name in sorted(names)})


def _rewritten(reading: Reading, columns: tuple[str, ...], folder: Path, place: Path) -> Iterator[Path]:
    import polars as pl

    for number, file in enumerate(reading.files):
        kinds = pl.read_parquet_schema(file)
        named = [name for name in columns if name in kinds]
        if named or any(isinstance(kind, (pl.List, pl.Array, pl.Binary)) for kind in kinds.values()):
            place.mkdir(exist_ok=True)
            yield carried_file(file, named, folder, place / f"{number}.parquet")
        else:
            yield file


def carried_file(file: Path, named: Sequence[str], folder: Path, target: Path) -> Path:
    """Writes rows anew with what their files and arrays carry; gives the file itself where it has no row.

    Args:
        file: Parquet.
        named: Its columns that name files; a value that carries a content already is kept.
        folder: Where files are; none outside of it is read.
        target: What is written.

    Raises:
        DataFault: When a file is missing, outside the folder, or cannot be decoded; it is named.
    """
    import polars as pl
    import pyarrow.parquet as pq

    writer, row = None, 0
    with pq.ParquetFile(file) as parts:
        for batch in parts.iter_batches(ROWS_AT_ONCE):
            frame = pl.DataFrame(pl.from_arrow(batch))
            frame = frame.with_columns([as_contents(column) for column in frame])
            frame = frame.with_columns([contents_at(frame[name], folder, row) for name in named])
            table = frame.to_arrow()
            writer = writer or pq.ParquetWriter(target, table.schema, compression="zstd")
            writer.write_table(table)
            row += frame.height
    if writer is None:
        return file
    writer.close()
    return target


def contents_at(column: pl.Series, folder: Path, before: int = 0) -> pl.Series:
    """Gives a column of files' names as what they carry.

    Args:
        column: Names, beside the folder.
        folder: No file outside of it is read.
        before: How many rows came before, for messages.

    Raises:
        DataFault: When a file is missing, outside the folder, or cannot be decoded; it is named.
    """
    import polars as pl

    texts: list[str | None] = []
    faults: list[str] = []
    for row, name in enumerate(column.to_list(), start=before + 1):
        try:
            carries = name is None or content_kind(name) is not None
            texts.append(name if carries else _content(_inside(folder, name)))
        except DataFault as fault:
            faults.append(f"row {row}, {name}: {fault.message.rstrip('.')}")
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise DataFault(
            f"Column {column.name!r} names files that cannot be used: {'; '.join(faults[:_SHOWN])}{more}",
            hint=f"mend or remove them; or leave the rows out: data: {{table: ... where {column.name} ...}}",
        )
    return pl.Series(column.name, texts, dtype=pl.String)


def _inside(folder: Path, name: str) -> Path:
    home, path = folder.resolve(), (folder / name).resolve()
    if not path.is_relative_to(home):
        raise DataFault(f"{name} is outside of the lifecycle file's folder.")
    if not path.is_file():
        raise DataFault(f"There is no file {name} beside the lifecycle file.")
    return path


def _content(path: Path) -> str:
    text = content_text(path.read_bytes())
    if content_kind(text) == "sound":
        read_sound(text)
    else:
        read_image(text)
    return text
