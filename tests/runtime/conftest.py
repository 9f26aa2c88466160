"""Small real packages and real server processes for the tests of this room."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from everloop.runtime.explain import save_reference_row
from everloop.runtime.manifest import Manifest, ManifestColumn, write_manifest
from everloop.runtime.plan import NumberEncoder, OneHotEncoder, Plan, PlanInput
from everloop.runtime.server import ServerSettings

INPUTS = (
    ManifestColumn("amount", "number"),
    ManifestColumn("region", "text"),
    ManifestColumn("customer", "text"),
    ManifestColumn("at", "time"),
)
PLAN = Plan(
    inputs=tuple(PlanInput(column.name, column.type) for column in INPUTS[:2]),
    encoders=(
        NumberEncoder("amount", 0, low=-1e6, high=1e6, fill=0.0, scale=10.0),
        OneHotEncoder("region", 1, ("north", "south")),
    ),
    width=3,
)
WEIGHTS = {
    "binary": np.array([[1.0], [0.5], [-0.5]]),
    "multiclass": np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    "regression": np.array([[2.0], [1.0], [-1.0]]),
}
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
LAST = {"binary": "Sigmoid", "multiclass": "Softmax", "regression": "Identity"}


def score_graph(task, weights):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node(LAST[task], ["z"], ["score"])]
    graph = helper.make_graph(
        nodes,
        "score",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", weights.shape[0]])],
        [helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["n", weights.shape[1]])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def small_graph(nodes, **constants):
    made = helper.make_graph(
        nodes,
        "score",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", 3])],
        [helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["n", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="session")
def failing_model():
    """A graph that looks for a place that no list has, for every row but that of zeros which is tried at the start."""
    return small_graph(
        [
            helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
            helper.make_node("ReduceSum", ["whole"], ["sum"], keepdims=0),
            helper.make_node("Mul", ["sum", "far"], ["place"]),
            helper.make_node("Gather", ["x", "place"], ["row"], axis=1),
            helper.make_node("Unsqueeze", ["row", "one"], ["score"]),
        ],
        far=np.array(100_000, np.int64),
        one=np.array([1], np.int64),
    )


@pytest.fixture(scope="session")
def slow_model():
    """A graph that multiplies large matrices for each row before it answers."""
    random = np.random.default_rng(0)
    many = [helper.make_node("MatMul", [f"m{n}", "large"], [f"m{n + 1}"]) for n in range(30)]
    return small_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["large", "mean"], ["m0"]),
            *many,
            helper.make_node("ReduceMean", ["m30"], ["all"], keepdims=0),
            helper.make_node("MatMul", ["x", "w"], ["z"]),
            helper.make_node("Mul", ["all", "zero"], ["nothing"]),
            helper.make_node("Add", ["z", "nothing"], ["y"]),
            helper.make_node("Sigmoid", ["y"], ["score"]),
        ],
        large=random.normal(size=(300, 300)),
        w=np.array([[1.0], [0.5], [-0.5]]),
        zero=np.array(0.0),
    )


def contract_json():
    from everloop.table.contract import ColumnRule, Contract

    rules = tuple(ColumnRule(name=column.name, type=column.type, nullable=True) for column in INPUTS)
    return json.dumps(Contract(columns=rules, rules=(), extra="ignore").to_dict()).encode()


def build_package(folder, version=7, task="binary", *, explain=True, shift=0.0, **changes):
    folder = Path(folder)
    folder.mkdir(parents=True)
    PLAN.save(folder / "plan.json")
    (folder / "contract.json").write_bytes(contract_json())
    onnx.save(score_graph(task, WEIGHTS[task] + shift), folder / "score.onnx")
    if explain:
        save_reference_row(folder / "explain.npz", {"amount": 0.0, "region": "north"})
    values = {
        "lifecycle": "loan-default",
        "version": version,
        "created": "2013-05-01T00:00:00Z",
        "task": task,
        "target": "defaulted",
        "inputs": INPUTS,
        "classes": CLASSES[task],
        "positive": "yes" if task == "binary" else None,
        "threshold": 0.6 if task == "binary" else None,
        "entity": "customer",
        "time": "at",
        "files": {},
    }
    write_manifest(folder, Manifest(**(values | changes)))
    return folder


@pytest.fixture(scope="session")
def make_package():
    """Builds a package folder."""
    return build_package


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """One package for each task, not to be changed."""
    folder = tmp_path_factory.mktemp("packages")
    return {task: build_package(folder / task, task=task) for task in CLASSES}


class RunningServer:
    """A server process."""

    def __init__(self, folder, settings):
        path = Path(folder) / f"settings-{settings.worker}.json"
        settings.save(path)
        self.settings = settings
        self.log = Path(settings.log)
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "everloop.runtime.server", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert select.select([self.process.stdout], [], [], 120)[0], "not ready within 120 s"
        line = self.process.stdout.readline()
        self.seconds = time.perf_counter() - start
        if not line.startswith("ready "):
            raise AssertionError(self.process.communicate(timeout=10)[1])
        self.url = line.split()[1]
        self.client = httpx.Client(base_url=self.url, timeout=10)

    def stop(self):
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, error = self.process.communicate(timeout=20)
        return self.process.returncode, error


@pytest.fixture(scope="session")
def run_server():
    """Starts a server process that the test ends itself."""
    return RunningServer


@pytest.fixture
def start_server(tmp_path):
    """Starts server processes; they are stopped at the end and must have ended well."""
    started = []

    def start(**options):
        options = {"log": str(tmp_path / "log"), "port": 0} | options
        server = RunningServer(tmp_path, ServerSettings(**options))
        started.append(server)
        return server

    yield start
    for server in started:
        if server.process.returncode is None:
            assert server.stop() == (0, "")


@pytest.fixture(scope="module")
def shared_server(packages, tmp_path_factory):
    """One server for many requests; at the end it must have ended well."""
    folder = tmp_path_factory.mktemp("shared")
    server = RunningServer(
        folder, ServerSettings(package=str(packages["binary"]), log=str(folder / "log"), port=0)
    )
    yield server
    assert server.stop() == (0, "")
