# ruff: noqa: ARG002, D102, D103, INP001, S101
"""Spark does what Polars does."""

from datetime import timedelta

import polars as pl
import pytest

from everloop.core.clock import SimulatedClock
from everloop.data import check, snapshot
from everloop.data.engines import open_engine
from everloop.data.sources.table import TableSpec
from everloop.spec import parse
from everloop.testing.engine_suite import BROKEN, START, EngineSuite, loans
from everloop.testing.source_suite import SourceSuite


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

    def test_a_contract_is_judged_where_the_table_is(self, spark):
        rows = loans().with_columns(pl.col("at", "known").dt.cast_time_unit("us"))
        table = spark.createDataFrame(rows.to_arrow()).coalesce(1)
        now = START + timedelta(days=60)
        people = {"people": pl.DataFrame({"who": range(100)})}
        assert check(table, BROKEN, now=now, tables=people) == check(rows, BROKEN, now=now, tables=people)


class TestSparkTables(SourceSuite):
    """A Spark table handed in from Python, through the suite of sources."""

    kind = "table"

    @pytest.fixture(autouse=True)
    def here(self, spark):
        self.spark = spark

    def offer(self, table, folder):
        return TableSpec(self.spark.createDataFrame(table.to_arrow()).coalesce(1))

    def withdraw(self, folder):
        pytest.skip("a table in the hand cannot be withdrawn")


def test_a_spark_table_is_a_source_of_a_lifecycle(spark, tmp_path):
    rows = loans().with_columns(pl.col("at", "known").dt.cast_time_unit("us"))
    text = "name: loans\nproblem: {target: defaulted, time: at}\ndata: {sources: {loans: {file: none.csv}}}\n"
    spec, clock = parse(text, tmp_path), SimulatedClock(START + timedelta(days=900))
    given = [spark.createDataFrame(rows.to_arrow()).repartition(3), rows]
    taken = [
        snapshot(spec, tmp_path / str(place), clock=clock, tables={"loans": table})
        for place, table in enumerate(given)
    ]
    assert taken[0].digest == taken[1].digest
