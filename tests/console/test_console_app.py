import asyncio
import os
import socket
import subprocess
import sys

import httpx
import pytest

from everloop.console.app import HEADERS, address_of, create_app
from everloop.core.errors import OutsideFault
from everloop.loop.replay import HEARTBEAT
from everloop.record.rows import DecisionRow, RunRow, WindowRow


class Client:
    """Asks an app in this process, as a browser would."""

    def __init__(self, workspace):
        self.app = create_app(workspace)

    def ask(self, method, path, **options):
        async def once():
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.request(method, path, **options)

        return asyncio.run(once())

    def get(self, path, **options):
        return self.ask("GET", path, **options)


@pytest.fixture(scope="module")
def client(lived):
    return Client(lived)


def first(workspace, kind):
    return workspace.record.find(kind, limit=1)[0].id


def test_the_front_page_links_to_the_others(client, lived):
    html = client.get("/").text
    assert f'href="/decisions/{lived.record.find(DecisionRow, order="-at", limit=1)[0].id}"' in html
    assert 'href="/runs/' in html
    assert 'href="/versions/version_' in html
    assert "<script" not in html


@pytest.mark.parametrize("kind", [RunRow, WindowRow, DecisionRow])
def test_everything_with_an_id_has_its_address(client, lived, kind):
    answer = client.get(address_of(first(lived, kind)))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/versions/1", "/versions/v2", "/story"])
def test_pages_without_ids(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/status", "/versions/1"])
def test_every_answer_has_safe_headers(client, path):
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/runs/run_x",
        "/runs/v1",
        "/versions/99",
        "/windows/decision_1",
        "/decisions/%3Cscript%3E",
        "/runs/",
    ],
)
def test_what_is_not_there_is_answered_with_a_page(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "<h1>Not found</h1>" in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(client, method):
    assert client.ask(method, "/").status_code == 405


def test_another_name_for_this_machine_is_refused(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_the_status_as_json(client):
    facts = client.get("/api/status").json()
    assert facts["lifecycle"] == "loan-default"
    assert facts["champion"] == "v2"
    assert facts["windows"] == 5
    assert facts["earned_against_today"] == {"value": 90_000.0, "decisions": 450}


def test_a_lifecycle_that_was_never_run_has_a_front_page(unborn):
    client = Client(unborn)
    assert "not been run yet" in client.get("/").text
    assert client.get("/api/status").json()["champion"] is None


@pytest.mark.parametrize("path", ["/", "/story", "/versions/1", "/api/status", "/metrics"])
def test_a_record_that_is_damaged_while_it_is_shown_is_told_everywhere(unborn, monkeypatch, path):
    fault = OutsideFault("The record is damaged.", hint="restore it from a copy")

    def broken(*_, **__):
        raise fault

    monkeypatch.setattr(type(unborn.record), "find", broken)
    answer = Client(unborn).get(path)
    assert answer.status_code == 503
    assert fault.message in answer.text
    assert fault.hint in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_prometheus_reads_what_the_record_holds(client, lived):
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    windows = lived.record.find(WindowRow, order="-at")
    assert float(lines["everloop_window_predictions"]) == windows[0].predictions
    counted = sum(
        float(value) for name, value in lines.items() if name.startswith("everloop_decisions_total")
    )
    assert counted == len(lived.record.find(DecisionRow))
    assert float(lines["everloop_window_value_low"]) <= float(lines["everloop_window_value"])


def test_a_lifecycle_that_was_never_run_has_few_numbers(unborn):
    text = Client(unborn).get("/metrics").text
    assert "everloop_loop_up 0" in text
    assert "\neverloop_champion_version " not in text


def test_a_loop_that_was_killed_is_not_up(unborn):
    client = Client(unborn)
    alive = {"state": "running", "pid": os.getpid(), "host": socket.gethostname()}
    unborn.record.set_state(unborn.name, HEARTBEAT, alive)
    assert "everloop_loop_up 1" in client.get("/metrics").text
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.kill()
    process.communicate()
    unborn.record.set_state(unborn.name, HEARTBEAT, alive | {"pid": process.pid})
    assert "everloop_loop_up 0" in client.get("/metrics").text
