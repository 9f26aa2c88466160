"""The rows that are asked about: where they are, and how they come to be one Parquet file."""

from __future__ import annotations

import glob
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from everloop.core.clock import Clock, SystemClock
from everloop.core.errors import UsageFault
from everloop.core.progress import Progress, silent

if TYPE_CHECKING:
    from everloop.spec import SqlSource


class AskedRows(Protocol):
    """Rows that are asked about."""

    def identity(self) -> Any:
        """Says which rows these are, as JSON-able data; what was scored of others does not count."""
        ...

    def land(self, target: Path, scratch: Path) -> Path:
        """Gives the rows as one Parquet file: `target`, or where they are anyway."""
        ...


@dataclass(frozen=True)
class FileRows:
    """Rows of a CSV, Parquet or JSON lines file, or of all that match a pattern.

    Attributes:
        source: A path or a glob that `as_lazy` reads.
    """

    source: str | Path

    def identity(self) -> Any:
        """Names the files with their sizes and times."""
        paths = sorted(glob.glob(str(self.source), recursive=True)) or [str(self.source)]  # noqa: PTH207
        return [[str(Path(path).resolve()), *_stamp(Path(path))] for path in paths]

    def land(self, target: Path, scratch: Path) -> Path:
        """Gives a single Parquet file as it is; others are copied in a stream.

        Raises:
            DataFault: When the file is not there or is no table.
            SourceUnreadable: When it is damaged.
        """
        import polars as pl

        from everloop.table.tables import as_lazy, reading

        path = Path(self.source)
        lazy = as_lazy(self.source)
        with reading(self.source):
            if path.suffix == ".parquet" and path.is_file():
                return path
            landed = scratch / "landed.parquet"
            lazy.sink_parquet(landed, row_group_size=100_000)
        landed.replace(target)
        pl.read_parquet_schema(target)
        return target


@dataclass(frozen=True)
class DatabaseRows:
    """Rows of a database's table, or of a query, as it gives them when they are first asked about.

    Attributes:
        query: A table's name or a query.
        url: The database: an address without a password, or ``env:NAME``, or ``file:PATH``.
        folder: Where relative paths of database files start.
        progress: Is told how many rows there are.
    """

    query: str
    url: str
    folder: Path = field(default_factory=Path)
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = silent

    def identity(self) -> Any:
        """Names the database without its password, and the query."""
        return self._database().identity()

    def land(self, target: Path, scratch: Path) -> Path:
        """Reads the rows once, in a transaction that cannot write.

        Raises:
            SourceUnreachable: When the database does not answer.
            SourceUnreadable: When the query fails.
        """
        import polars as pl

        files = [path for part in self._database().read_after(None, scratch) for path in part.files]
        landed = scratch / "landed.parquet"
        pl.scan_parquet(files).sink_parquet(landed, row_group_size=100_000)
        landed.replace(target)
        return target

    def _database(self) -> Any:
        from everloop.data.sources import Surroundings
        from everloop.data.sources.digest_memo import DigestMemo
        from everloop.data.sources.sql import Database

        around = Surroundings(self.folder, self.clock, DigestMemo(), self.progress)
        return Database(database_address(self.query, self.url), around)


def database_address(query: str, url: str) -> SqlSource:
    """Checks a database's address as a lifecycle file's is checked.

    Raises:
        UsageFault: When it carries a password, or is none.
    """
    import pydantic

    from everloop.spec import SqlSource

    try:
        return SqlSource(sql=query, url=url)
    except pydantic.ValidationError as error:
        said = error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise UsageFault(f"The database's address cannot be used: {said}.", hint="env:DATABASE_URL") from None


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]
