"""A real MLflow server is told of a real lifecycle, and asked with MLflow's own client."""
# ruff: noqa: D102, D103, INP001, S101, S311, S603

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from everloop.core.errors import OutsideFault
from everloop.integrations.mlflow import MlflowObserver
from everloop.loop import Workspace, load, run_once
from everloop.loop.observing import observe
from everloop.model.compile.graph import graph_feeds
from everloop.record.rows import DeploymentRow, RunRow, VersionRow
from everloop.runtime import Package
from everloop.spec import parse

# MLflow sends usage data unless it is told not to.
NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "NO_PROXY": "127.0.0.1"}
os.environ.update(QUIET)
START_SECONDS = 150

FILE = """
name: churn
goal:
  today: {always: "no"}
  value: {currency: EUR, true_positive: 20, false_positive: -5, false_negative: -30, true_negative: 0}
problem: {target: churned, positive: "yes", entity: id}
data: {sources: {customers: {file: churn.csv}}, split: {by: random}}
model: {learners: [linear], budget: {trials: 1}}
"""
TOLD = "integrations: {mlflow: env:CHURN_TRACKING}\n"


class TrackingServer:
    """An MLflow server on a free port of the loopback, with its database and artifacts in a folder."""

    def __init__(self, folder, *options):
        self.folder, self.options = folder, options
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        self.folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += [
            "--workers",
            "1",
            "--backend-store-uri",
            f"sqlite:///{self.folder}/mlflow.db",
            *self.options,
        ]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | QUIET,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._healthy():
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()[-3000:]
            time.sleep(0.3)

    def _healthy(self):
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=2) as answer:  # noqa: S310
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self):
        """Ends the server and its workers: they are a session of their own."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=30)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    made = TrackingServer(folder, "--artifacts-destination", str(folder / "artifacts"))
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def lifecycle(tmp_path_factory):
    """A lifecycle after its first run, of which nobody was told."""
    folder = tmp_path_factory.mktemp("churn")
    chance = random.Random(0)
    lines = ["id,plan,months,bill,churned"]
    for number in range(700):
        plan, months = chance.choice(["basic", "plus", "pro", ""]), chance.randint(1, 60)
        bill = "" if number % 37 == 0 else f"{chance.gammavariate(5, 8):.2f}"
        leaning = 1.2 * (plan == "basic") - 0.05 * months + 0.02 * float(bill or 40) + chance.gauss(-0.4, 0.7)
        lines.append(f"{number},{plan},{months},{bill},{'yes' if leaning > 0 else 'no'}")
    (folder / "churn.csv").write_text("\n".join(lines) + "\n")
    (folder / "everloop.yaml").write_text(FILE)
    with Workspace.open(load(folder / "everloop.yaml").spec) as workspace:
        run_once(workspace)
    return folder


@pytest.fixture
def told(lifecycle, server, monkeypatch):
    """Opens the lifecycle; `told()` observes and gives the notices."""
    monkeypatch.setenv("CHURN_TRACKING", server.address)
    events = []
    spec = parse((lifecycle / "everloop.yaml").read_text() + TOLD, lifecycle)
    with Workspace.open(spec, progress=events.append) as workspace:

        def observed():
            events.clear()
            observe(workspace)
            return [event.message for event in events if event.kind == "notice"]

        observed.workspace = workspace
        yield observed


@pytest.fixture
def client(server):
    from mlflow import MlflowClient

    return MlflowClient(server.address, registry_uri=server.address)


def newest(workspace, kind):
    return workspace.record.find(kind, lifecycle="churn", order="-at", limit=1)[0]


def package_of(workspace):
    version = newest(workspace, VersionRow)
    return workspace.store.open(version.package) / "package"


def everything(client):
    """Counts what is in MLflow, to see that nothing is there twice."""
    experiment = client.get_experiment_by_name("churn")
    runs = client.search_runs([experiment.experiment_id])
    versions = client.search_model_versions("name = 'churn'")
    return runs, versions


# One story in order: MLflow takes most of a minute to start, so it is started once and killed once.
@pytest.mark.filterwarnings("default")
def test_a_lifecycle_is_told_to_mlflow(server, lifecycle, told, client, tmp_path):
    workspace = told.workspace
    first_run, version = newest(workspace, RunRow), newest(workspace, VersionRow)

    # 1. Nothing answers: a notice, and everything waits.
    (notice,) = told()
    assert "mlflow was not told" in notice
    assert f"MLflow at {server.address} does not answer" in notice

    # 2. It is there: everything is told.
    server.start()
    assert told() == []
    (run,), (registered,) = everything(client)
    check_run(run, first_run)
    check_version(registered, version, run, client)
    assert client.get_model_version_by_alias("churn", "champion").version == registered.version

    # 3. Once told, nothing is told again; nor where a process died before it could note it.
    assert told() == []
    workspace.record.set_state("churn", "observed:mlflow", None)
    assert told() == []
    runs, versions = everything(client)
    assert (len(runs), len(versions)) == (1, 1)
    assert len(client.get_metric_history(run.info.run_id, "roc_auc")) == 1

    # 4. The files are the package's, and MLflow loads them.
    check_files(registered, package_of(workspace), server, tmp_path)

    # 5. The server dies; a run and a promotion meanwhile are caught up.
    server.stop()
    change_of_file(lifecycle)
    with Workspace.open(load(lifecycle / "everloop.yaml").spec) as changed:
        result = run_once(changed)
        promote(changed, result.version)
    assert len(told()) == 1
    server.start()
    assert told() == []
    runs, versions = everything(client)
    assert (len(runs), len(versions)) == (2, 2)
    champion = client.get_model_version_by_alias("churn", "champion")
    assert champion.tags["everloop.version"] == "2"

    # 6. A server that wants a password is told apart, and no message holds ours.
    refused_without_a_secret(server)


def check_run(run, row):
    assert run.info.status == "FINISHED"
    assert run.info.run_name == row.id
    assert abs(run.info.start_time - row.at.timestamp() * 1000) < 2
    assert run.info.end_time >= run.info.start_time
    parameters, metrics, tags = run.data.params, run.data.metrics, run.data.tags
    assert parameters["learner"] == "linear"
    assert parameters["task"] == "binary"
    assert "configuration.strength" in parameters
    assert 0.5 < metrics["roc_auc.low"] <= metrics["roc_auc"] <= metrics["roc_auc.high"] <= 1
    assert metrics["value_per_decision"] > metrics["value_per_decision_today"]
    assert metrics["rows.test"] == 140
    assert tags["everloop.run"] == row.id
    assert tags["everloop.version"] == "1"
    assert tags["everloop.gate"] == "passed"


def check_version(registered, row, run, client):
    assert registered.run_id == run.info.run_id
    assert registered.tags["everloop.version"] == "1"
    assert registered.tags["everloop.version_id"] == row.id
    assert registered.tags["everloop.gate"] == "passed"
    assert registered.tags["everloop.release"] == "champion"
    assert registered.status == "READY"
    names = {item.path for item in client.list_artifacts(run.info.run_id, "package")}
    assert {"package/MLmodel", "package/model.onnx", "package/manifest.json"} <= names


def check_files(registered, package, server, tmp_path):
    import mlflow

    mlflow.set_tracking_uri(server.address)
    mlflow.set_registry_uri(server.address)
    # From the run: fetched by the model's name, MLflow's client adds a file of its own to the folder.
    place = f"runs:/{registered.run_id}/package"
    fetched = Path(mlflow.artifacts.download_artifacts(place, dst_path=str(tmp_path)))
    address = "models:/churn@champion"
    manifest = json.loads((package / "manifest.json").read_text())
    assert Package(fetched).manifest.version == 1  # every digest of its files is compared
    assert all((fetched / name).read_bytes() == (package / name).read_bytes() for name in manifest["files"])
    ours = Package(package)
    rows = twenty_rows()
    # As Everloop's own graph takes them: a missing text is "\0", a missing number NaN.
    feeds = graph_feeds(ours.plan, rows)
    frame = pd.DataFrame({name: array[:, 0] for name, array in feeds.items()})
    expected = ours.scores(rows)
    loaded = mlflow.pyfunc.load_model(address)
    for form in (frame, feeds):
        np.testing.assert_allclose(loaded.predict(form)["score"], expected, rtol=0, atol=1e-12)
    graph = mlflow.onnx.load_model(address)
    assert [item.name for item in graph.graph.input] == [item.name for item in ours.plan.inputs]


def twenty_rows():
    chance = random.Random(1)
    rows = [
        {
            "plan": chance.choice(["basic", "plus", "pro"]),
            "months": chance.randint(1, 80),
            "bill": 10.0 * number,
        }
        for number in range(17)
    ]
    unusual = [
        {"plan": "none of these", "months": 0, "bill": 1e6},
        {"plan": "pro", "months": None, "bill": 1.0},
    ]
    return [*rows, *unusual, {"plan": None, "months": 4, "bill": None}]


def change_of_file(folder):
    text = (folder / "everloop.yaml").read_text()
    (folder / "everloop.yaml").write_text(text.replace("[linear]", "[random_forest]"))


def promote(workspace, version):
    """What the end of a rollout writes."""
    from dataclasses import replace

    from everloop.core.ids import new_id

    now = workspace.clock.now()
    before = workspace.record.find(DeploymentRow, order="-generation", limit=1, lifecycle="churn")[0]
    row = replace(
        before,
        id=new_id("deployment", now),
        at=now,
        generation=before.generation + 1,
        champion=version.id,
        challenger=None,
    )
    workspace.record.add(row)


def refused_without_a_secret(server):
    observer = MlflowObserver(f"http://me:secret-word@127.0.0.1:{server.port}/secret-path")
    with pytest.raises(OutsideFault) as caught:
        observer.run_finished(RunRow("run_x", "churn", NOW, "done"), {})
    assert "secret" not in f"{caught.value} {caught.value.hint} {observer!r}"
    observer.close()


def test_a_server_that_does_not_take_artifacts_is_told_runs_and_says_so(lifecycle, tmp_path):
    from mlflow import MlflowClient

    folder = tmp_path / "mlflow"
    server = TrackingServer(folder, "--no-serve-artifacts", "--default-artifact-root", str(folder / "files"))
    server.start()
    observer = MlflowObserver(server.address)
    try:
        client = MlflowClient(server.address, registry_uri=server.address)
        with Workspace.open(load(lifecycle / "everloop.yaml").spec) as workspace:
            row, version = newest(workspace, RunRow), newest(workspace, VersionRow)
            # What a process left that was killed right after it had made the run.
            half_done = client.create_run(client.create_experiment("churn"), tags={"everloop.run": row.id})
            observer.run_finished(row, {"train": {"learner": "linear"}})
            with pytest.raises(
                OutsideFault, match="keeps artifacts in a folder of its own machine"
            ) as caught:
                observer.version_registered(version, package_of(workspace))
        assert "--serve-artifacts" in caught.value.hint
        (run,), versions = everything(client)
        assert (run.info.run_id, run.info.status) == (half_done.info.run_id, "FINISHED")
        assert run.data.params == {"learner": "linear"}
        assert versions == []
    finally:
        observer.close()
        server.stop()
