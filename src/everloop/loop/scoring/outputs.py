"""Files that scored rows are written to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from everloop.core.errors import UsageFault
from everloop.core.files import storage_faults, sync_folder

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl


class Writer(Protocol):
    """Takes batches of one schema, in order."""

    def write(self, batch: pl.DataFrame) -> None:
        """Writes a batch."""
        ...

    def close(self) -> None:
        """Ends the file."""
        ...


class ParquetWriter:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def write(self, batch: pl.DataFrame) -> None:
        """Writes a batch as a row group."""
        import pyarrow.parquet as pq

        table = batch.to_arrow()
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table.cast(self._writer.schema))

    def close(self) -> None:
        """Ends the file."""
        if self._writer is not None:
            self._writer.close()


class CsvWriter:
    """A CSV file with a header."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._started = False

    def write(self, batch: pl.DataFrame) -> None:
        """Writes a batch as lines."""
        batch.write_csv(self._file, include_header=not self._started)
        self._started = True

    def close(self) -> None:
        """Ends the file."""
        self._file.close()


class JsonLinesWriter:
    """A file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, batch: pl.DataFrame) -> None:
        """Writes a batch as lines."""
        batch.write_ndjson(self._file)

    def close(self) -> None:
        """Ends the file."""
        self._file.close()


WRITERS: dict[str, type[ParquetWriter | CsvWriter | JsonLinesWriter]] = {
    ".parquet": ParquetWriter,
    ".csv": CsvWriter,
    ".jsonl": JsonLinesWriter,
    ".ndjson": JsonLinesWriter,
}


def writer_for(output: Path) -> type[ParquetWriter | CsvWriter | JsonLinesWriter]:
    """Gives what writes a file of this ending.

    Raises:
        UsageFault: When no writer knows it, or a folder is there.
    """
    if output.is_dir():
        raise UsageFault(
            f"{output} is a folder; a file is to be written.", hint=f"--output {output / 'scored.parquet'}"
        )
    if output.suffix not in WRITERS:
        raise UsageFault(
            f"{output.name} must end in {', '.join(list(WRITERS)[:-1])} or {list(WRITERS)[-1]}.",
            hint="--output scored.parquet; a table of a database needs --to env:DATABASE_URL",
        )
    return WRITERS[output.suffix]


def publish(work: Path, output: Path) -> None:
    """Moves a finished file to its place, all at once."""
    with storage_faults(output):
        with work.open("rb") as file:
            os.fsync(file.fileno())
        work.chmod(0o644)
        work.replace(output)
        sync_folder(output.parent)
