"""A run that is killed at any moment, again and again, comes to the same end as one that never was."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from everloop.loop.workspace import Workspace
from everloop.record import DecisionRow, DeploymentRow, RunRow, StepRow, VersionRow, why
from everloop.spec import load

SCRIPT = Path(__file__).with_name("runs_on_request.py")
KILLS = 30
SEED = 20
# What a run may leave that is no part of its result: when it was made and how long it took.
OF_THE_MOMENT = ("seconds", "latency")


class Runs:
    """Starts runs, each in a process of its own, and kills them."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
        )
        assert self._process.stdout.readline() == "ready\n"

    def start(self, folder):
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def status(self):
        return int(self._process.stdout.readline())

    def finish(self, folder):
        self.start(folder)
        assert self.status() == 0, (folder / "said.txt").read_text()

    def kill(self, folder, seconds):
        """Starts a run and kills it after so long; tells whether it was still at work."""
        pid = self.start(folder)
        time.sleep(seconds)
        # Its parent reaps it when it has ended, so the number is nobody else's by then.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return self.status() == -signal.SIGKILL

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)


@pytest.fixture
def runs():
    started = Runs()
    yield started
    started.close()


def timeless(value):
    """Leaves out of a fact what differs between two runs of the same thing."""
    if isinstance(value, dict):
        kept = {key: timeless(one) for key, one in value.items()}
        return {key: one for key, one in kept.items() if not any(word in key for word in OF_THE_MOMENT)}
    return [timeless(one) for one in value] if isinstance(value, list) else value


def check_consistent(folder):
    """What holds at any moment after a kill: rows have their files, and no decision stands alone.

    Gives how many steps are done.
    """
    if not (folder / ".everloop" / "record.db").exists():
        return 0
    with Workspace.open(load(folder)) as workspace:
        record, store = workspace.record, workspace.store
        steps = record.find(StepRow, status="done")
        assert len({row.key for row in steps}) == len(steps)
        assert all(store.verify(row.key) is None for row in steps)
        versions = {row.id: row for row in record.find(VersionRow)}
        assert all(store.has(row.package) for row in versions.values())
        for deployment in record.find(DeploymentRow):
            assert versions[deployment.champion].status == "champion"
            assert any(record.get(DecisionRow, link.cause) for link in record.causes(deployment.id))
        return len(steps)


def digest_of(store, row):
    """The digest of a step's files; training alone keeps how long its trials took."""
    return None if row.name == "train" else store.find(row.key).digest


def result(folder):
    """Everything that a finished run leaves, without ids and times."""
    with Workspace.open(load(folder)) as workspace:
        record, store = workspace.record, workspace.store
        release = record.find(DecisionRow, kind="release")
        return {
            **{
                row.key: (timeless(row.facts["result"]), digest_of(store, row))
                for row in record.find(StepRow, status="done")
            },
            "versions": [(v.number, v.status, v.digest, v.metrics) for v in record.find(VersionRow)],
            "decisions": sorted((row.kind, row.answer, row.reason) for row in record.find(DecisionRow)),
            "deployments": [d.generation for d in record.find(DeploymentRow)],
            "chain": len(why(record, release[0].id).links),
            "unfinished": [row.id for row in record.find(RunRow, status="running")],
            "routing": json.loads(workspace.routing_path.read_text())["champion"]["version"],
            "contract": (folder / "contract.yaml").read_text(),
        }


@pytest.mark.slow
def test_killed_at_random_points_a_run_comes_to_the_same_result(folder, runs):
    whole = folder / "whole"
    shutil.copytree(folder, whole, ignore=shutil.ignore_patterns("whole"))
    begin = time.perf_counter()
    runs.finish(whole)
    seconds = time.perf_counter() - begin
    expected = result(whole)
    assert expected["unfinished"] == []
    assert [kind for kind, *_ in expected["decisions"]] == ["gate", "release"]
    chance = random.Random(SEED)
    kills, lives, points = 0, 0, set()
    while kills < KILLS:
        # A run that ends before it is killed is a life as well.
        lives += 1
        life = folder / f"life{lives}"
        life.mkdir()
        for name in ("everloop.yaml", "rows.csv"):
            shutil.copy(folder / name, life / name)
        while kills < KILLS and runs.kill(life, chance.uniform(0.05, 0.9) * seconds):
            kills += 1
            points.add(check_consistent(life))
        runs.finish(life)
        found = result(life)
        for part, value in expected.items():
            assert found[part] == value, part
    assert len(points) > 3  # it was killed before, between and after steps


@pytest.mark.slow
def test_a_killed_search_goes_on_where_it_was(folder, runs):
    """Finished trials are kept beside the record, and none of them is made again."""
    file = folder / "everloop.yaml"
    file.write_text(
        file.read_text().replace("[linear], budget: {trials: 1}", "[linear], budget: {trials: 30}")
    )
    journals = folder / ".everloop" / "search"
    pid = runs.start(folder)
    until = time.monotonic() + 300
    while not trial_lines(journals) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    assert runs.status() == -signal.SIGKILL
    lines = trial_lines(journals)
    assert 1 <= len(lines) < 30
    runs.finish(folder)
    assert not journals.exists()
    kept = json.loads(next(folder.glob(".everloop/artifacts/**/timings.json")).read_text())
    assert [kept[str(trial["number"])] for trial in lines] == [trial["seconds"] for trial in lines]
    assert len(kept) == 30


def trial_lines(journals):
    """The whole lines of the journal of the search that is under way."""
    text = "".join(path.read_text() for path in journals.glob("*/trials.jsonl"))
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
