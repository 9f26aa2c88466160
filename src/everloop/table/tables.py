"""Any table a user has, as a Polars frame.

Polars, pandas, Arrow and DuckDB tables are taken as they are; a path is read by its ending:
``.csv``, ``.tsv``, ``.parquet``, ``.jsonl``, ``.ndjson``, text formats also with ``.gz`` or ``.zst``.
A path with ``*`` stands for all files that match, in the order of their names.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import DataFault, EverloopError, SourceUnreadable
from everloop.core.nearness import near_file
from everloop.table import text_tables
from everloop.table.text_tables import PACKED, not_utf8

if TYPE_CHECKING:
    import polars as pl


def retyped(path: str | Path) -> pl.LazyFrame:
    """Takes files as a lazy frame whose types all rows of large text have; see `text_tables.retyped`.

    Args:
        path: A file, or a pattern of files.

    Raises:
        DataFault: As `as_lazy` does.
        SourceUnreadable: As `as_lazy` does.
    """
    return _from_path(path, _RETYPING)


def as_lazy(table: Any) -> pl.LazyFrame:
    """Takes a table as a lazy Polars frame; nothing that is passed in is changed.

    Args:
        table: A Polars, pandas or Arrow table, a DuckDB relation, or a path.

    Raises:
        DataFault: It is not a table, the file is not there, or it has no columns.
        SourceUnreadable: The file is there but damaged, cut off or in another encoding.
    """
    import polars as pl

    if isinstance(table, pl.LazyFrame):
        return table
    if isinstance(table, pl.DataFrame):
        return table.lazy()
    if isinstance(table, str | Path):
        return _from_path(table, _READERS)
    return _from_memory(table).lazy()


def as_frame(table: Any, texts: Sequence[str] = ()) -> pl.DataFrame:
    """Takes a table as a Polars frame in memory; nothing that is passed in is changed.

    Args:
        table: A Polars, pandas or Arrow table, a DuckDB relation, or a path.
        texts: Columns that stay as a CSV file writes them, such as ids: `007` is no number.

    Raises:
        DataFault: It is not a table, the file is not there, or it has no columns.
        SourceUnreadable: The file is there but damaged, cut off or in another encoding.
    """
    import polars as pl

    if isinstance(table, pl.DataFrame):
        return table
    lazy = _from_path(table, _reading_texts(texts)) if isinstance(table, str | Path) else as_lazy(table)
    with reading(table):
        frame: pl.DataFrame = lazy.collect()
    return frame


@contextmanager
def reading(table: Any) -> Iterator[None]:
    """Says what is wrong with a file whose rows turn out to be unreadable.

    Raises:
        SourceUnreadable: When what is done meanwhile fails, and the table is a path.
    """
    import polars as pl

    try:
        yield
    except (pl.exceptions.ComputeError, OSError) as error:
        if isinstance(table, str | Path):
            raise _unreadable(Path(table), error) from error
        raise


def _from_memory(table: Any) -> pl.DataFrame:
    import polars as pl

    maker = type(table).__module__.partition(".")[0]
    try:
        if maker == "pandas" and hasattr(table, "columns"):
            return pl.DataFrame(pl.from_pandas(table))
        if maker == "pyarrow" or hasattr(table, "__arrow_c_stream__"):
            return pl.DataFrame(table)
        if hasattr(table, "pl") and "duckdb" in maker:
            return pl.DataFrame(table.pl())
    except Exception as error:
        raise DataFault(
            f"The {maker} table cannot be read: {_first_line(error)}",
            hint="give each column one type: table[name] = table[name].astype(str)",
        ) from error
    raise DataFault(
        f"A table was expected, not {type(table).__name__}.",
        hint="pass a Polars, pandas, Arrow or DuckDB table, or the path of a CSV, Parquet or JSON lines file",
    )


def _from_path(given: str | Path, readers: Mapping[str, Reader]) -> pl.LazyFrame:
    import polars as pl

    path = Path(given)
    if not path.exists() and glob.has_magic(str(given)):
        found = sorted(glob.glob(str(given), recursive=True))  # noqa: PTH207  a pattern may be absolute
        if not found:
            raise DataFault(f"No file matches {given}.", hint=f"ls {path.parent}")
        return pl.concat([_from_path(one, readers) for one in found], how="vertical_relaxed")
    _must_be_file(path)
    read = _reader_of(path, readers)
    try:
        lazy = read(path)
        names = lazy.collect_schema().names()
    except EverloopError:
        raise
    except pl.exceptions.NoDataError as error:
        raise DataFault(f"{path} is empty: it has neither a header nor rows.", place=str(path)) from error
    except Exception as error:
        raise _unreadable(path, error) from error
    if not names:
        raise DataFault(f"{path} has no columns.", place=str(path))
    return lazy


def _must_be_file(path: Path) -> None:
    if path.is_file():
        if path.stat().st_size == 0:
            raise DataFault(f"{path} is empty: it has neither a header nor rows.", place=str(path))
        return
    if path.is_dir():
        raise DataFault(
            f"{path} is a folder; a file was expected.", hint=f'"{path}/*.parquet" takes all files in it'
        )
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    near = near_file(path.name, names)
    if near:
        raise DataFault(f"There is no file {path}.", hint=f"did you mean {folder / near}?")
    raise DataFault(f"There is no file {path}.", hint=f"ls {folder if folder.is_dir() else '.'}")


def _reader_of(path: Path, readers: Mapping[str, Reader]) -> Reader:
    endings = [ending.lower() for ending in path.suffixes]
    packed = bool(endings) and endings[-1] in PACKED
    kind = endings[-2] if packed and len(endings) > 1 else (endings[-1] if endings else "")
    if kind not in readers or (packed and kind in {".parquet", ".pq"}):
        known = ", ".join([*readers, *(f".csv{ending}" for ending in PACKED)])
        raise DataFault(
            f"The format of {path.name} is not known.", hint=f"files that can be read end in {known}"
        )
    return readers[kind]


def _read_parquet(path: Path) -> pl.LazyFrame:
    import polars as pl

    return pl.scan_parquet(path)


Reader = Callable[[Path], "pl.LazyFrame"]

_READERS: dict[str, Reader] = {
    ".csv": text_tables.read_csv,
    ".tsv": text_tables.read_csv,
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
    ".jsonl": text_tables.read_json_lines,
    ".ndjson": text_tables.read_json_lines,
}


def _reading_texts(names: Sequence[str]) -> Mapping[str, Reader]:
    read = partial(text_tables.read_csv, texts=tuple(names))
    return _READERS | {".csv": read, ".tsv": read}


_RETYPING = _READERS | {".csv": text_tables.retyped, ".tsv": text_tables.retyped}


def _unreadable(path: Path, error: Exception) -> EverloopError:
    if path.is_file() and not os.access(path, os.R_OK):
        return SourceUnreadable(f"{path} may not be read.", hint=f"ls -l {path}", place=str(path))
    text = str(error).lower()
    if "utf-8" in text or "utf8" in text:
        return not_utf8(path, "latin1")
    packed = path.suffix.lower() in PACKED
    hint = f"gzip -t {path}" if packed else f"head -c 300 {path}"
    what = "cut off or damaged" if packed or path.suffix.lower() in {".parquet", ".pq"} else "damaged"
    return SourceUnreadable(
        f"{path} cannot be read; it may be {what}: {_first_line(error)}", hint=hint, place=str(path)
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
