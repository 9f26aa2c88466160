"""The rules and the dashboard of a lifecycle, held to the real Prometheus and its tool."""
# ruff: noqa: D103, INP001, S101, S311, S603, S607

import csv
import json
import math
import os
import random
import socket
import subprocess
import sys
import time

import httpx
import pytest
from ruamel.yaml import YAML

LIFECYCLE = """
name: late-payers
problem: {target: late}
goal:
  today: {always: "no"}
  value: {currency: EUR, true_positive: 0, false_positive: -2, false_negative: -10, true_negative: 1}
data: {sources: {rows: {file: rows.csv}}, contract: contract.yaml}
model: {learners: [linear], budget: {trials: 1}}
deploy: {guard: {error_rate: "<= 3%", latency_p99: "<= 20ms"}}
"""
OF = 'lifecycle="late-payers"'
ASKED = f'everloop_requests_total{{{OF},route="/predict",method="POST",status="%s"}}'
BUCKET = f'everloop_request_seconds_bucket{{{OF},route="/predict",le="%s"}}'
# What is counted over ten minutes, and the alert that it has to raise; `0+60x10` grows by 60 a minute.
FIRING = {
    "EverloopServerDown": {f'up{{{OF},part="server"}}': "0x10"},
    "EverloopLogFault": {f'everloop_log_fault{{{OF},instance="a"}}': "1x10"},
    "EverloopLoadFailures": {f"everloop_load_failures_total{{{OF}}}": "0+1x10"},
    "EverloopShedding": {f'everloop_shed_total{{{OF},reason="full"}}': "0+60x10"},
    "EverloopLoopDown": {f"everloop_loop_up{{{OF}}}": "0x10"},
    "EverloopDrift": {f"everloop_window_drift_ratio{{{OF}}}": "1.4x10"},
    "EverloopWorseThanToday": {f"everloop_window_gain_high{{{OF}}}": "-0.1x10"},
    "EverloopRunFailed": {f'everloop_runs_total{{{OF},status="failed"}}': "0+1x10"},
    "EverloopErrors": {ASKED % 200: "0+90x10", ASKED % 500: "0+10x10"},
    "EverloopContractViolations": {
        ASKED % 200: "0+60x10",
        f'everloop_contract_violations_total{{{OF},field="a",rule="type"}}': "0+60x10",
    },
    "EverloopLatencyP99": {
        BUCKET % 0.01: "0+50x10",
        BUCKET % 0.05: "0+100x10",
        BUCKET % "+Inf": "0+100x10",
    },
    "EverloopNoWindow": {f"everloop_window_end_timestamp_seconds{{{OF}}}": "-999999x10"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lifecycle")
    chance = random.Random(1)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["amount", "income", "late"])
        for _ in range(300):
            amount, income = chance.uniform(100, 5000), chance.uniform(10, 100)
            late = chance.random() < 1 / (1 + math.exp(income / 30 - amount / 1500))
            writer.writerow([round(amount), round(income, 1), "yes" if late else "no"])
    (folder / "everloop.yaml").write_text(LIFECYCLE)
    for words in (["export", "prometheus"], ["export", "grafana"], ["run"]):
        everloop(folder, *words)
    return folder


def everloop(folder, *words):
    subprocess.run(
        [sys.executable, "-m", "everloop.cli", *words], cwd=folder, check=True, capture_output=True
    )


def promtool(place, *words):
    done = subprocess.run(["promtool", *words], check=False, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_configuration_and_rules(folder):
    place = folder / "export-prometheus"
    assert "SUCCESS" in promtool(place, "check", "config", "prometheus.yml")


def test_every_rule_fires_where_it_should_and_is_silent_where_all_is_well(folder):
    place = folder / "export-prometheus"
    rules = YAML(typ="safe").load((place / "rules.yml").read_text())["groups"][0]["rules"]
    assert {rule["alert"] for rule in rules} == set(FIRING)
    cases = [case(rule, FIRING[rule["alert"]], fires=True) for rule in rules]
    well = {
        f'up{{{OF},part="server"}}': "1x10",
        f"everloop_loop_up{{{OF}}}": "1x10",
        ASKED % 200: "0+100x10",
        BUCKET % 0.01: "0+100x10",
        BUCKET % "+Inf": "0+100x10",
        f"everloop_window_gain_high{{{OF}}}": "1x10",
        f"everloop_window_end_timestamp_seconds{{{OF}}}": "0x10",
    }
    cases += [case(rule, well, fires=False) for rule in rules]
    stated = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": cases}
    (place / "rules_test.yml").write_text(json.dumps(stated))
    assert "SUCCESS" in promtool(place, "test", "rules", "rules_test.yml")


def case(rule, series, *, fires):
    labels = rule["labels"] | {"instance": "a"} if "instance" in rule["expr"] else rule["labels"]
    kept = {"up": "part", "increase(everloop_runs": "status"}
    extra = {}
    for start, label in kept.items():
        if rule["expr"].startswith(start):
            extra[label] = {"part": "server", "status": "failed"}[label]
    raised = [{"exp_labels": labels | extra, "exp_annotations": rule["annotations"]}] if fires else []
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": "10m", "alertname": rule["alert"], "exp_alerts": raised}],
    }


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture(scope="module")
def prometheus(folder, tmp_path_factory):
    """The real one, asking the real console."""
    console, own = free_port(), free_port()
    place = folder / "export-prometheus"
    stated = (place / "prometheus.yml").read_text()
    (place / "here.yml").write_text(
        stated.replace("127.0.0.1:8710", f"127.0.0.1:{console}").replace("15s", "1s")
    )
    data = tmp_path_factory.mktemp("prometheus")
    commands = (
        [sys.executable, "-m", "everloop.cli", "console", "--port", str(console)],
        [
            "prometheus",
            f"--config.file={place / 'here.yml'}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{own}",
        ],
    )
    started = [
        subprocess.Popen(
            words, cwd=folder, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for words in commands
    ]
    yield f"http://127.0.0.1:{own}/api/v1"
    for process in started:
        process.terminate()
    for process in started:
        process.wait(20)


def ask(prometheus, expression):
    answer = httpx.get(f"{prometheus}/query", params={"query": expression}, timeout=10).json()
    assert answer["status"] == "success", (expression, answer)
    return answer["data"]["result"]


def test_prometheus_asks_the_console_and_knows_the_champion(prometheus):
    end = time.monotonic() + 60
    found = []
    while not found and time.monotonic() < end:
        time.sleep(0.5)
        try:
            found = ask(prometheus, f"everloop_champion_version{{{OF}}}")
        except httpx.HTTPError:
            continue
    assert [one["value"][1] for one in found] == ["1"]
    assert found[0]["metric"]["part"] == "loop"
    runs = ask(prometheus, f'everloop_runs_total{{{OF},status="done"}}')
    assert [one["value"][1] for one in runs] == ["1"]


def test_everything_that_the_dashboard_draws_can_be_asked(prometheus, folder):
    drawn = json.loads((folder / "export-grafana" / "dashboard.json").read_bytes())
    expressions = [target["expr"] for panel in drawn["panels"] for target in panel["targets"]]
    assert len(expressions) > 15
    for expression in expressions:
        ask(prometheus, expression)
