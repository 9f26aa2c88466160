"""Two controllers of one rollout, in two processes, on a real PostgreSQL: one of them moves it, once."""
# ruff: noqa: D103, INP001, S101, S603

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from everloop.deploy.release import release
from everloop.deploy.versions import deployment, new_version, open_rollout
from everloop.record import open_record
from everloop.record.rows import DecisionRow, RolloutRow
from everloop.spec import DeploySpec
from everloop.testing.postgres import PostgresServer
from everloop.testing.rollout_contest import CONTEST

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server():
    with PostgresServer(fsync="off") as started:
        yield started


@pytest.mark.parametrize("turn", range(3))
def test_two_processes_that_drive_one_rollout_never_move_it_both(server, turn):
    url = server.new_database()
    with open_record(url) as record:
        for number in (1, 2):
            version = new_version("a", number, NOON + timedelta(seconds=number), package=f"p{turn}-{number}")
            record.add(version)
            release(record, version, DeploySpec(), NOON)
        before = open_rollout(record, "a")
    start = time.time() + 3.0
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONTEST, url, name, str(start), "20"], stdout=subprocess.PIPE, text=True
        )
        for name in ("promote", "roll_back")
    ]
    made = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(made) == 1
    with open_record(url) as record:
        assert record.get(RolloutRow, before.id).state == ("promoted" if made[0] else "rolled_back")
        assert deployment(record, "a").generation == 3
        answers = [row.answer for row in record.find(DecisionRow) if row.facts.get("rollout") == before.id]
        assert sorted(answers) == sorted(["start", "promote" if made[0] else "roll_back"])


def test_the_lease_holds_between_connections(server):
    url = server.new_database()
    with open_record(url) as one, open_record(url) as two:
        later = NOON + timedelta(minutes=1)
        assert one.lease("rollout:a", "one", later, NOON)
        assert not two.lease("rollout:a", "two", later, NOON)
        assert two.lease("rollout:a", "two", later + timedelta(minutes=1), later + timedelta(seconds=1))
