"""Trials on a Ray cluster of this machine: the same search as without one; what fails there is contained."""
# ruff: noqa: D103, INP001, S101, S603

import json
import os
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from everloop.integrations.ray import RayWorkers
from everloop.model.contained import Task
from everloop.model.workers import known_tuners, workers_of

FILE = """
name: shop
goal:
  today: {{always: "no"}}
  value: {{currency: EUR, true_positive: 9, false_positive: -3, false_negative: -9, true_negative: 0}}
problem: {{target: bought, positive: "yes"}}
data: {{sources: {{visits: {{file: visits.csv}}}}, split: {{by: random}}}}
model: {{learners: [linear, lightgbm, random_forest], budget: {{trials: 6}}, tuner: {tuner}}}
"""


def visits() -> pl.DataFrame:
    random = np.random.default_rng(0)
    X = random.normal(size=(1500, 6))
    bought = X[:, 0] - X[:, 1] * X[:, 2] + random.normal(size=1500) > 0.5
    columns = {f"x{place}": X[:, place] for place in range(6)}
    return pl.DataFrame({**columns, "bought": np.where(bought, "yes", "no")})


def run(folder, tuner: str) -> dict:
    folder.mkdir()
    visits().write_csv(folder / "visits.csv")
    (folder / "everloop.yaml").write_text(FILE.format(tuner=tuner))
    command = [sys.executable, "-m", "everloop.cli", "run", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    (trained,) = (folder / ".everloop").rglob("trained.json")
    return json.loads(trained.read_bytes())


def test_a_run_on_a_cluster_is_the_run_without_one(tmp_path) -> None:
    here, there = run(tmp_path / "here", "optuna"), run(tmp_path / "there", "ray")
    assert len(here["trials"]) == 6
    assert not [trial for trial in there["trials"] if trial["error"]]
    for one, other in zip(here["trials"], there["trials"], strict=True):
        assert (one["learner"], one["configuration"]) == (other["learner"], other["configuration"])
        assert one["score"] == pytest.approx(other["score"], abs=1e-9)
    assert here["learner"] == there["learner"]
    assert here["threshold"] == pytest.approx(there["threshold"], abs=1e-9)


@pytest.fixture(scope="module")
def workers():
    with workers_of("ray", 2) as made:
        yield made


def crash():
    os.abort()


def fail():
    raise RuntimeError("no such thing")


def sleep():
    time.sleep(60)


def elsewhere():
    return {"pid": os.getpid(), "array": np.arange(3.0)}


def test_it_is_found_by_its_name(workers) -> None:
    assert "ray" in known_tuners()
    assert isinstance(workers, RayWorkers)


def test_a_task_runs_in_another_process(workers) -> None:
    workers.start(Task("one", elsewhere, here=True))
    workers.start(Task("two", elsewhere))
    assert not workers.free
    outcomes = [workers.wait(), workers.wait()]
    assert {one.key for one in outcomes} == {"one", "two"}
    assert all(one.error is None and one.values["pid"] != os.getpid() for one in outcomes)
    assert outcomes[0].values["array"].tolist() == [0.0, 1.0, 2.0]
    assert not workers.busy


@pytest.mark.parametrize(
    ("function", "seconds", "reason"),
    [(fail, 60.0, "RuntimeError: no such thing"), (crash, 60.0, "crashed"), (sleep, 3.0, "out of time")],
)
def test_what_fails_there_is_contained(workers, function, seconds, reason) -> None:
    workers.start(Task("bad", function, seconds=seconds))
    outcome = workers.wait()
    assert reason in outcome.error
    workers.start(Task("good", elsewhere))
    assert workers.wait().error is None
