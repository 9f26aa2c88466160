"""The server through its front door: real processes, real HTTP, whatever a client sends."""

import gzip
import json
import os
import shutil
import signal
import socket
import threading
import time
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.core.errors import UsageFault
from everloop.runtime.log import read_log
from everloop.runtime.package import Package
from everloop.runtime.routing import Arm, Routing, choose_arm, write_routing
from everloop.runtime.server import ServerLimits, ServerSettings, Token, hash_token, serve
from everloop.testing.malicious import SLOW_PATTERNS, PackageAttack
from everloop.testing.malicious.packages import with_pattern

ROW = {"amount": 12.0, "region": "north", "customer": "c1"}
HEAVY = {
    "polars", "pandas", "sklearn", "pyarrow", "lightgbm", "xgboost", "sqlalchemy", "duckdb", "onnx", "scipy",
    "sqlglot", "pydantic", "starlette", "fastapi",
}  # fmt: skip


def eventually(condition, seconds=10):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("did not come true")


def test_a_row_is_answered_as_the_package_answers_and_logged(packages, start_server):
    server = start_server(package=str(packages["binary"]))
    response = server.client.post("/predict", json=ROW | {"extra": "ignored"})
    assert response.status_code == 200
    body = response.json()
    answer = Package(packages["binary"]).answer(ROW)
    assert (body["prediction"], body["score"], body["version"]) == (answer.prediction, answer.score, 7)
    assert server.client.post("/feedback", json={"id": body["id"], "actual": "no"}).json() == {"accepted": 1}
    assert server.stop() == (0, "")
    joined = read_log(server.log).joined()
    assert joined.select("id", "version", "arm", "score", "prediction", "actual").rows() == [
        (body["id"], 7, "champion", answer.score, "yes", "no")
    ]
    assert json.loads(joined["row"][0]) == ROW | {"at": None}
    assert 0 < joined["latency_us"][0] < 5_000_000
    assert abs((joined["time"][0] - datetime.now(UTC)).total_seconds()) < 60


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks(packages, start_server, task):
    server = start_server(package=str(packages[task]))
    body = server.client.post("/predict", json={"rows": [ROW, {}], "ids": ["a", None]}).json()["predictions"]
    answers = Package(packages[task]).answers([ROW, {}])
    assert [one["prediction"] for one in body] == [answer.prediction for answer in answers]
    assert body[0]["score"] == (list(answers[0].score) if task == "multiclass" else answers[0].score)
    assert body[0]["id"] == "a"
    actual = "b" if task == "multiclass" else 3.5
    assert server.client.post("/feedback", json=[{"id": "a", "actual": actual}]).status_code == 200
    wrong = server.client.post("/feedback", json={"id": "a", "actual": "zebra"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "actuals[0].actual")


def test_a_pattern_that_other_engines_never_finish_is_answered_at_once(packages, start_server, tmp_path):
    (pattern, text), *_ = SLOW_PATTERNS.items()
    folder = shutil.copytree(packages["binary"], tmp_path / "slow")
    PackageAttack(with_pattern(pattern), "contract.json").apply(folder)
    server = start_server(package=str(folder))
    rows = [ROW | {"region": text}] * 100
    refused = server.client.post("/predict", json={"rows": rows}, timeout=10)
    assert (refused.status_code, refused.json()["errors"][0]["rule"]) == (422, "pattern")
    assert server.client.post("/predict", json=ROW | {"region": "aaab"}).status_code == 200


def test_reasons_on_request(packages, start_server, make_package, tmp_path):
    server = start_server(package=str(packages["binary"]))
    reasons = server.client.post("/predict?explain=1", json=ROW).json()["reasons"]
    assert [reason["column"] for reason in reasons] == ["amount"]
    assert server.client.post("/predict?explain=many", json=ROW).status_code == 400
    without = start_server(package=str(make_package(tmp_path / "p", explain=False)), worker="b")
    refused = without.client.post("/predict?explain=1", json=ROW)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")


def test_a_violation_names_field_rule_and_type_but_not_the_value(packages, start_server):
    server = start_server(package=str(packages["binary"]))
    refused = server.client.post("/predict", json=ROW | {"amount": "secret-12"})
    assert refused.status_code == 422
    problem = refused.json()
    assert (problem["status"], problem["errors"][0]["field"]) == (422, "amount")
    assert {"field", "rule", "expected", "type"} == set(problem["errors"][0])
    assert "secret" not in refused.text
    several = server.client.post("/predict", json={"rows": [ROW, ROW | {"amount": "x"}]}).json()
    assert several["errors"][0]["field"] == "rows[1].amount"
    metrics = server.client.get("/metrics").text
    assert 'everloop_contract_violations_total{field="amount"' in metrics
    assert "secret" not in metrics
    server.stop()
    assert read_log(server.log).predictions.is_empty()


REFUSED = {
    "no json": ("POST", "/predict", b"{", {}, 400),
    "nan": ("POST", "/predict", b'{"amount": NaN}', {}, 400),
    "infinity": ("POST", "/predict", b'{"amount": Infinity}', {}, 400),
    "past every double": ("POST", "/predict", b'{"amount": 1e999}', {}, 400),
    "lone surrogate": ("POST", "/predict", b'{"region": "\\ud800"}', {}, 400),
    "deep": ("POST", "/predict", b'{"a":' * 30_000, {}, 400),
    "deep inside": ("POST", "/predict", b"[" * 50_000 + b"]" * 50_000, {}, 400),
    "not utf-8": ("POST", "/predict", b'{"region": "\xff"}', {}, 400),
    "empty": ("POST", "/predict", b"", {}, 400),
    "a list": ("POST", "/predict", b"[1]", {}, 422),
    "null": ("POST", "/predict", b"null", {}, 422),
    "rows of numbers": ("POST", "/predict", b'{"rows": [1]}', {}, 422),
    "ids do not fit": ("POST", "/predict", b'{"rows": [{}], "ids": []}', {}, 422),
    "id too long": ("POST", "/predict", json.dumps({"row": {}, "id": "x" * 201}).encode(), {}, 422),
    "too many rows": ("POST", "/predict", json.dumps({"rows": [{}] * 21}).encode(), {}, 413),
    "too long": ("POST", "/predict", b" " * 200_001, {}, 413),
    "other kind": ("POST", "/predict", b"a,b", {"content-type": "text/csv"}, 415),
    "compressed": ("POST", "/predict", gzip.compress(b"{}"), {"content-encoding": "gzip"}, 415),
    "compressed feedback": ("POST", "/feedback", gzip.compress(b"{}"), {"content-encoding": "deflate"}, 415),
    "strange query": ("POST", "/predict?explain=-1", b"{}", {}, 400),
    "many fields": ("POST", "/predict?" + "a=1&" * 50, b"{}", {}, 400),
    "unknown path": ("GET", "/nothing/../here", b"", {}, 404),
    "wrong method": ("GET", "/predict", b"", {}, 405),
    "strange method": ("PATCH", "/predict", b"", {}, 405),
    "feedback number": ("POST", "/feedback", b"3", {}, 422),
    "feedback without id": ("POST", "/feedback", b'{"actual": "yes"}', {}, 422),
    "feedback no class": ("POST", "/feedback", b'{"id": "a", "actual": "maybe"}', {}, 422),
    "feedback null": ("POST", "/feedback", b'{"id": "a", "actual": null}', {}, 422),
    "feedback with time": ("POST", "/feedback", b'{"id": "a", "actual": "yes", "at": 1}', {}, 422),
    "feedback more": ("POST", "/feedback", b'{"id": "a", "actual": "yes", "x": 1}', {}, 422),
}


@pytest.mark.parametrize(
    ("entry", "field", "kind"),
    [
        (3, "actuals[0]", "integer"),
        (0.5, "actuals[0]", "number"),
        ("a", "actuals[0]", "text"),
        ([1], "actuals[0]", "integer"),
        ({"actual": "yes"}, "actuals[0]", "object"),
        ({"id": {}, "actual": "yes"}, "actuals[0].id", "object"),
        ({"id": [], "actual": "yes"}, "actuals[0].id", "array"),
        ({"id": None, "actual": "yes"}, "actuals[0].id", "null"),
        ({"id": "a", "actual": "yes", "at": True}, "actuals[0].at", "boolean"),
    ],
)
def test_wrong_feedback_is_told_in_the_words_of_json(shared_server, entry, field, kind):
    (error,) = shared_server.client.post("/feedback", json=entry).json()["errors"]
    assert (error["field"], error["type"]) == (field, kind)


def test_what_is_wrong_is_told_as_a_problem(packages, start_server):
    limits = ServerLimits(body_bytes=200_000, rows=20)
    server = start_server(package=str(packages["binary"]), limits=limits)
    for name, (method, path, body, headers, status) in REFUSED.items():
        response = server.client.request(method, path, content=body, headers=headers)
        assert response.status_code == status, name
        problem = response.json()
        assert response.headers["content-type"] == "application/problem+json", name
        assert (problem["status"], bool(problem["title"])) == (status, True), name
        if status == 405:
            assert response.headers["allow"] == "POST"
        if "content-encoding" in headers:
            assert response.headers["accept-encoding"] == "identity"
            assert "Content-Encoding" in problem["detail"]
    unchanged = {"content-encoding": "Identity"}
    assert server.client.post("/predict", json={"rows": []}, headers=unchanged).status_code == 200
    assert server.client.head("/health/live").content == b""
    assert server.client.post("/predict", json=ROW).status_code == 200
    server.stop()
    assert read_log(server.log).predictions.height == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    ["amount", "region", "customer", "at", "rows", "ids", "row", "id", "actual", "actuals"]
)
bodies = (
    st.binary(max_size=60)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(fields, json_values, max_size=5).map(lambda value: json.dumps(value).encode())
)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=st.sampled_from(["POST", "GET", "PUT", "DELETE", "OPTIONS"]),
    path=st.sampled_from(
        ["/predict", "/feedback", "/predict?explain=2", "/metrics", "/", "/health/ready", "/v2/x"]
    ),
    kind=st.sampled_from(["application/json", "", "text/plain", "a/b; c=d", "application/x+json"]),
    body=bodies,
)
def test_nothing_a_client_sends_makes_a_500(shared_server, method, path, kind, body):
    response = shared_server.client.request(method, path, content=body, headers={"content-type": kind})
    assert response.status_code < 500
    if response.status_code >= 400:
        told = response.json()
        assert told["error"] if path.startswith("/v2") else told["status"] == response.status_code


@pytest.mark.parametrize(
    "noise",
    [b"\x00" * 100, b"GET\r\n\r\n", b"POST /predict HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"\x16\x03\x01"],
)
def test_noise_on_the_wire_harms_nobody(shared_server, noise):
    host, port = shared_server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as wire:
        wire.sendall(noise)
        wire.shutdown(socket.SHUT_WR)
        wire.recv(100)
    assert shared_server.client.post("/predict", json=ROW).status_code == 200


def test_a_body_that_never_ends_is_given_up(packages, start_server):
    server = start_server(package=str(packages["binary"]), limits=ServerLimits(body_seconds=0.3))
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as wire:
        wire.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        assert b" 408 " in wire.recv(1000)


def test_overload_is_shed_with_503(packages, start_server):
    server = start_server(package=str(packages["binary"]), limits=ServerLimits(concurrent=1, body_seconds=2))
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as wire:
        wire.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        eventually(lambda: "everloop_requests_now 1" in server.client.get("/metrics").text)
        refused = server.client.post("/predict", json=ROW)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert server.client.get("/health/live").status_code == 200
    eventually(lambda: server.client.post("/predict", json=ROW).status_code == 200)
    assert 'everloop_shed_total{reason="overload"}' in server.client.get("/metrics").text


def test_health_metrics_description(packages, start_server):
    server = start_server(package=str(packages["binary"]))
    assert server.client.get("/health/live").json() == {"status": "live"}
    ready = server.client.get("/health/ready")
    assert (ready.status_code, ready.json()["champion"], ready.json()["challenger"]) == (200, 7, None)
    server.client.post("/predict", json=ROW)
    text = server.client.get("/metrics").text
    assert 'everloop_predictions_total{version="7",arm="champion"} 1' in text
    assert 'everloop_requests_total{route="/predict",method="POST",status="200"} 1' in text
    assert 'everloop_request_seconds_bucket{route="/predict",le="+Inf"} 1' in text
    page = server.client.get("/docs").text
    assert "POST /predict" in page
    assert "http" not in page.replace("http-equiv", "")
    document = server.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) >= {"/predict", "/feedback", "/metrics"}
    from jsonschema import Draft202012Validator

    schema = {"$ref": "#/components/schemas/Row", "components": document["components"]}
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(ROW)
    assert not Draft202012Validator(schema).is_valid({"amount": "x"})


def test_workers_share_a_port(packages, start_server):
    first = start_server(package=str(packages["binary"]), reuse_port=True, worker="a")
    port = int(first.url.rsplit(":", 1)[1])
    second = start_server(package=str(packages["binary"]), reuse_port=True, worker="b", port=port)
    for _ in range(40):
        assert httpx.post(f"{first.url}/predict", json=ROW).status_code == 200
    assert first.stop() == second.stop() == (0, "")
    assert set(read_log(first.log).predictions["worker"]) == {"a", "b"}


def test_each_of_many_rows_has_reasons(packages, start_server):
    server = start_server(package=str(packages["binary"]))
    rows = [ROW | {"amount": float(number)} for number in range(1, 500)]
    answers = server.client.post("/predict?explain=1", json={"rows": rows}).json()["predictions"]
    assert [[reason["value"] for reason in one["reasons"]] for one in answers] == [
        [row["amount"]] for row in rows
    ]


def test_roles(packages, start_server):
    tokens = tuple(Token(role, hash_token(f"{role}-token")) for role in ("predict", "feedback", "admin"))
    server = start_server(package=str(packages["binary"]), tokens=tokens)

    def status(path, token=None):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        method, body = ("GET", None) if path in ("/metrics", "/health/live") else ("POST", ROW)
        return server.client.request(method, path, json=body, headers=headers).status_code

    assert [
        status("/predict", t) for t in (None, "wrong", "predict-token", "feedback-token", "admin-token")
    ] == [401, 401, 200, 403, 200]
    assert [status("/metrics", t) for t in (None, "predict-token", "admin-token")] == [401, 403, 200]
    assert status("/health/live") == 200
    assert server.client.post("/predict", json=ROW).headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_beyond_loopback_only_with_tokens(host):
    with pytest.raises(UsageFault, match="without tokens"):
        ServerSettings(package="p", log="l", host=host)
    ServerSettings(package="p", log="l", host=host, tokens=(Token("predict", "0" * 64),))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"package": "p", "routing": "r"},
        {"package": "p", "clock": "sundial"},
        {"package": "p", "tokens": (Token("king", ""),)},
    ],
)
def test_settings_that_contradict_themselves(options):
    with pytest.raises(UsageFault):
        ServerSettings(log="l", **options)


def test_a_port_that_is_taken(packages, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageFault, match=rf"cannot listen on 127.0.0.1:{port}"):
            serve(ServerSettings(package=str(packages["binary"]), log=str(tmp_path), port=port))


def test_a_package_that_is_refused_ends_the_start(tmp_path, start_server):
    with pytest.raises(AssertionError, match=r"error: .* is no package"):
        start_server(package=str(tmp_path))


def test_sigterm_answers_what_is_under_way_and_commits(packages, start_server):
    server = start_server(
        package=str(packages["binary"]), ready_file=str(packages["binary"].parent / "ready.json")
    )
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as wire:
        body = json.dumps(ROW).encode()
        wire.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:5]
        )
        eventually(lambda: "everloop_requests_now 1" in server.client.get("/metrics").text)
        server.client.close()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        wire.sendall(body[5:])
        assert b" 200 " in wire.recv(4000)
    assert server.stop() == (0, "")
    assert read_log(server.log).predictions.height == 1
    assert not (packages["binary"].parent / "ready.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("durability", ["buffer", "fsync"])
def test_a_full_disk_is_a_503_and_nothing_acknowledged_is_lost(
    packages, start_server, durability, small_disk
):
    disk = small_disk("256k")
    (disk / "ballast").write_bytes(bytes(150_000))
    server = start_server(package=str(packages["binary"]), log=str(disk / "log"), durability=durability)
    accepted = []
    for n in range(3000):
        response = server.client.post("/predict", json={"row": ROW | {"customer": "x" * 60}, "id": f"p{n}"})
        if response.status_code != 200:
            break
        accepted.append(f"p{n}")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert server.client.get("/health/ready").status_code == 503
    (disk / "ballast").unlink()
    eventually(lambda: server.client.get("/health/ready").status_code == 200)
    assert server.client.post("/predict", json=ROW).status_code == 200
    server.stop()
    assert set(accepted) <= set(read_log(server.log).predictions["id"])


def test_an_answer_under_fsync_is_on_disk(packages, start_server):
    server = start_server(package=str(packages["binary"]), durability="fsync")
    for n in range(10):
        assert server.client.post("/predict", json={"row": ROW, "id": f"p{n}"}).status_code == 200
        os.kill(server.process.pid, 0)
        assert f"p{n}" in set(read_log(server.log).predictions["id"])


def test_rehearsal_takes_its_time_from_the_rows(packages, start_server):
    server = start_server(package=str(packages["binary"]), clock="events")
    then = "2013-05-01T06:00:00Z"
    assert server.client.post("/feedback", json={"id": "p0", "actual": "yes"}).status_code == 422
    assert server.client.post("/predict", json={"row": ROW | {"at": then}, "id": "p1"}).status_code == 200
    assert server.client.post("/predict", json=ROW).status_code == 422
    assert (
        server.client.post("/feedback", json={"id": "p1", "actual": "yes", "at": "2013-07-30"}).status_code
        == 200
    )
    for at in ("soon", True, 10**30, [], 0.5):
        assert (
            server.client.post("/feedback", json={"id": "p1", "actual": "yes", "at": at}).status_code == 422
        )
    server.stop()
    tables = read_log(server.log)
    assert tables.predictions["time"].to_list() == [datetime(2013, 5, 1, 6, tzinfo=UTC)]
    assert tables.actuals["time"].to_list() == [datetime(2013, 7, 30, tzinfo=UTC)]


def test_a_canary_s_share_by_entity_is_the_routing_s_own(packages, make_package, start_server, tmp_path):
    make_package(tmp_path / "v8", version=8, shift=0.1)
    routing = Routing("loan-default", 1, Arm(7, str(packages["binary"])), Arm(8, "v8", 0.3, "canary", "r"))
    write_routing(tmp_path / "routing.json", routing)
    server = start_server(routing=str(tmp_path / "routing.json"))
    for n in range(200):
        body = server.client.post("/predict", json=ROW | {"customer": f"c{n}"}).json()
        assert body["version"] == (8 if choose_arm(routing, f"c{n}") == "challenger" else 7)
    server.stop()
    arms = read_log(server.log).predictions.group_by("version", "arm").len().sort("version").rows()
    assert [(version, arm) for version, arm, _ in arms] == [(7, "champion"), (8, "challenger")]


def test_a_shadow_is_scored_and_logged_but_answers_nobody(packages, make_package, start_server, tmp_path):
    make_package(tmp_path / "v8", version=8, shift=0.1)
    write_routing(
        tmp_path / "routing.json",
        Routing("loan-default", 1, Arm(7, str(packages["binary"])), Arm(8, "v8", 1.0, "shadow", "r")),
    )
    server = start_server(routing=str(tmp_path / "routing.json"))
    for n in range(20):
        assert server.client.post("/predict", json={"row": ROW, "id": f"p{n}"}).json()["version"] == 7
    server.stop()
    predictions = read_log(server.log).predictions
    shadow = predictions.filter(predictions["arm"] == "shadow")
    assert sorted(shadow["id"]) == sorted(f"p{n}" for n in range(20))
    assert shadow["version"].unique().to_list() == [8]
    assert shadow["score"][0] == Package(tmp_path / "v8").answer(ROW).score
    assert predictions.filter(predictions["arm"] == "champion").height == 20


@pytest.mark.slow
def test_versions_are_swapped_with_no_failed_request(packages, make_package, start_server, tmp_path):
    path = tmp_path / "routing.json"
    write_routing(path, Routing("loan-default", 1, Arm(7, str(packages["binary"]))))
    server = start_server(routing=str(path), poll_seconds=0.05)
    stop, statuses, versions = threading.Event(), [], set()

    def ask():
        with httpx.Client(base_url=server.url, timeout=10) as client:
            while not stop.is_set():
                response = client.post("/predict", json=ROW)
                statuses.append(response.status_code)
                versions.add(response.json()["version"])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    [thread.start() for thread in threads]
    for version in range(8, 13):
        make_package(tmp_path / f"v{version}", version=version)
        write_routing(path, Routing("loan-default", version, Arm(version, f"v{version}")))
        eventually(lambda v=version: server.client.get("/health/ready").json()["champion"] == v)
        time.sleep(0.05)
    stop.set()
    [thread.join() for thread in threads]
    assert set(statuses) == {200}
    assert versions | {7} == {7, 8, 9, 10, 11, 12}


def test_a_package_that_fails_leaves_the_old_one_serving(packages, make_package, start_server, tmp_path):
    path = tmp_path / "routing.json"
    write_routing(path, Routing("loan-default", 1, Arm(7, str(packages["binary"]))))
    server = start_server(routing=str(path), poll_seconds=0.05)
    broken = make_package(tmp_path / "v8", version=8)
    (broken / "plan.json").write_text("{}")
    write_routing(path, Routing("loan-default", 2, Arm(8, "v8")))
    eventually(lambda: server.client.get("/health/ready").json()["routing_fault"])
    ready = server.client.get("/health/ready")
    assert (ready.status_code, ready.json()["champion"]) == (200, 7)
    assert "'plan.json'" in ready.json()["routing_fault"]
    assert server.client.post("/predict", json=ROW).json()["version"] == 7
    assert "everloop_load_failures_total 1" in server.client.get("/metrics").text
    path.write_text("{half")
    eventually(lambda: "cannot be read" in server.client.get("/health/ready").json()["routing_fault"])
    path.unlink()
    eventually(lambda: "no routing file" in server.client.get("/health/ready").json()["routing_fault"])
    assert server.client.post("/predict", json=ROW).json()["version"] == 7
    make_package(tmp_path / "v9", version=9)
    write_routing(path, Routing("loan-default", 3, Arm(9, "v9")))
    eventually(lambda: server.client.post("/predict", json=ROW).json()["version"] == 9)
    assert server.client.get("/health/ready").json()["routing_fault"] is None


def test_the_server_is_light(packages, start_server):
    server = start_server(package=str(packages["binary"]))
    server.client.post("/predict?explain=2", json=ROW)
    server.client.get("/docs")
    pid = server.process.pid
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    with open(f"/proc/{pid}/maps") as maps:  # noqa: PTH123
        libraries = maps.read()
    print(f"ready in {server.seconds:.2f} s, {resident / 1024:.0f} MiB")
    assert resident < 100 * 1024
    assert not [name for name in HEAVY - {"onnx"} if f"/{name}/" in libraries]


def test_the_server_s_modules(packages, tmp_path):
    import subprocess
    import sys

    code = f"""
import asyncio, sys
from everloop.runtime.server import ServerSettings, create_app
import uvicorn.server
app = create_app(ServerSettings(package={str(packages["binary"])!r}, log={str(tmp_path / "log")!r}))
async def main():
    app.start()
    sent = []
    async def receive(): return {{"type": "http.request", "body": b'{{"amount": 1.0}}'}}
    async def send(message): sent.append(message)
    for method, path in (("POST", "/predict"), ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/metrics")):
        await app({{"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}}, receive, send)
    assert [m["status"] for m in sent if "status" in m] == [200] * 4, sent
    app.stop()
asyncio.run(main())
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    assert not HEAVY & set(out.stdout.split())
