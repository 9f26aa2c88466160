"""The `.mar` archive under the real TorchServe: the answers are those of the PyTorch module."""
# ruff: noqa: D103, INP001, S101, S602, S603

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import everloop as el
from everloop.deploy.targets import Release, export, open_target
from everloop.runtime.manifest import read_manifest
from everloop.testing.server_process import free_port

COLUMNS = ("a", "b", "c")
SECONDS = 120


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 3)).eval()


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 3))


@pytest.fixture(scope="module")
def server(module, rows, tmp_path_factory):
    home = tmp_path_factory.mktemp("torchserve")
    table = pl.DataFrame({name: rows[:, place] for place, name in enumerate(COLUMNS)})
    el.model.package(module, home / "package", sample=table, classes=["x", "y", "z"])
    release = Release(home / "package", read_manifest(home / "package"))
    target, folder = open_target("torchserve"), home / "out"
    export(release, target, folder)
    _, archive, start = target.commands(release)
    subprocess.run(archive.replace("python3", sys.executable), shell=True, cwd=folder, check=True)
    assert [path.suffix for path in (folder / "model-store").iterdir()] == [".mar"]
    ports = {port: str(free_port()) for port in ("8080", "8081", "8082")}
    settings = folder / "config.properties"
    text = settings.read_text()
    for stated, free in ports.items():
        text = text.replace(stated, free)
    settings.write_text(text)
    program = str(Path(sys.executable).parent / "torchserve")
    command = [program if word == "torchserve" else word for word in start.split()]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "EVERLOOP_LOG": str(home / "log"),
        "TEMP": str(home),
    }
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{ports['8080']}/predictions/{release.name}"
    try:
        _wait(process, address, home / "server.log")
        yield address
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def _wait(process: subprocess.Popen, address: str, log: Path) -> None:
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end and process.poll() is None:
        try:
            if httpx.post(address, json={"a": 0.0, "b": 0.0, "c": 0.0}, timeout=20).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise AssertionError(log.read_text()[-4_000:])


def test_it_answers_what_the_module_says(server, module, rows) -> None:
    with torch.no_grad():
        expected = torch.softmax(module.double()(torch.as_tensor(rows)), dim=1).numpy()
    sent = {"rows": [dict(zip(COLUMNS, row.tolist(), strict=True)) for row in rows]}
    said = httpx.post(server, json=sent, timeout=20).json()["predictions"]
    np.testing.assert_allclose([one["score"] for one in said], expected, atol=1e-9)
    assert [one["prediction"] for one in said] == ["xyz"[place] for place in expected.argmax(axis=1)]


def test_a_row_that_breaks_the_contract_is_refused(server) -> None:
    answer = httpx.post(server, json={"a": "no number", "b": 0.0, "c": 0.0}, timeout=20)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "a"
