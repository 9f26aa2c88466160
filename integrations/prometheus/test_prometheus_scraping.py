"""Prometheus itself scrapes a running server, and its own tool checks the form of what it reads."""
# ruff: noqa: D103, INP001, S101, S310, S603

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import numpy as np
import polars as pl
import pytest

import everloop as el
from everloop.runtime.server import ServerSettings, Token, hash_token

SECONDS = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url, body=None, token=None):
    fields = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    asked = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), fields)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return answer.read()


@pytest.fixture
def server(tmp_path):
    draw = np.random.default_rng(0)
    amount = draw.normal(100, 30, 400)
    late = np.where(draw.random(400) < 1 / (1 + np.exp(-(amount - 100) / 10)), "yes", "no")
    table = pl.DataFrame({"amount": amount, "late": late})
    model = el.model.search(table, target="late", budget={"trials": 1}, seed=0)
    model.package(tmp_path / "package", sample=table)
    ready = tmp_path / "ready.json"
    tokens = (Token("admin", hash_token("scraper")), Token("predict", hash_token("client")))
    settings = ServerSettings(
        package=str(tmp_path / "package"),
        log=str(tmp_path / "log"),
        port=0,
        tokens=tokens,
        ready_file=str(ready),
    )
    settings.save(tmp_path / "settings.json")
    command = [sys.executable, "-m", "everloop.runtime.server", str(tmp_path / "settings.json")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    end = time.perf_counter() + SECONDS
    while not ready.exists() and time.perf_counter() < end:
        time.sleep(0.05)
    yield json.loads(ready.read_bytes())["url"]
    process.terminate()
    assert process.wait(30) == 0


def test_promtool_finds_nothing_wrong_with_the_form(server):
    fetch(f"{server}/predict", {"amount": 1.0}, "client")
    text = fetch(f"{server}/metrics", None, "scraper")
    checked = subprocess.run(
        [shutil.which("promtool"), "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_prometheus_scrapes_what_was_served(server, tmp_path):
    port = free_port()
    target = urllib.parse.urlsplit(server).netloc
    (tmp_path / "prometheus.yml").write_text(
        f"""
global: {{scrape_interval: 500ms}}
scrape_configs:
  - job_name: everloop
    authorization: {{credentials: scraper}}
    static_configs: [{{targets: ["{target}"]}}]
"""
    )
    words = [
        shutil.which("prometheus"),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'series'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (tmp_path / "prometheus.log").open("wb") as output:
        prometheus = subprocess.Popen(words, stdout=output, stderr=output)
    try:
        for number in range(20):
            fetch(f"{server}/predict", {"amount": float(number)}, "client")
        asked = urllib.parse.quote('sum(everloop_predictions_total{arm="champion"})')
        found, end = [], time.perf_counter() + SECONDS
        while time.perf_counter() < end and [one["value"][1] for one in found] != ["20"]:
            time.sleep(0.3)
            try:
                answer = json.loads(fetch(f"http://127.0.0.1:{port}/api/v1/query?query={asked}"))
            except OSError:
                continue
            found = answer["data"]["result"]
        assert [one["value"][1] for one in found] == ["20"], (tmp_path / "prometheus.log").read_text()[-2000:]
        targets = json.loads(fetch(f"http://127.0.0.1:{port}/api/v1/targets"))["data"]["activeTargets"]
        assert [(one["health"], one["lastError"]) for one in targets] == [("up", "")]
    finally:
        prometheus.terminate()
        prometheus.wait(30)
