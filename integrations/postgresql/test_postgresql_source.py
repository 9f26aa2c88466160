"""PostgreSQL as a source: the suites of sources, types of its own, servers that die, cursors of each type."""
# ruff: noqa: ARG001, ARG002, D101, D102, D103, E501, INP001, S101, S608

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime

import polars as pl
import psycopg
import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import SourceUnreachable, SourceUnreadable, SpecFault
from everloop.data.sources import Surroundings, open_source
from everloop.spec import SqlSource
from everloop.testing.incremental_source_suite import IncrementalSourceSuite
from everloop.testing.postgres import PostgresServer

PASSWORD = "geheim-9312"  # noqa: S105
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server():
    with PostgresServer(fsync="off") as started:
        yield started


@pytest.fixture(scope="module")
def database(server):
    """A database whose users need a password, which sorts text as people do, in a zone of its own."""
    url = server.new_database("TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE loader LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        connection.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'")
    access = server.folder / "data" / "pg_hba.conf"
    access.write_text("host all loader 127.0.0.1/32 scram-sha-256\n" + access.read_text())
    server.stop()
    server.start()
    return url.replace("everloop@", f"loader:{PASSWORD}@")


@pytest.fixture
def url(server, database, monkeypatch):
    server.clear(database)
    monkeypatch.setenv("TEST_DATABASE", database)
    return database


def open_query(sql, folder, clock=None, **fields):
    around = Surroundings(folder=folder, clock=clock or SimulatedClock(NOON), kept=folder / "kept")
    return open_source("sql", SqlSource(sql=sql, url="env:TEST_DATABASE", **fields), around)


def rows_of(source, scratch):
    scratch.mkdir()
    return pl.concat([pl.read_parquet(file) for file in source.read(scratch).files])


class TestPostgresql(IncrementalSourceSuite):
    kind = "sql"
    secrets = (PASSWORD,)
    waits = True

    @pytest.fixture(autouse=True)
    def _database(self, url, monkeypatch):
        self.url = url
        self.monkeypatch = monkeypatch

    def offer(self, table, folder):
        with psycopg.connect(self.url) as connection:
            connection.execute("drop table if exists rows")
            connection.execute(
                "create table rows (id bigint, amount double precision, note text, paid boolean, at timestamptz)"
            )
        self.append(table, folder)
        return SqlSource(
            sql="select * from rows where note is null or note::text <> ':x'", url="env:TEST_DATABASE"
        )

    def offer_incremental(self, table, folder):
        return self.offer(table, folder).model_copy(update={"cursor": "id"})

    def append(self, table, folder):
        with (
            psycopg.connect(self.url) as connection,
            connection.cursor() as cursor,
            cursor.copy("copy rows from stdin") as copy,
        ):
            for row in table.iter_rows():
                copy.write_row(row)

    def withdraw(self, folder):
        self.monkeypatch.setenv(
            "TEST_DATABASE", self.url.replace("127.0.0.1:", "127.0.0.1:1?x=").split("?")[0]
        )

    def restore(self, folder):
        self.monkeypatch.setenv("TEST_DATABASE", self.url)


def test_a_query_cannot_write(url, tmp_path):
    with psycopg.connect(url) as connection:
        connection.execute("create table rows (a int)")
        connection.execute("create sequence counting")
    for sql in (
        "delete from rows returning *",
        "with gone as (delete from rows returning *) select * from gone",
        "select nextval('counting')",
    ):
        with pytest.raises(SourceUnreadable, match="failed") as caught:
            open_query(sql, tmp_path).fingerprint()
        assert PASSWORD not in str(caught.value)


def test_types_of_its_own(url, tmp_path):
    sql = (
        "select 1.5::numeric as n, 'a1b2c3d4-0000-0000-0000-000000000000'::uuid as u, '{\"a\": 1}'::jsonb as j, "
        "date '2013-01-02' as d, timestamp '2013-01-02 03:04:05' as t, time '03:04' as c, null as e, "
        "array[1, 2] as l, 7::smallint as s, 1.5::real as r, 'x'::char(2) as x"
    )
    found = rows_of(open_query(sql, tmp_path), tmp_path / "scratch")
    assert found.row(0) == (
        1.5, "a1b2c3d4-0000-0000-0000-000000000000", '{"a": 1}', datetime(2013, 1, 2, tzinfo=UTC),
        datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC), "03:04:00", None, "[1, 2]", 7, 1.5, "x ",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("'a'::bytea", "column b holds bytes"),
        ("'127.0.0.1'::inet", "holds inet"),
        ("'1 day'::interval", "column b"),
    ],
)
def test_what_a_table_cannot_hold_is_named(url, tmp_path, sql, said):
    with pytest.raises(SourceUnreadable, match=said):
        open_query(f"select {sql} as b", tmp_path).fingerprint()


def test_a_wrong_password_is_not_shown(url, tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_DATABASE", url.replace(PASSWORD, "other-secret"))
    with pytest.raises(SourceUnreachable, match="password authentication failed") as caught:
        open_query("select 1", tmp_path).fingerprint()
    assert "other-secret" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"


@pytest.mark.parametrize("query", ["select * from nothing", "select nothing", "selec", "select 1; select 2"])
def test_a_wrong_query_is_not_tried_again(url, tmp_path, query):
    clock = SimulatedClock(NOON)
    with pytest.raises(SourceUnreadable, match="failed"):
        open_query(query, tmp_path, clock).fingerprint()
    assert clock.now() == NOON


# Type -> values in their order: the last of the first reading, one between, one after.
CURSORS = {
    "bigint": ("-5", "9007199254740993", "9007199254740994"),
    "numeric(30, 10)": ("0.1", "12345678901234567890.0000000001", "12345678901234567890.0000000002"),
    "double precision": ("0.1", "0.30000000000000004", "0.3000000000000001"),
    "real": ("0.05", "0.1", "0.2"),
    "timestamptz": ("2013-01-01 00:00:00Z", "2013-03-01 00:00:00.000001Z", "2013-03-01 00:00:00.000002Z"),
    "timestamp": ("2013-01-01 00:00:00", "2013-03-01 00:00:00.000001", "2013-03-01 00:00:00.000002"),
    "date": ("2013-01-01", "2013-03-01", "2013-03-02"),
    "uuid": tuple(f"{digit}0000000-0000-0000-0000-000000000000" for digit in "19a"),
    # As people sort, b comes before C; by their bytes it does not.
    "text": ("C", "b", "it''s"),
    "varchar": ("C", "b\\", "ż"),
}


@pytest.mark.parametrize("kind", CURSORS)
def test_a_cursor_of_each_type(url, tmp_path, kind):
    early, last, later = CURSORS[kind]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create table rows (c {kind}, name text)")

        def add(value, name):
            connection.execute(f"insert into rows values ('{value}'::{kind}, %s)", [name])

        for value, name in ((last, "last"), (early, "early"), (last, "twin"), (last, "twin")):
            add(value, name)
        assert open_query("rows", tmp_path, cursor="c").fingerprint()["rows"] == 4
        assert open_query("rows", tmp_path, cursor="c").fingerprint()["rows"] == 4
        for value, name in ((last, "since"), (last, "twin"), (later, "later")):
            add(value, name)
        found = rows_of(open_query("rows", tmp_path, cursor="c"), tmp_path / "scratch")
    assert sorted(found["name"]) == ["early", "last", "later", "since", "twin", "twin", "twin"]


def test_rows_that_are_committed_late_are_seen(url, tmp_path):
    with psycopg.connect(url, autocommit=True) as connection, psycopg.connect(url) as slow:
        connection.execute("create table rows (at timestamptz, name text)")
        slow.execute("insert into rows values ('2013-01-01 11:00Z', 'slow')")
        connection.execute("insert into rows values ('2013-01-01 12:00Z', 'quick')")
        source = open_query("rows", tmp_path, cursor="at", late="2h")
        assert source.fingerprint()["rows"] == 1
        slow.commit()
        found = rows_of(open_query("rows", tmp_path, cursor="at", late="2h"), tmp_path / "scratch")
    assert sorted(found["name"]) == ["quick", "slow"]


def test_what_cannot_be_a_cursor(url, tmp_path):
    with pytest.raises(SpecFault, match="cursor b is not among the columns that the query gives: a"):
        open_query("select 1 as a", tmp_path, cursor="b").fingerprint()
    for value in ("null::int", "'nan'::float8", "true", "'infinity'::timestamptz"):
        with pytest.raises(SourceUnreadable, match="cursor a"):
            open_query(f"select {value} as a", tmp_path, cursor="a").fingerprint()


def test_a_server_that_dies_while_it_is_read_is_continued(server, url, tmp_path, monkeypatch):
    monkeypatch.setattr("everloop.data.sources.sql_part.PART_ROWS", 100_000)
    with psycopg.connect(url) as connection:
        connection.execute(
            "create table rows as select g as id, md5(g::text) as note from generate_series(1, 900000) g"
        )

    class Mending(SimulatedClock):
        def sleep(self, seconds):
            server.start()
            super().sleep(seconds)

    told = []

    def kill_midway(event):
        if "rows read" in event.message and not any("rows read" in one.message for one in told):
            server.kill()
        told.append(event)

    around = Surroundings(folder=tmp_path, clock=Mending(NOON), kept=tmp_path / "kept", progress=kill_midway)
    source = open_source("sql", SqlSource(sql="rows", url="env:TEST_DATABASE", cursor="id"), around)
    found = rows_of(source, tmp_path / "scratch")
    assert any(event.kind == "notice" for event in told)
    assert found["id"].sort().to_list() == list(range(1, 900_001))


def test_a_process_killed_while_it_reads_is_continued(url, tmp_path):
    """Real kills at different times; then the rows are there once each."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "create table rows as select g / 3 as c, g as id from generate_series(1, 300000) g"
        )
    script = """
        import sys
        from pathlib import Path
        import everloop.data.sources.sql_part as sql_part
        sql_part.PART_ROWS = 20_000
        from everloop.data.sources import Surroundings, open_source
        from everloop.spec import SqlSource
        folder = Path(sys.argv[1])
        spec = SqlSource(sql="rows", url="env:TEST_DATABASE", cursor="c")
        tell = lambda event: print(event.message, flush=True)
        print("begun", flush=True)
        open_source("sql", spec, Surroundings(folder=folder, kept=folder / "kept", progress=tell)).fingerprint()
        print("finished", flush=True)
    """
    kills = 0
    for pause in (0.0, 0.05, 0.15):
        with subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        ) as process:
            for line in process.stdout:
                if "kept" in line or "read" in line or "database" in line:
                    break
            time.sleep(pause)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
            process.wait()
    assert kills > 1
    found = rows_of(open_query("rows", tmp_path, cursor="c"), tmp_path / "scratch")
    assert found["id"].sort().to_list() == list(range(1, 300_001))
