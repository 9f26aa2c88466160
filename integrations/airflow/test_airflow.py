"""A pass of a lifecycle as a DAG that the real Airflow runs."""
# ruff: noqa: D103, INP001, S101, S311, S603

import csv
import json
import math
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An Airflow that is set up, and its environment."""
    home = tmp_path_factory.mktemp("airflow")
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run([BIN / "airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    return home, environment


def run_dag(home, dag):
    folder, environment = home
    (folder / "dags").mkdir(exist_ok=True)
    dag = Path(shutil.copy(dag, folder / "dags"))
    script = folder / "run.py"
    script.write_text(
        f"import runpy; dag = runpy.run_path({str(dag)!r})['dag']\n"
        "run = dag.test()\n"
        "states = {one.task_id: str(one.state) for one in run.get_task_instances()}\n"
        "import json; print('STATES', json.dumps({'run': str(run.state), 'tasks': states}))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("STATES ")]
    assert lines, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(lines[-1].removeprefix("STATES "))


def test_airflow_runs_a_pass_from_the_data_to_the_release(home, tmp_path):
    folder = write_lifecycle(tmp_path)
    facts = everloop(folder, "export", "airflow")
    dag = folder / facts["folder"] / "late_payers_dag.py"
    states = run_dag(home, dag)
    assert states["run"] == "success"
    assert set(states["tasks"].values()) == {"success"}
    status = everloop(folder, "status")
    assert status["deployment"]["champion"] == "v1"


def test_a_task_whose_command_fails_fails_and_ends_the_run(home, tmp_path):
    folder = write_lifecycle(tmp_path)
    facts = everloop(folder, "export", "airflow")
    dag = folder / facts["folder"] / "late_payers_dag.py"
    dag.write_text(dag.read_text().replace('"retries": 2', '"retries": 0'))
    (folder / "rows.csv").write_text("amount,income,late\n")
    states = run_dag(home, dag)
    assert states["run"] == "failed"
    assert states["tasks"]["check"] == "failed"
    assert states["tasks"]["release"] == "upstream_failed"
