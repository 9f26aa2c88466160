"""Large text files, parsed once: what looks at a table several times reads Parquet."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from everloop.core.files import storage_faults
from everloop.table import tables
from everloop.table.stored import is_parquet, write_rows
from everloop.table.text_tables import is_large


@contextmanager
def parsed_once(table: Any) -> Iterator[Any]:
    """Gives the table as it is, or a text file that is too large to be read at once as Parquet.

    The Parquet file is in a folder of its own below the system's one for temporary files (`TMPDIR`),
    and is gone after the context.

    Args:
        table: Any table that `as_lazy` takes.

    Raises:
        DataFault: When the table is none.
        SourceUnreadable: When the file is damaged, cut off or in another encoding.
        StorageFull: When the disk has no room.
    """
    if not (isinstance(table, str | Path) and any(map(_is_large_text, _files(table)))):
        yield table
        return
    with tempfile.TemporaryDirectory(prefix="everloop-") as folder:
        target = Path(folder) / "table.parquet"
        with storage_faults(target), tables.reading(table):
            _write(table, target)
        yield target


def _write(path: str | Path, target: Path) -> None:
    import polars as pl

    try:
        write_rows(tables.as_lazy(path), target)
    except pl.exceptions.ComputeError:  # a value may not be of the type that the first rows have
        write_rows(tables.retyped(path), target)


def _files(path: str | Path) -> list[Path]:
    exact = Path(path)
    return [exact] if exact.is_file() else [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207


def _is_large_text(path: Path) -> bool:
    return path.is_file() and not is_parquet(path) and is_large(path)
