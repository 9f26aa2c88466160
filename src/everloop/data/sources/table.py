"""A table that was handed in from Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.errors import EverloopError, SourceUnreadable
from everloop.data.engines.spark_session import is_spark_table
from everloop.data.sources.protocol import Capabilities, Increment, Surroundings
from everloop.table.tables import as_lazy

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class TableSpec:
    """What names a table that lives in memory.

    Attributes:
        table: A Polars, pandas, Arrow, DuckDB or Spark table, or a path.
        name: The name of the source that it stands for.
    """

    table: Any
    name: str = "table"


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
        incremental=True,
    )

    def identity(self) -> dict[str, Any]:
        """Names the source that the table stands for; the last table under a name is kept."""
        return {"table": self.spec.name}

    def read_after(self, position: dict[str, Any] | None, scratch: Path) -> Iterator[Increment]:
        """Writes the table as Parquet.

        Raises:
            SourceUnreadable: When the table holds what Parquet cannot.
        """
        del position
        target = scratch / "table.parquet"
        try:
            _lazy(self.spec.table).sink_parquet(target, compression="zstd", compression_level=1)
        except EverloopError:
            raise
        except Exception as error:  # any table library may fail in its own way
            raise SourceUnreadable(
                f"The {type(self.spec.table).__name__} that was handed in cannot be read: {error}."
            ) from error
        yield Increment((target,), None)


def _lazy(table: Any) -> pl.LazyFrame:
    if not is_spark_table(table):
        return as_lazy(table)
    from everloop.data.engines.spark_stream import streamed

    return streamed(table)
