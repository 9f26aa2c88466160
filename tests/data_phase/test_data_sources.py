"""Sources: the conformance suite for each kind, and what is wrong with files and databases."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sqlite3
import zipfile
from datetime import UTC, datetime
from typing import ClassVar

import polars as pl
import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import MissingExtra, SourceUnreachable, SourceUnreadable, SpecFault, UsageFault
from everloop.data.sources import DigestMemo, Surroundings, installed_kinds, open_source
from everloop.data.sources.table import TableSpec
from everloop.spec import FileSource, SqlSource
from everloop.testing.incremental_source_suite import IncrementalSourceSuite
from everloop.testing.source_suite import SourceSuite, example_table


class TestParquet(SourceSuite):
    kind = "file"

    def offer(self, table, folder):
        table.write_parquet(folder / "rows.parquet")
        return FileSource(file="rows.parquet")

    def withdraw(self, folder):
        (folder / "rows.parquet").unlink()


class TestCsv(TestParquet):
    def offer(self, table, folder):
        table.write_csv(folder / "rows.csv", null_value="NA", datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
        return FileSource(file="rows.csv")

    def withdraw(self, folder):
        (folder / "rows.csv").unlink()


class TestCsvGlob(TestParquet):
    def offer(self, table, folder):
        half = table.height // 2
        for name, part in (("a", table[:half]), ("b", table[half:])):
            with gzip.open(folder / f"rows-{name}.csv.gz", "wb") as file:
                file.write(part.write_csv(datetime_format="%Y-%m-%d %H:%M:%S%z").encode())
        return FileSource(file="rows-*.csv.gz")

    def withdraw(self, folder):
        for path in folder.glob("rows-*"):
            path.unlink()


class TestJsonLines(TestParquet):
    def offer(self, table, folder):
        if table.height:
            table.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_ndjson(
                folder / "rows.jsonl"
            )
        else:
            pytest.skip("JSON lines without rows have no columns")
        return FileSource(file="rows.jsonl")

    def withdraw(self, folder):
        (folder / "rows.jsonl").unlink()


class TestHandedIn(SourceSuite):
    kind = "table"

    def offer(self, table, folder):
        return TableSpec(table)

    def test_what_is_not_there_is_unreachable(self, tmp_path):
        pytest.skip("a table in memory is always there")


class TestSqlite(IncrementalSourceSuite):
    kind = "sql"
    loose: ClassVar = {"paid": "SQLite has no booleans", "at": "SQLite has no times"}

    def offer(self, table, folder):
        (folder / "rows.db").unlink(missing_ok=True)
        with sqlite3.connect(folder / "rows.db") as database:
            database.execute("create table rows (id integer, amount real, note text, paid integer, at text)")
            database.executemany(
                "insert into rows values (?, ?, ?, ?, ?)",
                table.with_columns(pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S")).rows(),
            )
        database.close()
        return SqlSource(sql="rows", url="sqlite:///rows.db")

    def offer_incremental(self, table, folder):
        return self.offer(table, folder).model_copy(update={"cursor": "id"})

    def append(self, table, folder):
        with sqlite3.connect(folder / "rows.db") as database:
            database.executemany(
                "insert into rows values (?, ?, ?, ?, ?)",
                table.with_columns(pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S")).rows(),
            )
        database.close()

    def withdraw(self, folder):
        (folder / "rows.db").unlink()


def read(folder, name, content=None):
    if content is not None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    reading = open_source("file", FileSource(file=name), Surroundings(folder=folder)).read(scratch)
    return pl.concat([pl.read_parquet(file) for file in reading.files])


def zipped(**members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in members.items():
            archive.writestr(f"in/{name}.csv", text)
    return content.getvalue()


BROKEN = {
    "empty.csv": (b"", "empty.csv is empty"),
    "returns.csv": (b"a,b\r1,2\r", "line 1: lines end with a carriage return alone"),
    "short.csv": (b"a,b\n1,2\n3\n5,6\n", "short.csv, line 3: 1 fields where the first line has 2"),
    "long.csv": (b"a,b\n1,2\n3,4,5\n", "long.csv, line 3: 3 fields where the first line has 2"),
    "far.csv": (b"a,b\n" + b"1,x\n" * 50_000 + b"1,x,y\n", "far.csv, line 50002: 3 fields"),
    "latin.csv": ("a,b\n1,x\n2,café\n".encode("latin-1"), "latin.csv, line 3: not UTF-8"),
    "quote.csv": (b'a,b\n1,"open\n2,3\n', "quote.csv, line 2: a quote is opened and not closed"),
    "twice.csv": (b"a,A\n1,2\n", "line 1: the column A is there twice"),
    "cut.csv.gz": (gzip.compress(b"a,b\n" + os.urandom(9000).hex().encode())[:-500], "not a whole gzip file"),
    "nogzip.csv.gz": (b"a,b\n1,2\n", "not a whole gzip file"),
    "none.parquet": (b"", "not a whole Parquet file"),
    "text.parquet": (b"PAR1 but no more", "not a whole Parquet file"),
    "bad.jsonl": (b'{"a": 1}\n{"a": 2\n{"a": 3}\n', "bad.jsonl, line 2: no JSON"),
    "values.jsonl": (b"1\n2\n", "values.jsonl, line 1: no JSON object, but int"),
    "empty.jsonl": (b"", "empty.jsonl is empty"),
    "two.zip": (zipped(a="x\n1\n", b="x\n2\n"), "holds 2 files; expected one"),
    "no.zip": (b"PK but no more", "not a readable zip file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_named(tmp_path, name):
    content, message = BROKEN[name]
    with pytest.raises(SourceUnreadable) as caught:
        read(tmp_path, name, content)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert caught.value.hint


def test_truncated_parquet_is_named(tmp_path):
    example_table().write_parquet(tmp_path / "rows.parquet")
    whole = (tmp_path / "rows.parquet").read_bytes()
    for length in (0, 4, len(whole) // 2, len(whole) - 1):
        with pytest.raises(SourceUnreadable, match=r"rows\.parquet is not a whole Parquet file"):
            read(tmp_path, "rows.parquet", whole[:length])


def test_missing_files_name_the_nearest(tmp_path):
    (tmp_path / "loans.csv").write_text("a\n1\n")
    with pytest.raises(SourceUnreachable, match=r"lans\.csv is not there.*nearest name in .* is loans\.csv"):
        read(tmp_path, "lans.csv")
    with pytest.raises(SourceUnreachable, match="No file matches"):
        read(tmp_path, "x*.csv")
    with pytest.raises(SourceUnreachable, match=r"zzz\.csv is not there\. Looked in"):
        read(tmp_path, "zzz.csv")
    with pytest.raises(SourceUnreachable, match="not there"):
        read(tmp_path, "no/such/folder.csv")
    with pytest.raises(SourceUnreadable, match="is a folder"):
        read(tmp_path, ".")
    with pytest.raises(SpecFault, match="no known format"):
        read(tmp_path, "a.doc", "x")


def test_csv_values_are_typed_over_all_rows(tmp_path):
    text = "word,flag,whole,number,code,day,mixed\n"
    text += "yes,true,1,1.5,00123,2013-01-01,1\nno,False,NA,-2e3,00124,2013-01-02T05:00:00+02:00,2\n"
    text += ",,+3,,00125,,x\n"
    found = read(tmp_path, "rows.csv", text)
    assert found.schema == {
        "word": pl.String, "flag": pl.Boolean, "whole": pl.Int64, "number": pl.Float64, "code": pl.String,
        "day": pl.Datetime("us", "UTC"), "mixed": pl.String,
    }  # fmt: skip
    assert found["day"].to_list() == [
        datetime(2013, 1, 1, tzinfo=UTC),
        datetime(2013, 1, 2, 3, tzinfo=UTC),
        None,
    ]
    assert found["whole"].to_list() == [1, None, 3]


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("a.tsv", "a\tb,c\n1\t2\n", ["a", "b,c"]),
        ("a.csv", "a;b\n1;2,5\n", ["a", "b"]),
        ("a.csv", "\ufeffa|b\r\n1|2\r\n", ["a", "b"]),
        ("a.csv", "#a,b\n#1,2\n", ["#a", "b"]),
        ("a.csv", ",a\n0,1\n", ["column_1", "a"]),
    ],
)
def test_csv_dialects(tmp_path, name, text, columns):
    found = read(tmp_path, name, text)
    assert found.columns == columns
    assert found.height == 1


def test_files_of_one_source_must_agree(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,z\n1,2\n")
    with pytest.raises(
        SourceUnreadable, match=r"b\.csv has other columns than a\.csv: it lacks y and adds z"
    ):
        read(tmp_path, "*.csv")
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"y": [1]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(SourceUnreadable, match=r"b\.parquet has other columns"):
        read(tmp_path, "*.parquet")
    with pytest.raises(SpecFault, match="several formats"):
        read(tmp_path, "a.*")


def test_zip_with_one_file(tmp_path):
    assert read(tmp_path, "rows.zip", zipped(rows="a,b\n1,x\n")).rows() == [(1, "x")]


def test_a_type_that_changes_in_a_later_file_becomes_text(tmp_path):
    (tmp_path / "a-1.csv").write_text("x\n1\n")
    (tmp_path / "a-2.csv").write_text("x\none\n")
    assert read(tmp_path, "a-*.csv")["x"].to_list() == ["1", "one"]


def test_reading_changes_no_input(tmp_path):
    path = tmp_path / "rows.csv"
    read(tmp_path, "rows.csv", "a\n1\n")
    before = path.stat()
    read(tmp_path, "rows.csv")
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)


def test_memo_outlives_the_process_and_notices_changes(tmp_path):
    path, kept = tmp_path / "rows.csv", tmp_path / "memo.json"
    path.write_text("a\n1\n")
    first = DigestMemo(kept).digest(path)
    assert DigestMemo(kept).digest(path) == first
    path.write_text("a\n2\n")
    second = DigestMemo(kept).digest(path)
    assert second != first
    kept.write_text("{damaged")
    assert DigestMemo(kept).digest(path) == second


def test_lost_connections_are_tried_again_with_pauses(tmp_path, monkeypatch):
    import sqlalchemy as sa

    with sqlite3.connect(tmp_path / "rows.db") as database:
        database.execute("create table rows (a integer)")
        database.execute("insert into rows values (7)")
    database.close()
    clock = SimulatedClock(datetime(2013, 1, 1, tzinfo=UTC))
    notices = []
    around = Surroundings(folder=tmp_path, clock=clock, progress=notices.append)
    source = open_source("sql", SqlSource(sql="rows", url="sqlite:///rows.db"), around)
    connect, calls = sa.engine.Engine.connect, []

    def failing(engine):
        calls.append(engine)
        if len(calls) < 3:
            raise sa.exc.OperationalError("connect", {}, Exception("connection refused"))
        return connect(engine)

    monkeypatch.setattr(sa.engine.Engine, "connect", failing)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert pl.read_parquet(source.read(scratch).files[0]).rows() == [(7,)]
    assert (clock.now() - datetime(2013, 1, 1, tzinfo=UTC)).total_seconds() == 1 + 2
    assert len([event for event in notices if event.kind == "notice"]) == 2


def test_a_wrong_query_is_not_tried_again(tmp_path):
    sqlite3.connect(tmp_path / "rows.db").close()
    clock = SimulatedClock(datetime(2013, 1, 1, tzinfo=UTC))
    source = open_source(
        "sql",
        SqlSource(sql="nothing", url="sqlite:///rows.db"),
        Surroundings(folder=tmp_path, clock=clock),
    )
    with pytest.raises(SourceUnreadable, match="no such table: nothing"):
        source.fingerprint()
    assert clock.now() == datetime(2013, 1, 1, tzinfo=UTC)


def test_sqlite_is_opened_for_reading_alone(tmp_path):
    with sqlite3.connect(tmp_path / "rows.db") as database:
        database.execute("create table rows (a integer)")
        database.execute("insert into rows values (7)")
    database.close()
    source = open_source(
        "sql",
        SqlSource(sql="delete from rows returning a", url="sqlite:///rows.db"),
        Surroundings(folder=tmp_path),
    )
    with pytest.raises(SourceUnreadable, match="readonly"):
        source.fingerprint()


def test_sqlite_columns_of_mixed_values_become_text(tmp_path):
    with sqlite3.connect(tmp_path / "rows.db") as database:
        database.execute("create table rows (a, b, c)")
        database.executemany("insert into rows values (?, ?, ?)", [(1, 1, None), ("x", 2.5, None)])
    database.close()
    source = open_source("sql", SqlSource(sql="rows", url="sqlite:///rows.db"), Surroundings(folder=tmp_path))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = pl.read_parquet(source.read(scratch).files[0])
    assert found.rows() == [("1", 1.0, None), ("x", 2.5, None)]
    assert found.schema["c"] == pl.String


def test_urls_that_are_none(tmp_path):
    around = Surroundings(folder=tmp_path)
    with pytest.raises(SpecFault, match="none that SQLAlchemy can read") as caught:
        open_source("sql", SqlSource(sql="t", url="not a url with secret"), around).fingerprint()
    assert "secret" not in str(caught.value)
    with pytest.raises(MissingExtra, match="No driver"):
        open_source("sql", SqlSource(sql="t", url="nosuch://h/d"), around).fingerprint()


def test_kinds_that_are_not_installed_are_refused():
    with pytest.raises(UsageFault, match=r"kind 'pigeon' is installed; installed are .*file, .*table"):
        open_source("pigeon", None, Surroundings())
    assert set(installed_kinds()) >= {"file", "sql", "table"}


@pytest.mark.parametrize(
    "make", [lambda t: t, lambda t: t.lazy(), lambda t: t.to_arrow(), lambda t: t.to_pandas()]
)
def test_tables_of_any_library(tmp_path, make):
    source = open_source("table", TableSpec(make(pl.DataFrame({"a": [1, 2]}))), Surroundings(folder=tmp_path))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert pl.read_parquet(source.read(scratch).files[0]).rows() == [(1,), (2,)]
