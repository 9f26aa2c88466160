"""MLflow's own client of its scoring server asks ours."""
# ruff: noqa: D103, INP001, S101, S603

import json
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import polars as pl
import pytest

import everloop as el
from everloop.runtime import Package
from everloop.runtime.server import ServerSettings

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "NO_PROXY": "127.0.0.1"}
READY_SECONDS = 30


@pytest.fixture
def package(tmp_path):
    draw = np.random.default_rng(0)
    amount, region = draw.normal(size=300), draw.choice(["north", "south"], 300)
    late = np.where(amount + (region == "south") > 0.4 * draw.normal(size=300), "yes", "no")
    table = pl.DataFrame({"amount": amount, "region": region, "late": late})
    model = el.model.search(table, target="late", budget={"trials": 1}, seed=0)
    model.package(tmp_path / "package", sample=table)
    return tmp_path / "package"


@pytest.fixture
def port(package, tmp_path):
    ready = tmp_path / "ready.json"
    settings = tmp_path / "settings.json"
    ServerSettings(package=str(package), log=str(tmp_path / "log"), port=0, ready_file=str(ready)).save(
        settings
    )
    process = subprocess.Popen([sys.executable, "-m", "everloop.runtime.server", str(settings)])
    end = time.monotonic() + READY_SECONDS
    while not ready.exists():
        assert process.poll() is None
        assert time.monotonic() < end, "not ready"
        time.sleep(0.05)
    yield int(json.loads(ready.read_bytes())["url"].rpartition(":")[2])
    process.terminate()
    assert process.wait(timeout=20) == 0


@pytest.mark.filterwarnings("ignore:.*inferred as AnyType:UserWarning")  # of MLflow's own import
def test_mlflows_scoring_client_is_answered(port, package):
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    client = ScoringServerClient("127.0.0.1", port)
    client.ping()
    rows = pd.DataFrame({"amount": [1.5, -2.0, None], "region": ["south", "north", "elsewhere"]})
    answered = client.invoke(rows).get_predictions()
    expected = Package(package).predict(pl.from_pandas(rows))
    assert answered.iloc[:, 0].tolist() == list(expected)
    with pytest.raises(Exception, match=r"INVALID_PARAMETER_VALUE.*amount"):
        client.invoke(pd.DataFrame({"amount": ["many"], "region": ["south"]}))
