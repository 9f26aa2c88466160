"""A Spark table as a lazy Polars frame: columns and rows leave Spark when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from everloop.core.extras import require
from everloop.data.engines.spark_session import EXTRA
from everloop.table.expression.spark_form import quoted

if TYPE_CHECKING:
    import polars as pl


VALUES_AT_ONCE = 20_000_000
"""So many values are brought at once, through the driver; more of them one partition after another."""


def streamed(table: Any, rows: int | None = None) -> pl.LazyFrame:
    """Gives a Spark table as a lazy frame, in Spark's order; an instant is in UTC.

    Only the columns that a query reads are brought.

    Args:
        table: A table of PySpark.
        rows: How many rows there are at most; where that is not known they come by partitions, which
            needs Everloop's Python with pandas and PyArrow where Spark's workers are.
    """
    import polars as pl
    from polars.io.plugins import register_io_source

    plain, instants = _plain(table)
    types = require("pyspark.sql.pandas.types", extra=EXTRA)
    empty = pl.DataFrame(pl.from_arrow(types.to_arrow_schema(plain.schema).empty_table()))

    def read(
        names: list[str] | None, predicate: pl.Expr | None, most: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        asked = plain if names is None else plain.select(*map(quoted, names))
        at_once = rows is not None and rows * len(asked.columns) <= VALUES_AT_ONCE
        for batch in _batches(asked if most is None else asked.limit(most), at_once=at_once):
            frame = _with_instants(batch, instants)
            yield frame if predicate is None else frame.filter(predicate)

    return register_io_source(read, schema=_with_instants(empty, instants).schema)


def _plain(table: Any) -> tuple[Any, list[str]]:
    """Gives the table with instants as microseconds, which no session's time zone touches."""
    instants = [name for name, kind in table.dtypes if kind == "timestamp"]
    written = [
        f"unix_micros({quoted(name)}) AS {quoted(name)}" if name in instants else quoted(name)
        for name in table.columns
    ]
    return table.selectExpr(*written), instants


def _batches(table: Any, *, at_once: bool) -> Iterator[pl.DataFrame]:
    import polars as pl
    import pyarrow as pa

    for batch in [table.toArrow()] if at_once else pa.RecordBatchReader.from_stream(table):
        yield pl.DataFrame(pl.from_arrow(batch))


def _with_instants(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    held = [name for name in names if name in frame.columns]
    return frame.with_columns(pl.col(held).cast(pl.Datetime("us", "UTC")))
