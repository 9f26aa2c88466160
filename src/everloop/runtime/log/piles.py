"""Rows put aside on disk in piles, so that what is larger than memory is joined pile by pile."""

from __future__ import annotations

import io
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Self

from everloop.core.files import storage_faults

if TYPE_CHECKING:
    import polars as pl


class Piles:
    """Rows in numbered piles, in one file without a name: a process that is killed leaves nothing behind.

    Use it in a ``with``, or close it.

    Args:
        folder: On whose disk the file is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with storage_faults(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by `close`)
        self._places: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def numbers(self) -> list[int]:
        """The piles that have rows, in order."""
        return sorted(self._places)

    def add(self, rows: pl.DataFrame, by: str) -> None:
        """Puts each row onto the pile that a column of numbers names.

        Raises:
            StorageFull: When the disk has no room.
        """
        for (number,), part in rows.partition_by(by, as_dict=True, include_key=False).items():
            content = io.BytesIO()
            part.write_ipc_stream(content, compression="lz4")
            with storage_faults(self._folder):
                begin = self._file.seek(0, io.SEEK_END)
                self._file.write(content.getbuffer())
            self._places[int(number)].append((begin, content.tell()))

    def take(self, number: int) -> pl.DataFrame | None:
        """Gives the rows of a pile in the order in which they were put there; None where there are none."""
        import polars as pl

        parts = []
        for begin, size in self._places.get(number, ()):
            self._file.seek(begin)
            parts.append(pl.read_ipc_stream(io.BytesIO(self._file.read(size))))
        return pl.concat(parts, rechunk=True) if parts else None

    def close(self) -> None:
        """Lets go of all of them."""
        self._file.close()
