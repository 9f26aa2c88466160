"""How much of one version may be under way: by number, and by what its rows cost at present."""

import asyncio
import threading

import httpx
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.runtime.log import read_log
from everloop.runtime.manifest import read_manifest, write_manifest
from everloop.runtime.routing import Arm, Routing, write_routing
from everloop.runtime.server import ServerLimits
from everloop.runtime.service.bounds import VersionBound

ROW = {"amount": 12.0, "region": "north"}
CLIENTS = 12
TENSORS = {
    "inputs": [
        {"name": "amount", "datatype": "FP64", "shape": [1], "data": [12.0]},
        {"name": "region", "datatype": "BYTES", "shape": [1], "data": ["north"]},
    ]
}


def in_a_turn(bound, sizes):
    """Which of so many requests are taken that arrive at once, each answered before the next is looked at."""

    async def ask():
        taken = []
        for rows in sizes:
            taken.append(bound.enter(rows))
            if taken[-1]:
                bound.leave(rows)
        return taken

    return asyncio.run(ask())


def test_what_is_answered_within_a_turn_counts_until_it_ends():
    bound = VersionBound("7", 3, None)
    for _ in range(2):
        assert in_a_turn(bound, [1] * 5) == [True] * 3 + [False] * 2


@pytest.mark.parametrize(("cost", "taken"), [(0.001, 50), (0.01, 10), (0.04, 2), (1.0, 1)])
def test_the_slower_a_version_is_the_fewer_are_taken(cost, taken):
    bound = VersionBound("7", None, 0.1)
    assert sum(in_a_turn(bound, [1] * 50)) == 50, "nothing is known of its cost yet"
    for _ in range(40):
        bound.note(1, cost)
    assert sum(in_a_turn(bound, [1] * 50)) == taken
    for _ in range(40):
        bound.note(10, 0.001)
    assert sum(in_a_turn(bound, [1] * 50)) == 50, "it has become fast again"


@given(
    sizes=st.lists(st.integers(1, 20), max_size=30),
    requests=st.none() | st.integers(1, 10),
    wait=st.none() | st.floats(0.01, 1),
    cost=st.floats(1e-4, 1),
)
def test_never_more_than_the_bounds_and_always_one(sizes, requests, wait, cost):
    bound = VersionBound("7", requests, wait)
    bound.note(1, cost)
    taken = in_a_turn(bound, sizes)
    rows = [size for size, one in zip(sizes, taken, strict=True) if one]
    assert not sizes or taken[0]
    assert requests is None or len(rows) <= requests
    assert wait is None or len(rows) <= 1 or sum(rows) * cost <= wait
    assert requests is not None or wait is not None or all(taken)
    assert not sizes or in_a_turn(bound, [1])[0], "a turn that has ended bounds nothing"


@pytest.fixture
def routed(make_package, packages, slow_model, tmp_path):
    """Routes to a fast version 7 and, for those who name it, to a slow version 8."""
    folder = make_package(tmp_path / "v8", version=8)
    onnx.save(slow_model, folder / "score.onnx")
    manifest = read_manifest(folder)
    (folder / "manifest.json").unlink()
    write_manifest(folder, manifest)
    path = tmp_path / "routing.json"
    arms = Arm(7, str(packages["binary"])), Arm(8, "v8", 0.0, "canary", "r")
    write_routing(path, Routing("loan-default", 1, *arms))
    return str(path)


def rush(url, path, body, each=3):
    """Has many clients ask at once, again and again; gives all answers."""
    answers = []

    def ask():
        with httpx.Client(base_url=url, timeout=60) as client:
            answers.extend(client.post(path, json=body) for _ in range(each))

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("limits", [{"version_requests": 2}, {"version_wait": 0.001}])
def test_a_slow_version_is_shed_and_the_fast_one_is_not(limits, routed, start_server):
    server = start_server(routing=routed, limits=ServerLimits(**limits))
    server.client.post("/v2/models/loan-default/versions/8/infer", json=TENSORS)  # so that its cost is known
    answers = rush(server.url, "/v2/models/loan-default/versions/8/infer", TENSORS)
    taken = [answer for answer in answers if answer.status_code == 200]
    shed = [answer for answer in answers if answer.status_code == 503]
    assert len(taken) + len(shed) == 3 * CLIENTS
    assert taken
    assert shed
    assert {answer.headers["retry-after"] for answer in shed} == {"1"}
    assert {answer.json()["error"] for answer in shed} == {"Version 8 has too much to do."}
    text = server.client.get("/metrics").text
    assert f'everloop_version_shed_total{{version="8"}} {len(shed)}' in text
    assert f'everloop_shed_total{{reason="version"}} {len(shed)}' in text
    assert all(server.client.post("/predict", json=ROW).status_code == 200 for _ in range(20))
    server.stop()
    log = read_log(server.log).predictions
    assert log.filter(log["version"] == 8).height == len(taken) + 1


def test_without_a_bound_nobody_is_shed(routed, start_server):
    server = start_server(routing=routed)
    answers = rush(server.url, "/v2/models/loan-default/versions/8/infer", TENSORS, each=1)
    assert {answer.status_code for answer in answers} == {200}
