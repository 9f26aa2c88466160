"""Two versions behind one address: nobody waits for the shadow, nobody suffers from a failing challenger."""

import statistics
import threading
import time
from pathlib import Path

import httpx
import onnx
import pytest

from everloop.runtime.log import read_log
from everloop.runtime.manifest import read_manifest, write_manifest
from everloop.runtime.routing import (
    Arm,
    Routing,
    choose_arm,
    position_of,
    read_routing,
    unit_of,
    write_routing,
)

ROW = {"amount": 12.0, "region": "north"}


@pytest.fixture
def challenger(make_package, packages, tmp_path):
    """Routes to version 7 and, by a strategy, to a version 8 with a graph of its own."""

    def make(model, strategy, share=1.0):
        folder = make_package(tmp_path / "v8", version=8)
        if model is not None:
            onnx.save(model, folder / "score.onnx")
            manifest = read_manifest(folder)
            (folder / "manifest.json").unlink()
            write_manifest(folder, manifest)
        path = tmp_path / "routing.json"
        arms = Arm(7, str(packages["binary"])), Arm(8, "v8", share, strategy, "r")
        write_routing(path, Routing("loan-default", 1, *arms))
        return str(path)

    return make


def ask(server, count):
    seconds = []
    for n in range(count):
        begun = time.perf_counter()
        answer = server.client.post("/predict", json={"row": ROW, "id": f"p{n}"})
        seconds.append(time.perf_counter() - begun)
        assert (answer.status_code, answer.json()["version"]) == (200, 7)
    return min(seconds)  # who waits for another is never quicker than it, however busy the machine is


@pytest.mark.slow
def test_nobody_waits_for_a_slow_shadow(slow_model, challenger, start_server):
    server = start_server(routing=challenger(slow_model, "shadow"))
    answered = ask(server, 15)
    server.stop()
    log = read_log(server.log).predictions
    shadow = log.filter(log["arm"] == "shadow")
    assert set(shadow["id"]) == {f"p{n}" for n in range(15)}
    assert shadow["latency_us"].median() / 1e6 > 2 * answered, "each answer of the shadow took far longer"
    assert log.filter(log["arm"] == "champion")["chance"].unique().to_list() == [1.0]


def test_a_failing_shadow_touches_nobody_and_is_counted(failing_model, challenger, start_server):
    server = start_server(routing=challenger(failing_model, "shadow"))
    ask(server, 20)
    server.stop()
    log = read_log(server.log)
    assert log.predictions["arm"].unique().to_list() == ["champion"]
    assert log.refusals.select("arm", "kind", "version").unique().rows() == [("shadow", "error", 8)]
    assert log.refusals.height == 20


def test_the_champion_answers_where_the_challenger_fails(failing_model, challenger, start_server):
    server = start_server(routing=challenger(failing_model, "canary", 0.5))
    ask(server, 40)
    assert "everloop_fallbacks_total" in server.client.get("/metrics").text
    server.stop()
    log = read_log(server.log)
    routing = Routing("loan-default", 1, Arm(7, "a"), Arm(8, "b", 0.5, "canary", "r"))
    hit = {f"p{n}" for n in range(40) if choose_arm(routing, f"p{n}") == "challenger"}
    assert set(log.refusals["id"]) == hit
    assert log.refusals["chance"].unique().to_list() == [0.5]
    assert set(log.refusals["unit"]) == {unit_of(identity, "r") for identity in hit}
    pinned = log.predictions.filter(log.predictions["arm"] == "pinned")
    assert set(pinned["id"]) == hit
    assert pinned["version"].unique().to_list() == [7]


def test_a_row_that_violates_the_contract_is_counted_for_its_arm_without_its_content(
    challenger, start_server
):
    server = start_server(routing=challenger(None, "ab", 0.25))
    for n in range(20):
        row = {"amount": "secret-12", "customer": f"c{n}"}
        assert server.client.post("/predict", json={"row": row, "id": f"p{n}"}).status_code == 422
    server.stop()
    refusals = read_log(server.log).refusals
    assert refusals["kind"].unique().to_list() == ["contract"]
    arms = {f"p{n}": "challenger" if position_of(f"c{n}", "r") < 0.25 else "champion" for n in range(20)}
    assert dict(refusals.select("id", "arm").rows()) == arms
    assert set(refusals.select("arm", "chance").rows()) == {("champion", 0.75), ("challenger", 0.25)}
    assert "secret" not in str(refusals.to_dicts())


@pytest.mark.parametrize(("way", "shown"), [("hash", 1), ("drop", 12)])
def test_a_private_entity_is_one_unit_by_its_hash_alone(failing_model, challenger, start_server, way, shown):
    server = start_server(routing=challenger(failing_model, "canary", 0.5), private={"customer": way})
    routing = read_routing(Path(server.settings.routing))
    customer = next(f"c{n}" for n in range(99) if choose_arm(routing, f"c{n}") == "challenger")
    for n in range(12):
        server.client.post("/predict", json={"row": ROW | {"customer": customer}, "id": f"p{n}"})
    server.stop()
    units = read_log(server.log).refusals["unit"]
    assert (len(units), units.n_unique()) == (12, shown)
    assert unit_of(customer, "r") not in units


def test_an_entity_has_the_same_arm_in_every_worker_and_after_a_restart(challenger, start_server, tmp_path):
    routing = challenger(None, "ab", 0.5)
    given = []
    for worker in ("a", "b", "a"):
        server = start_server(routing=routing, worker=worker, log=str(tmp_path / f"log-{worker}"))
        rows = [{"row": ROW | {"customer": f"c{n}"}} for n in range(12)]
        given.append([server.client.post("/predict", json=row).json()["version"] for row in rows])
        server.stop()
    assert given[0] == given[1] == given[2]
    assert set(given[0]) == {7, 8}


def switched(server, path, arms, version):
    """Writes a routing, and gives the seconds until every answer comes from a version."""
    begun = time.perf_counter()
    write_routing(path, Routing("loan-default", 1, *arms))
    while server.client.post("/predict", json=ROW).json()["version"] != version:
        pass
    return time.perf_counter() - begun


@pytest.mark.slow
def test_blue_green_switches_and_comes_back_at_once_without_a_failed_request(
    packages, make_package, start_server, tmp_path
):
    make_package(tmp_path / "v8", version=8)
    path = tmp_path / "routing.json"
    blue = Arm(7, str(packages["binary"]))
    off, on = ((blue, Arm(8, "v8", share, "blue_green", "r")) for share in (0.0, 1.0))
    write_routing(path, Routing("loan-default", 1, *off))
    server = start_server(routing=str(path), poll_seconds=0.02)
    stop, statuses = threading.Event(), []

    def ask():
        with httpx.Client(base_url=server.url, timeout=10) as client:
            while not stop.is_set():
                statuses.append(client.post("/predict", json=ROW).status_code)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    [thread.start() for thread in threads]
    loads = []
    for _ in range(5):
        switched(server, path, on, 8)
        loads.append(switched(server, path, off, 7))
    stop.set()
    [thread.join() for thread in threads]
    assert set(statuses) == {200}
    assert statistics.median(loads) < 2.0, "nothing has to be loaded"
