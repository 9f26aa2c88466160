"""A package from the front door, and the process that serves it, for groups of clients that ask a server."""
# ruff: noqa: D103, INP001, S101, S603

import json
import os
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

import everloop as el
from everloop.runtime import Package
from everloop.runtime.server import ServerSettings

os.environ |= {"NO_PROXY": "127.0.0.1,localhost", "SAGEMAKER_SUPPRESS_V2_WARNING": "1"}
READY_SECONDS = 30
ROWS = [
    {"amount": 1.5, "months": 3, "region": "süd"},
    {"amount": -2.0, "months": 40, "region": "north"},
    {"amount": None, "months": 12, "region": "elsewhere"},
]


@pytest.fixture(scope="session")
def rows():
    return ROWS


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    draw = np.random.default_rng(0)
    amount, months = draw.normal(size=300), draw.integers(1, 60, 300)
    region = draw.choice(["north", "süd"], 300)
    late = np.where(amount + (region == "süd") > 0.4 * draw.normal(size=300), "yes", "no")
    table = pl.DataFrame({"amount": amount, "months": months, "region": region, "late": late})
    folder = tmp_path_factory.mktemp("model") / "package"
    el.model.search(table, target="late", budget={"trials": 1}, seed=0).package(folder, sample=table)
    return folder


@pytest.fixture(scope="session")
def expected(package):
    return Package(package).answers(ROWS)


@pytest.fixture(scope="session")
def name(package):
    return Package(package).manifest.lifecycle


@pytest.fixture(scope="session")
def port(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    ready, settings = folder / "ready.json", folder / "settings.json"
    told = ServerSettings(package=str(package), log=str(folder / "log"), port=0, ready_file=str(ready))
    told.save(settings)
    process = subprocess.Popen([sys.executable, "-m", "everloop.runtime.server", str(settings)])
    end = time.monotonic() + READY_SECONDS
    while not ready.exists():
        assert process.poll() is None
        assert time.monotonic() < end, "not ready"
        time.sleep(0.05)
    yield int(json.loads(ready.read_bytes())["url"].rpartition(":")[2])
    process.terminate()
    assert process.wait(timeout=20) == 0
