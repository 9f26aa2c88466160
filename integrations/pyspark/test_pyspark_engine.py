# ruff: noqa: D102, INP001, S101
"""Spark does what Polars does."""

import polars as pl
import pytest

from everloop.data.engines import open_engine
from everloop.testing.engine_suite import EngineSuite, loans


@pytest.mark.usefixtures("spark")
class TestSpark(EngineSuite):
    """The suite, on the session of this group."""

    engine = "pyspark"

    @pytest.mark.parametrize("partitions", [1, 5])
    def test_a_table_of_sparks_own_is_worked_on_where_it_is(self, spark, partitions):
        rows = loans().with_columns(pl.col("at", "known").dt.cast_time_unit("us"))
        table = spark.createDataFrame(rows.to_arrow()).repartition(partitions).persist()
        order = [row["id"] for row in table.select("id").collect()]
        with open_engine("pyspark").open(table) as opened:
            assert opened["id"].to_list() == order
            assert opened.lazy().collect().sort("id", "at").equals(rows.sort("id", "at"))
        assert table.columns == rows.columns
