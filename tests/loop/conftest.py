"""A small lifecycle with a time order, whose world changes half-way."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.core.clock import SimulatedClock
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.spec import load

START = datetime(2024, 1, 1, tzinfo=UTC)
CHANGE = START + timedelta(days=40)
BEGUN = START + timedelta(days=30)
"""Where the clock stands: before the change."""

FILE = """
name: small
goal:
  today: {always: "no"}
  value: {currency: EUR, true_positive: -10, false_positive: -10, false_negative: -60, true_negative: 0}
  require: {positive_rate: "<= 0.9"}
problem: {target: bad, time: asked_at, label_time: known_at}
data: {sources: {rows: {file: rows.csv}}, contract: contract.yaml}
model: {learners: [linear], budget: {trials: 1}, select_features: false}
deploy: {strategy: canary, steps: [50%, 100%], hold: {requests: 20}, patience: 8, guard: {value_per_decision: not worse}}
monitor: {window: 5d, drift: {alarm: 1 false alarm in 10 windows}, alerts: [{file: alerts.jsonl}]}
"""


def rows(count: int = 2400, seed: int = 0) -> pl.DataFrame:
    """Rows over 80 days; from `CHANGE` on it is `b` that tells, and no longer `a`."""
    random = np.random.default_rng(seed)
    asked = [START + timedelta(minutes=48 * i) for i in range(count)]
    a, b = random.normal(size=count), random.normal(size=count)
    before = np.array([moment < CHANGE for moment in asked])
    signal = np.where(before, 2.5 * a + 0.3 * b, 0.5 * a + 3.0 * b)
    bad = random.random(count) < 1 / (1 + np.exp(0.8 - signal))
    return pl.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(count)],
            "asked_at": asked,
            "known_at": [moment + timedelta(hours=6) for moment in asked],
            "a": a,
            "b": b,
            "site": random.choice(["north", "south"], count),
            "bad": np.where(bad, "yes", "no"),
        }
    )


def write(folder):
    (folder / "everloop.yaml").write_text(FILE)
    rows().write_csv(folder / "rows.csv")
    return folder


@pytest.fixture
def folder(tmp_path):
    """A lifecycle's folder with its file and its data."""
    return write(tmp_path)


@pytest.fixture(scope="session")
def artifacts_of_the_first_run(tmp_path_factory):
    """What the run at `BEGUN` makes; not to be changed."""
    folder = write(tmp_path_factory.mktemp("first-run"))
    with Workspace.open(load(folder), clock=SimulatedClock(BEGUN)) as opened:
        run_once(opened, as_of=BEGUN)
    return folder / ".everloop" / "artifacts"


@pytest.fixture
def known_steps(folder, artifacts_of_the_first_run):
    """A run at `BEGUN` takes over the steps that the test's settings leave as they are; the record is empty.

    It is for tests of what comes after that run. Each has files of its own.
    """
    shutil.copytree(artifacts_of_the_first_run, folder / ".everloop" / "artifacts", dirs_exist_ok=True)


@pytest.fixture
def clock():
    """A clock that stands before the change."""
    return SimulatedClock(BEGUN)


@pytest.fixture
def workspace(folder, clock):
    """The lifecycle on the simulated clock."""
    with Workspace.open(load(folder), clock=clock) as opened:
        yield opened
