"""Killed at any moment and started again, a run comes to the same end."""

import importlib.util
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from everloop.record import ArtifactStore, StepRow, open_record

SCRIPT = Path(__file__).with_name("chain_of_steps.py")

_spec = importlib.util.spec_from_file_location("chain_of_steps", SCRIPT)
chain = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(chain)


def content_of(folder):
    """What a run leaves, without what depends on the time it took."""
    with open_record(f"sqlite:///{folder}/record.db") as record, ArtifactStore(folder / "artifacts") as store:
        rows = record.find(StepRow, status="done")
        return {
            row.key: (
                row.name,
                json.dumps(row.facts, sort_keys=True),
                store.verify(row.key),
                store.find(row.key).digest,
            )
            for row in rows
        }


def check_consistent(folder):
    """What holds at any moment: each row has its files, each key one row, nothing half-written is visible."""
    if not (folder / "record.db").exists():
        return
    with open_record(f"sqlite:///{folder}/record.db") as record, ArtifactStore(folder / "artifacts") as store:
        keys = [row.key for row in record.find(StepRow, status="done")]
        assert len(keys) == len(set(keys))
        published = store.keys()
        assert set(keys) <= set(published)
        assert all(store.verify(key) is None for key in published)
        assert len(published) - len(keys) <= 1  # published, killed before it was committed


def killed(folder, events, seconds):
    """Starts a run and kills it so long after so many events; tells whether it still ran."""
    process = subprocess.Popen([sys.executable, SCRIPT, folder], stdout=subprocess.PIPE, text=True)
    for _ in range(events + 1):  # the first line says that it begins
        process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_at_random_points_and_resumed_the_result_is_the_same(tmp_path):
    whole = tmp_path / "whole"
    expected_digest = chain.run(whole)[-1].facts["digest"]
    expected = content_of(whole)
    chance = random.Random(7)
    kills = 0
    resumed = []
    for case in range(12):
        folder = tmp_path / f"case{case}"
        for _ in range(3):  # a run that is killed again and again
            kills += killed(folder, chance.randint(0, 3), chance.uniform(0, 0.03))
            check_consistent(folder)
        states = []
        done = chain.run(folder, lambda event, states=states: states.append(event.facts.get("state")))
        resumed.append(states.count("cached"))
        assert done[-1].facts["digest"] == expected_digest
        assert content_of(folder) == expected
        assert [path.name for path in (folder / "artifacts" / "scratch").iterdir()] == [".lock"]
        assert {path.name for path in folder.iterdir()} <= {"record.db", "artifacts"}
        after = []
        chain.run(folder, lambda event, after=after: after.append(event.facts.get("state")))
        assert after == ["cached"] * chain.LENGTH
    assert kills >= 30
    assert any(0 < count < chain.LENGTH for count in resumed)  # some were killed in the midst


@pytest.mark.parametrize("point", ["publish", "commit"])
def test_killed_around_the_commit(tmp_path, point):
    """Before files are published nothing is kept; after, the files are taken over and not made again."""
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
from pathlib import Path
import chain_of_steps
from everloop.engine import engine
from everloop.record import ArtifactStore
def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)
if {point!r} == "publish":
    ArtifactStore.publish = die
else:
    engine.Engine._commit = die
chain_of_steps.run(Path({str(tmp_path)!r}))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    check_consistent(tmp_path)
    states = []
    chain.run(tmp_path, lambda event: states.append(event.facts.get("state")))
    executed = chain.LENGTH - (point == "commit")
    assert (
        states == ["started", "done"] * executed
        if point == "publish"
        else states.count("started") == executed
    )
    assert len(content_of(tmp_path)) == chain.LENGTH


def test_ctrl_c_leaves_a_resumable_run(tmp_path):
    process = subprocess.Popen(
        [sys.executable, SCRIPT, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    while not list((tmp_path / "artifacts" / "objects").glob("*")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.communicate()
    check_consistent(tmp_path)
    assert [path.name for path in (tmp_path / "artifacts" / "scratch").iterdir()] == [".lock"]
    assert len({done.key for done in chain.run(tmp_path)}) == chain.LENGTH
