"""Several lifecycles in one server: each by its name, with a log, versions, tokens and numbers of its own."""

import threading
from pathlib import Path

import pytest

from everloop.core.errors import UsageFault
from everloop.runtime.log import read_log
from everloop.runtime.package import Package
from everloop.runtime.routing import Arm, Routing, write_routing
from everloop.runtime.server import ServerSettings, Token, hash_token

ROW = {"amount": 12.0, "region": "north"}
TOKENS = {name: {"authorization": f"Bearer {name}"} for name in ("loans", "prices", "admin")}


@pytest.fixture(scope="module")
def two(make_package, tmp_path_factory):
    """Packages of two lifecycles, of another task each."""
    folder = tmp_path_factory.mktemp("two")
    return {
        "loans": make_package(folder / "loans", lifecycle="loans"),
        "prices": make_package(folder / "prices", version=3, task="regression", lifecycle="prices"),
    }


def beside(two, tmp_path, **changes):
    return {
        "package": str(two["loans"]),
        "beside": (ServerSettings(package=str(two["prices"]), log=str(tmp_path / "prices-log"), **changes),),
    }


def test_each_answers_under_its_name_and_keeps_its_own_log(two, start_server, tmp_path):
    server = start_server(**beside(two, tmp_path))
    expected = {name: Package(folder).answer(ROW) for name, folder in two.items()}
    for name, version in (("loans", 7), ("prices", 3)):
        answer = server.client.post(f"/models/{name}/predict", json=ROW).json()
        assert (answer["prediction"], answer["score"]) == (expected[name].prediction, expected[name].score)
        assert answer["version"] == version
        actual = "yes" if name == "loans" else 4.5
        told = server.client.post(f"/models/{name}/feedback", json={"id": answer["id"], "actual": actual})
        assert told.json() == {"accepted": 1}
    assert server.stop() == (0, "")
    for name, folder in (("loans", server.log), ("prices", tmp_path / "prices-log")):
        log = read_log(folder).joined()
        assert log["version"].to_list() == [7 if name == "loans" else 3]
        assert log["actual"].null_count() == 0


def test_every_protocol_finds_them_by_name(two, start_server, tmp_path):
    server = start_server(**beside(two, tmp_path))
    ask = server.client.post
    prices = Package(two["prices"]).answer(ROW).prediction
    assert ask("/v1/models/prices:predict", json={"instances": [ROW]}).json()["predictions"][0][
        "prediction"
    ] == pytest.approx(prices)
    tensors = [
        {"name": "amount", "datatype": "FP64", "shape": [1], "data": [12.0]},
        {"name": "region", "datatype": "BYTES", "shape": [1], "data": ["north"]},
    ]
    inferred = ask("/v2/models/prices/infer", json={"inputs": tensors}).json()
    assert (inferred["model_name"], inferred["outputs"][0]["data"]) == ("prices", [prices])
    for path in ("/models/prices/invocations", "/models/prices/invoke"):
        assert ask(path, json={"dataframe_records": [ROW]}).json()["predictions"] == [prices]
    paths = server.client.get("/models/prices/openapi.json").json()["paths"]
    assert "/models/prices/predict" in paths
    assert "/predict" not in paths


def test_what_names_none_is_refused_with_the_names(two, start_server, tmp_path):
    server = start_server(**beside(two, tmp_path))
    for path in ("/predict", "/feedback", "/invocations"):
        refused = server.client.post(path, json=ROW)
        assert refused.status_code == 400
        assert refused.json()["detail"] == f"Expected /models/NAME{path}, with one of 'loans', 'prices'."
    unknown = server.client.post("/models/else/predict", json=ROW)
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "This server serves 'loans', 'prices'.")
    assert server.client.post("/v2/models/else/infer", json={"inputs": []}).status_code == 404
    ready = server.client.get("/health/ready").json()
    assert {name: one["champion"] for name, one in ready["lifecycles"].items()} == {"loans": 7, "prices": 3}
    assert server.client.get("/models/prices/health/ready").json()["champion"] == 3
    assert server.client.get("/ping").status_code == 200


def test_one_alone_answers_with_and_without_its_name(shared_server):
    for path in ("/predict", "/models/loan-default/predict"):
        assert shared_server.client.post(path, json=ROW).json()["version"] == 7
    assert [one["lifecycle"] for one in shared_server.client.get("/models").json()["models"]] == [
        "loan-default"
    ]


def test_numbers_are_told_apart_by_the_lifecycle(two, start_server, tmp_path):
    server = start_server(**beside(two, tmp_path))
    for name, times in (("loans", 2), ("prices", 3)):
        for _ in range(times):
            server.client.post(f"/models/{name}/predict", json=ROW)
    server.client.get("/nowhere")
    text = server.client.get("/metrics").text
    for name, version, times in (("loans", 7, 2), ("prices", 3, 3)):
        of = f'lifecycle="{name}"'
        assert f'everloop_predictions_total{{{of},version="{version}",arm="champion"}} {times}' in text
        assert f'everloop_requests_total{{{of},route="/predict",method="POST",status="200"}} {times}' in text
    assert 'everloop_requests_total{route="(none)",method="GET",status="404"} 1' in text
    assert text.count("# TYPE everloop_predictions_total counter") == 1


def test_a_token_is_of_one_lifecycle(two, start_server, tmp_path):
    def tokens(name):
        return (Token("predict", hash_token(name)), Token("admin", hash_token("admin")))

    words = beside(two, tmp_path, tokens=tokens("prices"))
    server = start_server(**words, tokens=tokens("loans"))

    def status(path, who):
        return server.client.post(path, json=ROW, headers=TOKENS.get(who, {})).status_code

    assert [status("/models/loans/predict", who) for who in ("loans", "prices", "")] == [200, 401, 401]
    assert [status("/models/prices/predict", who) for who in ("loans", "prices", "admin")] == [401, 200, 200]
    stranger = server.client.post("/models/else/predict", json=ROW)
    assert (stranger.status_code, "prices" in stranger.text) == (401, False)
    knows = server.client.post("/models/else/predict", json=ROW, headers=TOKENS["prices"])
    assert knows.json()["detail"] == "This server serves 'prices'."
    listed = server.client.get("/models", headers=TOKENS["prices"]).json()["models"]
    assert [one["lifecycle"] for one in listed] == ["prices"]
    numbers = server.client.get("/metrics", headers=TOKENS["admin"]).text
    assert 'lifecycle="loans"' in numbers
    assert server.client.get("/metrics", headers=TOKENS["prices"]).status_code == 403


def test_versions_of_each_are_swapped_with_no_failed_request(two, make_package, start_server, tmp_path):
    newer = {
        "loans": make_package(tmp_path / "loans8", version=8, lifecycle="loans", shift=0.1),
        "prices": make_package(tmp_path / "prices4", 4, "regression", lifecycle="prices", shift=0.1),
    }
    routed = {name: tmp_path / f"{name}.json" for name in two}

    def route(name, version, package, generation):
        write_routing(routed[name], Routing(name, generation, Arm(version, str(package))))

    route("loans", 7, two["loans"], 1)
    route("prices", 3, two["prices"], 1)
    other = ServerSettings(routing=str(routed["prices"]), log=str(tmp_path / "p"), poll_seconds=0.02)
    server = start_server(routing=str(routed["loans"]), beside=(other,), poll_seconds=0.02)
    seen: dict[str, list[tuple[int, int]]] = {name: [] for name in two}
    ended = threading.Event()

    def load(name):
        while not ended.is_set():
            answer = server.client.post(f"/models/{name}/predict", json=ROW)
            seen[name].append((answer.status_code, answer.json().get("version")))

    threads = [threading.Thread(target=load, args=(name,)) for name in two]
    for thread in threads:
        thread.start()
    try:
        for name, version in (("loans", 8), ("prices", 4)):
            wait_for(lambda name=name: len(seen[name]) > 5)
            route(name, version, newer[name], 2)
            wait_for(lambda name=name, version=version: seen[name][-1][1] == version)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert {status for each in seen.values() for status, _ in each} == {200}
    assert {version for _, version in seen["loans"]} == {7, 8}
    assert {version for _, version in seen["prices"]} == {3, 4}


def wait_for(check, seconds=30.0):
    ended = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if check():
            return
        ended.wait(0.01)
    raise AssertionError("it did not come about in time")


def test_workers_have_names_of_their_own_in_every_log(two, run_server, tmp_path):
    settings = ServerSettings(log=str(tmp_path / "log"), port=0, **beside(two, tmp_path)).for_worker("b")
    server = run_server(tmp_path, settings)
    server.client.post("/models/prices/predict", json=ROW)
    assert server.stop() == (0, "")
    assert [path.name for path in Path(tmp_path / "prices-log").glob("*.lock")] == ["worker-b.lock"]


def test_what_cannot_stand_beside_each_other_is_refused(two, run_server, tmp_path):
    package, log = str(two["loans"]), str(tmp_path / "log")
    one = ServerSettings(package=package, log=log)
    with pytest.raises(UsageFault, match="the same prediction log"):
        ServerSettings(package=package, log=log, beside=(one,))
    with pytest.raises(UsageFault, match="further ones beside"):
        ServerSettings(
            package=package,
            log=f"{log}2",
            beside=(ServerSettings(package=package, log=f"{log}3", beside=(one,)),),
        )
    token = Token("predict", hash_token("a"))
    with pytest.raises(UsageFault, match="without tokens"):
        ServerSettings(package=package, log=f"{log}2", host="0.0.0.0", tokens=(token,), beside=(one,))
    twice = ServerSettings(package=package, log=f"{log}2", port=0, beside=(one,))
    with pytest.raises(AssertionError, match="are called 'loans'"):
        run_server(tmp_path, twice)
