"""PySpark: tables that outgrow the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.extras import require
from everloop.data.engines.protocol import Capabilities
from everloop.data.engines.spark_contract import SparkHeld
from everloop.data.engines.spark_session import EXTRA, is_spark_table, session
from everloop.data.engines.spark_stream import streamed
from everloop.table.contract.checking import hold
from everloop.table.expression import to_spark
from everloop.table.expression.spark_form import quoted
from everloop.table.feature import in_layers
from everloop.table.stored import StoredTable, write_rows

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.contract import Contract, ContractReport
    from everloop.table.feature import FeatureDefinition

ROW = "__everloop_row"
"""The column of a row's position, from 0."""


@dataclass(frozen=True)
class SparkTable(StoredTable):
    """A table on a Spark session, read through Arrow.

    Attributes:
        spark: The Spark table, ordered by its column `ROW`.
    """

    spark: Any = None

    def row_hashes(self, columns: Sequence[str]) -> pl.Series:
        """Hashes the rows on Spark."""
        # Spark's hash passes nulls over, so that one would be equal to what is not there.
        listed = ", ".join(f"isnull({quoted(name)}), {quoted(name)}" for name in columns)
        hashed = self.spark.selectExpr(f"xxhash64({listed}) AS hash")
        hashes = streamed(hashed, self.rows).collect()["hash"]
        return hashes if self.kept is None else hashes.filter(self.kept)

    def write(self, path: Path, features: Sequence[FeatureDefinition] = ()) -> int:
        """Computes the features on Spark; the rows stream from there into the file."""
        functions = require("pyspark.sql.functions", extra=EXTRA)
        table = self._rows()
        for layer in in_layers(features):
            kinds = dict(table.dtypes)
            made = {one.name: functions.expr(to_spark(one.expression, kinds)) for one in layer}
            table = table.withColumns(made)
        return write_rows(streamed(table.orderBy(ROW).drop(ROW), self.height), path)

    def _rows(self) -> Any:
        """Gives the rows that are kept, on Spark."""
        import polars as pl

        if self.kept is None:
            return self.spark
        positions = self.kept.arg_true().cast(pl.Int64).alias(ROW).to_frame()
        sent = self.spark.sparkSession.createDataFrame(positions.to_arrow())
        return self.spark.join(sent, ROW, "left_semi")


class SparkEngine:
    """Spark: the active session, the one that the environment names, or one on this machine."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        name="pyspark",
        holds="on a Spark session",
        beyond_memory=True,
        beyond_machine=True,
        extra=EXTRA,
    )

    @contextmanager
    def open(self, table: Any) -> Iterator[SparkTable]:
        """Opens a Spark table, a file that the session can read, or sends a table there."""
        given = numbered(table)
        held = given.orderBy(ROW).persist()
        try:
            rows = held.count()
            yield SparkTable(streamed(held.drop(ROW), rows), rows, spark=held)
        finally:
            held.unpersist()

    def check(
        self,
        table: Any,
        contract: Contract,
        *,
        now: datetime | None = None,
        tables: Mapping[str, Any] | None = None,
        without: Sequence[str] = (),
    ) -> ContractReport:
        """Judges all rules in one query of Spark."""
        with self.open(table) as opened:
            held, lazy = opened.spark.drop(*without), opened.lazy().drop(without)
            schema = dict(lazy.collect_schema())
            rows = SparkHeld(lazy, schema, "streaming", contract, table=held, row=ROW)
            return hold(rows, now, tables or {})


def numbered(table: Any) -> Any:
    """Gives a table on Spark with the position of each row in the column `ROW`."""
    if isinstance(table, str | Path) and Path(table).suffix == ".parquet":
        return session().read.parquet(str(table)).selectExpr("*", f"_metadata.row_index AS {ROW}")
    if not is_spark_table(table):
        frame = StoredTable.of(table).lazy().with_row_index(ROW).collect()
        return session().createDataFrame(frame.cast({ROW: frame.schema[ROW].to_python()}).to_arrow())
    counted = table.selectExpr("spark_partition_id() AS part").groupBy("part").count().collect()
    sizes = {row["part"]: row["count"] for row in counted}
    starts, total = [], 0
    for part in range(max(sizes, default=-1) + 1):
        starts.append(f"{total}L")
        total += sizes.get(part, 0)
    # Spark numbers rows within each partition, with gaps between.
    within = f"(monotonically_increasing_id() & {2**33 - 1}L)"
    start = f"element_at(array({', '.join(starts) or '0L'}), spark_partition_id() + 1)"
    return table.selectExpr("*", f"{start} + {within} AS {ROW}")
