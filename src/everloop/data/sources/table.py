"""A table that was handed in from Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.digest import digest_file
from everloop.core.errors import EverloopError, SourceUnreadable
from everloop.core.files import scratch_folder
from everloop.data.engines.spark_session import is_spark_table
from everloop.data.sources.protocol import Capabilities, Reading, Surroundings
from everloop.table.tables import as_lazy

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class TableSpec:
    """What names a table that lives in memory.

    Attributes:
        table: A Polars, pandas, Arrow, DuckDB or Spark table, or a path.
    """

    table: Any


@dataclass(frozen=True)
class Table:
    """A Polars, pandas, Arrow, DuckDB or Spark table; it is copied, never changed.

    A Spark table comes through Arrow, one partition after another, in Spark's order of partitions.
    """

    spec: TableSpec
    surroundings: Surroundings
    capabilities: ClassVar[Capabilities] = Capabilities(
        kind="table",
        reads="Polars, pandas, Arrow, DuckDB and Spark tables handed in from Python",
        cheap_fingerprint=False,
        keeps_order=True,
        needs_network=False,
    )

    def fingerprint(self) -> dict[str, Any]:
        """Gives the digest of the table as Parquet; the table is written once to find it."""
        with scratch_folder(self.surroundings.folder.resolve()) as scratch:
            return self.read(scratch).fingerprint

    def read(self, scratch: Path) -> Reading:
        """Writes the table as Parquet.

        Raises:
            SourceUnreadable: When the table holds what Parquet cannot.
        """
        target = scratch / "table.parquet"
        try:
            _lazy(self.spec.table).sink_parquet(target, compression="zstd", statistics=False)
        except EverloopError:
            raise
        except Exception as error:  # any table library may fail in its own way
            raise SourceUnreadable(
                f"The {type(self.spec.table).__name__} that was handed in cannot be read: {error}."
            ) from error
        return Reading((target,), {"kind": "table", "digest": digest_file(target)})


def _lazy(table: Any) -> pl.LazyFrame:
    if not is_spark_table(table):
        return as_lazy(table)
    from everloop.data.engines.spark_stream import streamed

    return streamed(table)
