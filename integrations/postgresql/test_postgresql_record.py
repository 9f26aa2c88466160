"""The record in a real PostgreSQL: its suite, a server that dies, a table that another one holds."""
# ruff: noqa: D103, INP001, PT012, S101, S603

import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from everloop.core.errors import RecordBusy, RecordUnreachable
from everloop.record import RunRow, VersionRow, open_record
from everloop.testing.postgres import PostgresServer
from everloop.testing.record_suite import DurableRecordSuite

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server():
    with PostgresServer(fsync="off") as started:
        yield started


@pytest.fixture(scope="module")
def database(server):
    return server.new_database()


@pytest.fixture(scope="module")
def english(server):
    return server.new_database("TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")


@pytest.fixture
def url(server, database):
    return server.clear(database)


class TestPostgresqlRecord(DurableRecordSuite):
    """All that any record must do."""


class TestPostgresqlRecordInEnglish(DurableRecordSuite):
    """The same where the database itself sorts text as people do."""

    @pytest.fixture
    def url(self, server, english):
        """Gives a database that sorts by the rules of English."""
        return server.clear(english)


def test_a_server_killed_in_the_midst_of_a_transaction():
    """Durable settings here: what was committed is there after a crash, and nothing else."""
    with PostgresServer() as server, open_record(server.new_database(), wait=5) as record:
        record.add(RunRow("run_1", "flights", NOON))
        with pytest.raises(RecordUnreachable) as caught, record.transaction():
            record.add(RunRow("run_2", "flights", NOON))
            record.set_state("flights", "key", 1)
            server.kill()
            for number in range(3, 100):
                record.add(RunRow(f"run_{number}", "flights", NOON))
                time.sleep(0.05)
        assert caught.value.retryable
        with pytest.raises(RecordUnreachable):
            record.find(RunRow)
        server.start()
        assert [row.id for row in record.find(RunRow)] == ["run_1"]
        assert record.state("flights", "key") is None
        record.add(RunRow("run_2", "flights", NOON))
        assert len(record.find(RunRow)) == 2


def test_a_server_that_was_started_again_is_found_again(server, url):
    with open_record(url, wait=5) as record:
        record.add(RunRow("run_1", "flights", NOON))
        server.stop()
        server.start()
        record.add(RunRow("run_2", "flights", NOON))
        assert len(record.find(RunRow)) == 2


def test_a_lost_connection_is_an_error_that_can_be_tried_again(server, url):
    with open_record(url, wait=5) as record:
        with pytest.raises(RecordUnreachable), record.transaction():
            record.add(RunRow("run_1", "flights", NOON))
            with psycopg.connect(server.url(), autocommit=True) as administrator:
                administrator.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [url.rpartition("/")[2]],
                )
            record.add(RunRow("run_2", "flights", NOON))
        record.add(RunRow("run_3", "flights", NOON))
        assert [row.id for row in record.find(RunRow)] == ["run_3"]


def test_a_process_that_locks_the_tables_is_waited_for_and_then_named(url):
    script = """
        import sys, psycopg
        with psycopg.connect(sys.argv[1]) as connection:
            connection.execute("LOCK TABLE everloop_runs IN ACCESS EXCLUSIVE MODE")
            print("held", flush=True)
            sys.stdin.read()
    """
    with open_record(url, wait=0.4) as record:
        holder = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(RecordBusy, match=r"waited 0\.\d s"):
                record.add(RunRow("run_1", "flights", NOON))
        finally:
            holder.communicate()
        record.add(RunRow("run_1", "flights", NOON))


def test_two_who_wait_for_each_other_do_not_wait_forever(url):
    with open_record(url, wait=5) as record:
        record.add(RunRow("a", "flights", NOON))
        record.add(RunRow("b", "flights", NOON))
        barrier = threading.Barrier(2)
        faults = []

        def cross(first, second):
            try:
                with record.transaction():
                    record.put(RunRow(first, "flights", NOON, reason=first))
                    barrier.wait()
                    record.put(RunRow(second, "flights", NOON, reason=first))
            except RecordBusy as error:
                faults.append(error)

        threads = [threading.Thread(target=cross, args=pair) for pair in (("a", "b"), ("b", "a"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(faults) == 1
        assert len({row.reason for row in record.find(RunRow)}) == 1


def test_two_processes_do_not_give_the_same_number(url):
    script = """
        import sys
        from datetime import UTC, datetime
        from everloop.record import AlreadyRecorded, VersionRow, open_record
        noon = datetime(2013, 5, 1, 12, tzinfo=UTC)
        with open_record(sys.argv[1]) as record:
            given = 0
            while given < 20:
                newest = record.find(VersionRow, order="-number", limit=1)
                number = newest[0].number + 1 if newest else 1
                try:
                    record.add(VersionRow(f"version_{sys.argv[2]}_{number}", "flights", noon, number))
                except AlreadyRecorded:
                    continue
                given += 1
    """
    open_record(url).close()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), url, name], stderr=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    assert [process.communicate(timeout=60)[1] for process in processes] == ["", ""]
    with open_record(url) as record:
        assert [row.number for row in record.find(VersionRow, order="number")] == list(range(1, 41))


def test_times_are_told_right_by_other_clients(url):
    """The database's own view of a time is the same moment."""
    with open_record(url) as record, psycopg.connect(url) as other:
        record.add(RunRow("run_1", "flights", NOON, as_of=NOON - timedelta(hours=1)))
        other.execute("SET TIME ZONE 'Asia/Kolkata'")
        assert other.execute("SELECT at, as_of FROM everloop_runs").fetchone() == (
            NOON,
            NOON - timedelta(hours=1),
        )
