"""A pass of a lifecycle as a pipeline that the real kfp compiles, and its local runner executes."""
# ruff: noqa: D103, INP001, S101, S311, S603

import csv
import json
import math
import os
import random
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

ROWS = 300
LIFECYCLE = """
name: late-payers
problem: {target: late}
goal:
  today: {always: "no"}
  value: {currency: EUR, true_positive: 0, false_positive: -2, false_negative: -10, true_negative: 1}
data: {sources: {rows: {file: rows.csv}}, contract: contract.yaml}
model: {learners: [linear], budget: {trials: 1}}
monitor: {retrain: {on: ["schedule: daily"]}}
"""


def write_lifecycle(folder):
    chance = random.Random(1)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["amount", "income", "late"])
        for _ in range(ROWS):
            amount, income = chance.uniform(100, 5000), chance.uniform(10, 100)
            late = chance.random() < 1 / (1 + math.exp(income / 30 - amount / 1500))
            writer.writerow([round(amount), round(income, 1), "yes" if late else "no"])
    (folder / "everloop.yaml").write_text(LIFECYCLE)
    return folder


def everloop(folder, *words):
    command = [sys.executable, "-m", "everloop.cli", *words, "--json"]
    return json.loads(subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout)


@pytest.fixture
def exported(tmp_path):
    folder = write_lifecycle(tmp_path)
    return folder, folder / everloop(folder, "export", "kubeflow")["folder"]


def run(place, *words):
    return subprocess.run(
        [sys.executable, "pipeline.py", *words],
        check=False,
        cwd=place,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )


def test_kfp_compiles_it_to_steps_that_follow_one_another(exported):
    _, place = exported
    done = run(place)
    assert done.returncode == 0, done.stderr
    compiled = YAML(typ="safe").load((place / "pipeline.yaml").read_text())
    tasks = compiled["root"]["dag"]["tasks"]
    order = {task["taskInfo"]["name"]: task.get("dependentTasks", []) for task in tasks.values()}
    assert sorted(order, key=lambda name: len(chain(tasks, name))) == [
        "check",
        "problem",
        "data",
        "model",
        "release",
        "watch",
    ]
    images = {one["container"]["image"] for one in compiled["deploymentSpec"]["executors"].values()}
    assert images == {"late-payers-lifecycle:latest"}


def chain(tasks, name):
    """Every task that is done before the one of this name."""
    task = next(one for one in tasks.values() if one["taskInfo"]["name"] == name)
    before = task.get("dependentTasks", [])
    return before + [one for key in before for one in chain(tasks, tasks[key]["taskInfo"]["name"])]


def test_the_local_runner_makes_a_pass(exported):
    folder, place = exported
    done = run(place, "--local")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert everloop(folder, "status")["deployment"]["champion"] == "v1"


def test_a_step_that_fails_fails_the_pipeline(exported):
    folder, place = exported
    (folder / "rows.csv").write_text("amount,income,late\n")
    done = run(place, "--local")
    assert done.returncode != 0
