"""Schemathesis sends what the server's own OpenAPI allows, and what it does not, to every route.

`EVERLOOP_FUZZ_REQUESTS` says how many requests about; 100000 is the long form.
"""
# ruff: noqa: D103, INP001, S101, S310, S603

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import everloop as el
from everloop.runtime.log import read_log
from everloop.runtime.server import ServerSettings

REQUESTS = int(os.environ.get("EVERLOOP_FUZZ_REQUESTS", "1500"))
ROUTES = 20
MOST_GROWTH = 24 * 2**20
READY_SECONDS = 60


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    draw = np.random.default_rng(0)
    amount, region = draw.normal(100, 30, 400), draw.choice(["north", "east"], 400)
    late = np.where(draw.random(400) < 1 / (1 + np.exp(-(amount - 100) / 10)), "yes", "no")
    table = pl.DataFrame({"amount": amount, "region": region, "late": late})
    folder = tmp_path_factory.mktemp("model") / "package"
    model = el.model.search(table, target="late", budget={"trials": 1}, seed=0)
    model.package(folder, sample=table)
    return folder


@pytest.fixture
def server(package, tmp_path):
    """A server process, its URL, where its log is, and what it said on its error output."""
    ready = tmp_path / "ready.json"
    settings = ServerSettings(package=str(package), log=str(tmp_path / "log"), port=0, ready_file=str(ready))
    settings.save(tmp_path / "settings.json")
    command = [sys.executable, "-m", "everloop.runtime.server", str(tmp_path / "settings.json")]
    with (tmp_path / "errors").open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
    end = time.perf_counter() + READY_SECONDS
    while not ready.exists() and time.perf_counter() < end and process.poll() is None:
        time.sleep(0.05)
    yield process, json.loads(ready.read_bytes())["url"], tmp_path
    process.terminate()
    assert process.wait(30) == 0


def resident(process):
    pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def fuzz(url, folder, examples, seed):
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run", f"{url}/openapi.json",
        "--checks", "not_a_server_error", "--max-examples", str(examples), "--seed", str(seed),
        "--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all", "--request-timeout", "30",
        "--generation-database", "none", "--continue-on-failure",
    ]  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def answered(url):
    """Gives how many requests were answered, by status."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as response:
        text = response.read().decode()
    found = re.findall(r'everloop_requests_total\{.*status="(\d+)"\} (\d+)', text)
    return {status: sum(int(count) for one, count in found if one == status) for status, _ in found}


def test_whatever_is_sent_is_answered(server):
    process, url, folder = server
    fuzz(url, folder, 5, seed=0)
    before = resident(process)
    ran = fuzz(url, folder, max(5, REQUESTS // ROUTES), seed=1)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    counts = answered(url)
    assert sum(counts.values()) >= REQUESTS // 2
    assert not [status for status in counts if status >= "500"], counts
    assert resident(process) - before < MOST_GROWTH
    assert process.poll() is None
    assert (folder / "errors").read_text() == ""
    read_log(folder / "log")  # nothing that was sent makes a line that cannot be read
