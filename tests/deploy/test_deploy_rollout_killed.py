"""A rollout whose controller is killed at every act, and two controllers that want the same one."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from everloop.core.errors import RecordBusy
from everloop.deploy.release import apply_move, move_by_hand, release
from everloop.deploy.rollout import Evidence, Move
from everloop.deploy.versions import deployment, new_version, open_rollout
from everloop.record import open_record
from everloop.record.rows import DecisionRow, DeploymentRow, RolloutRow, VersionRow
from everloop.spec import DeploySpec
from everloop.testing.rollout_contest import CONTEST

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)
NOTHING = Evidence((), 0, 0.0)
MOVES = {
    "advance": Move("advance", 1, 0.25, "why"),
    "escalate": Move("escalate", 0, 0.05, "why"),
    "promote": Move("promote", 0, 1.0, "why"),
    "roll_back": Move("roll_back", 0, 0.0, "why"),
}


def begin(url):
    """A champion that serves and a canary beside it."""
    with open_record(url) as record:
        for number in (1, 2):
            version = new_version("a", number, NOON + timedelta(seconds=number), package=f"p{number}")
            record.add(version)
            release(record, version, DeploySpec(), NOON)
        return open_rollout(record, "a")


class Killer:
    """Passes calls on to a record, and kills this process before a given one."""

    def __init__(self, record, acts):
        self._record, self._left = record, acts

    def __getattr__(self, name):
        found = getattr(self._record, name)
        if not callable(found):
            return found

        def call(*arguments, **named):
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return found(*arguments, **named)

        return call


def die_at(url, move, acts):
    """Makes a move in a process that is killed before its nth act; says whether it lived to the end."""
    child = os.fork()
    if child == 0:
        try:
            with open_record(url) as record:
                killer = Killer(record, acts)
                apply_move(killer, open_rollout(killer, "a"), move, NOTHING, LATER)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)


def whole(record, before, move):
    """Asserts that the record shows the rollout before the move or after it, and nothing in between."""
    rollout = record.get(RolloutRow, before.id)
    now = deployment(record, "a")
    statuses = tuple(record.get(VersionRow, key).status for key in (before.champion, before.challenger))
    moves = [row for row in record.find(DecisionRow) if row.facts.get("rollout") == before.id]
    if rollout == before:
        assert (len(moves), now.generation, statuses) == (1, 2, ("champion", "challenger"))
        return False
    ended = {"promote": ("retired", "champion"), "roll_back": ("champion", "refused")}
    assert statuses == ended.get(move.kind, ("champion", "challenger"))
    serves = before.challenger if move.kind == "promote" else before.champion
    assert (now.generation, now.champion) == (3, serves)
    assert [row.answer for row in moves] == ["start", move.kind]
    return True


@pytest.mark.parametrize("kind", MOVES)
def test_killed_at_any_act_it_has_moved_whole_or_not_at_all_and_goes_on(kind, tmp_path):
    url, move = f"sqlite:///{tmp_path}/record.db", MOVES[kind]
    before, acts, survived = begin(url), 0, False
    while not survived:
        acts += 1
        survived = die_at(url, move, acts)
        with open_record(url) as record:
            assert whole(record, before, move) == survived
    assert acts > 8, "it was killed at each act before"
    with open_record(url) as record:
        rollout = record.get(RolloutRow, before.id)
        if kind in ("promote", "roll_back"):
            assert open_rollout(record, "a") is None
        else:
            move_by_hand(record, rollout, "abort", NOON, who="me")
        assert (
            len({row.generation for row in record.find(DeploymentRow)}) == deployment(record, "a").generation
        )


@pytest.mark.slow
def test_two_processes_that_drive_one_rollout_never_move_it_both(tmp_path):
    url = f"sqlite:///{tmp_path}/record.db"
    before = begin(url)
    start = time.time() + 2.0
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONTEST, url, name, str(start), "20"], stdout=subprocess.PIPE, text=True
        )
        for name in ("promote", "roll_back")
    ]
    made = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(made) == 1, "one of them ended the rollout, once"
    with open_record(url) as record:
        assert whole(record, before, MOVES["promote" if made[0] else "roll_back"])


def test_a_move_that_was_decided_on_an_older_state_is_refused_whatever_has_changed(tmp_path):
    url = f"sqlite:///{tmp_path}/record.db"
    before = begin(url)
    with open_record(url) as record:
        apply_move(record, before, Move("extend", 0, 0.05, "why"), NOTHING, NOON)
        with pytest.raises(RecordBusy, match="has moved since"):
            apply_move(record, before, MOVES["promote"], NOTHING, NOON)


def test_the_lease_lets_one_controller_drive_and_passes_on_when_it_is_gone(tmp_path):
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        later = NOON + timedelta(minutes=1)
        assert record.lease("rollout:a", "one", later, NOON)
        assert not record.lease("rollout:a", "two", later, NOON)
        assert record.lease("rollout:a", "one", later, NOON)
        assert record.lease("rollout:a", "two", later + timedelta(minutes=1), later + timedelta(seconds=1))
