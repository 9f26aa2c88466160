"""A database that only SQLAlchemy knows here, DuckDB by its dialect, as a source: the suites of sources."""
# ruff: noqa: D101, D102, D103, INP001, S101

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import polars as pl
import pytest

from everloop.core.errors import SourceUnreadable
from everloop.data.sources import Surroundings, open_source
from everloop.spec import SqlSource
from everloop.testing.incremental_source_suite import IncrementalSourceSuite


class TestDuckdb(IncrementalSourceSuite):
    kind = "sql"

    def offer(self, table, folder):
        (folder / "rows.duckdb").unlink(missing_ok=True)
        with duckdb.connect(folder / "rows.duckdb") as database:
            database.execute(
                'create table rows (id bigint, amount double, note varchar, paid boolean, "at" timestamp)'
            )
        self.append(table, folder)
        return SqlSource(sql="rows", url="duckdb:///rows.duckdb")

    def offer_incremental(self, table, folder):
        return self.offer(table, folder).model_copy(update={"cursor": "id"})

    def append(self, table, folder):
        with duckdb.connect(folder / "rows.duckdb") as database:
            database.register("given", table.with_columns(pl.col("at").dt.replace_time_zone(None)).to_arrow())
            database.execute("insert into rows from given")

    def withdraw(self, folder):
        (folder / "rows.duckdb").unlink()


@pytest.mark.parametrize(
    ("kind", "early", "last", "later"),
    [
        ("bigint", "-5", "7", "9007199254740993"),
        ("decimal(20, 4)", "0.1", "12345678.0001", "12345678.0002"),
        ("double", "0.1", "0.30000000000000004", "0.3000000000000001"),
        ("timestamp", "2013-01-01", "2013-03-01 00:00:00.000001", "2013-03-01 00:00:00.000002"),
        ("date", "2013-01-01", "2013-03-01", "2013-03-02"),
        ("varchar", "C", "b", "ż"),
    ],
)
def test_a_cursor_of_each_type(tmp_path, kind, early, last, later):
    def add(*rows):
        with duckdb.connect(tmp_path / "rows.duckdb") as database:
            database.execute(f"create table if not exists rows (c {kind}, name varchar)")
            database.executemany("insert into rows values (?, ?)", rows)

    def source():
        spec = SqlSource(sql="rows", url="duckdb:///rows.duckdb", cursor="c")
        return open_source("sql", spec, Surroundings(folder=tmp_path, kept=tmp_path / "kept"))

    add((last, "last"), (early, "early"), (last, "twin"), (last, "twin"))
    assert source().fingerprint()["rows"] == 4
    add((last, "since"), (last, "twin"), (later, "later"))
    (tmp_path / "scratch").mkdir()
    found = pl.concat([pl.read_parquet(file) for file in source().read(tmp_path / "scratch").files])
    assert sorted(found["name"]) == ["early", "last", "later", "since", "twin", "twin", "twin"]


def test_nothing_is_written(tmp_path):
    with duckdb.connect(tmp_path / "rows.duckdb") as database:
        database.execute("create table rows as select 1 as a")
    spec = SqlSource(sql="delete from rows returning *", url="duckdb:///rows.duckdb")
    with pytest.raises(SourceUnreadable, match="read-only"):
        open_source("sql", spec, Surroundings(folder=tmp_path)).fingerprint()


def test_types_of_its_own(tmp_path):
    with duckdb.connect(tmp_path / "rows.duckdb") as database:
        database.execute(
            "create table rows as select 1.5::decimal(4, 2) as n, date '2013-01-02' as d, [1, 2] as l, "
            "timestamptz '2013-01-02 03:04:05+00' as t, time '03:04' as c, null::integer as e"
        )
    spec = SqlSource(sql="rows", url="duckdb:///rows.duckdb")
    (tmp_path / "scratch").mkdir()
    reading = open_source("sql", spec, Surroundings(folder=tmp_path)).read(tmp_path / "scratch")
    assert pl.read_parquet(reading.files[0]).row(0) == (
        1.5,
        datetime(2013, 1, 2, tzinfo=UTC),
        "[1, 2]",
        datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC),
        "03:04:00",
        None,
    )
