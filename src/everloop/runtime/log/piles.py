"""Rows put aside on disk in piles, so that what is larger than memory is joined pile by pile."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.files import storage_faults

if TYPE_CHECKING:
    import polars as pl

_HEAD = 8


class Piles:
    """Rows in numbered piles, each a file of tables one after the other, open only while it is used.

    Args:
        folder: Where the files are; whoever made it removes it.
        name: How their names begin.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self.numbers: set[int] = set()

    def add(self, rows: pl.DataFrame, by: str) -> None:
        """Puts each row onto the pile that a column of numbers names.

        Raises:
            StorageFull: When the disk has no room.
        """
        for (number,), part in rows.partition_by(by, as_dict=True, include_key=False).items():
            content = io.BytesIO()
            part.write_ipc_stream(content, compression="lz4")
            path = self._path(int(number))
            with storage_faults(path), path.open("ab") as file:
                file.write(content.tell().to_bytes(_HEAD, "little"))
                file.write(content.getbuffer())
            self.numbers.add(int(number))

    def take(self, number: int) -> pl.DataFrame | None:
        """Gives the rows of a pile in the order in which they were put there; None where there are none."""
        import polars as pl

        if number not in self.numbers:
            return None
        return pl.concat(self._tables(number), rechunk=True)

    def _tables(self, number: int) -> Iterator[pl.DataFrame]:
        import polars as pl

        with self._path(number).open("rb") as file:
            while head := file.read(_HEAD):
                yield pl.read_ipc_stream(io.BytesIO(file.read(int.from_bytes(head, "little"))))

    def clear(self) -> None:
        """Removes all of them."""
        for number in self.numbers:
            self._path(number).unlink()
        self.numbers = set()

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number}"
