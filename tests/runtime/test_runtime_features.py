"""The server joins features of other sources by entity at decision time, and takes their events."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from everloop.core.errors import PackageRefused
from everloop.runtime.features import FEATURES_NAME, FeatureSet, FeatureWriter, open_store
from everloop.runtime.log import read_log
from everloop.runtime.manifest import read_manifest, write_manifest
from everloop.runtime.package import Package
from everloop.runtime.routing import Arm, Routing, write_routing
from everloop.spec import AsOfFeature, WindowFeature
from everloop.table.feature_joined import SourceEvents, define_joined

NOW = datetime(2013, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = 1_000_000
EVENTS = {"payments": SourceEvents("at", "at", ("id",)), "moves": SourceEvents("at", "at")}


def features_of(over="2h"):
    amount = {"from": "payments", "by": "customer", "over": over, "value": "sum(amount)"}
    region = {"from": "moves", "by": "customer", "latest": "region", "within": "3h"}
    return FeatureSet(
        (
            define_joined("amount", WindowFeature(**amount), {"amount": "number"}),
            define_joined("region", AsOfFeature(**region), {"region": "text"}),
        ),
        EVENTS,
    )


@pytest.fixture
def package_with(make_package, tmp_path):
    """Builds a package whose inputs are features, over so many hours."""

    def build(version, over="2h"):
        folder = make_package(tmp_path / f"v{version}", version=version, explain=False)
        (folder / FEATURES_NAME).write_bytes(features_of(over).to_json())
        inputs = tuple(
            msgspec.structs.replace(column, origin="joined")
            if column.name in ("amount", "region")
            else column
            for column in read_manifest(folder).inputs
        )
        write_manifest(folder, msgspec.structs.replace(read_manifest(folder), inputs=inputs, files={}))
        return folder

    return build


@pytest.fixture
def online(tmp_path):
    """A store with what two customers did."""
    address = f"lmdb:{tmp_path / 'online'}"
    payments = [
        {"id": number, "customer": "a", "amount": amount, "at": NOW - hours * HOUR}
        for number, (amount, hours) in enumerate([(1.0, 5), (10.0, 1.5), (100.0, 1), (1000.0, -1)])
    ]
    moves = [
        {"customer": "a", "region": "north", "at": NOW - 2 * HOUR},
        {"customer": "b", "region": "south", "at": NOW - 4 * HOUR},
    ]
    with open_store(address) as store:
        writer = FeatureWriter(features_of("9h"), store)
        now = int((NOW - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * SECOND
        writer.add("payments", payments, now=now)
        writer.add("moves", moves, now=now)
    return address


def asked(customer, **more):
    return {"customer": customer, "at": NOW.isoformat(), **more}


def logged(server):
    lines = read_log(server.log).predictions.to_dicts()
    return {(line["id"], line["arm"]): json.loads(line["row"]) for line in lines}


def test_what_a_request_leaves_out_is_joined_and_logged(package_with, online, start_server):
    folder = package_with(7)
    server = start_server(package=str(folder), online=online)
    rows = [
        asked("a"),
        asked("b"),
        asked("nobody"),
        asked(None),
        asked("a", amount=5.0),
        asked("a", region=None),
    ]
    answers = server.client.post("/predict", json={"rows": rows}).json()["predictions"]
    early = server.client.post("/predict", json=asked("a") | {"at": (NOW - HOUR).isoformat()}).json()
    assert server.stop() == (0, "")
    expected = [
        (110.0, "north"),
        (None, None),  # the move is older than it may be
        (None, None),
        (None, None),
        (5.0, "north"),
        (110.0, None),
        (110.0, "north"),
    ]
    package, rows_served = Package(folder), logged(server)
    for answer, (amount, region) in zip([*answers, early], expected, strict=True):
        served = rows_served[answer["id"], "champion"]
        assert (served["amount"], served["region"]) == (amount, region)
        assert answer["score"] == package.answer({"amount": amount, "region": region}).score


def test_events_are_taken_whole_or_not_at_all(package_with, online, start_server):
    server = start_server(package=str(package_with(7)), online=online, clock="events")
    event = {"id": 90, "customer": "a", "amount": 0.5, "at": (NOW - HOUR).isoformat()}
    push = server.client.post
    for _ in range(2):  # it has a key: pushed again it changes nothing
        assert push("/features/payments", json=event).json() == {"accepted": 1, "passed_over": 0}
    assert push(
        "/features/moves", json={"events": [{"customer": "c", "region": "south", "at": NOW.isoformat()}]}
    )
    flawed = push("/features/payments", json=[event | {"id": 91}, event | {"id": 92, "amount": "much"}])
    assert flawed.status_code == 422
    assert flawed.json()["errors"] == [
        {"field": "events[1].amount", "rule": "type", "expected": "a number", "type": "str"}
    ]
    assert push("/features/payments", json=[3]).json()["errors"][0]["field"] == "events[0]"
    unknown = push("/features/nobody", json=event)
    assert (unknown.status_code, "payments, moves" in unknown.json()["detail"]) == (404, True)
    ids = [push("/predict", json=asked(who)).json()["id"] for who in "ac"]
    metrics = server.client.get("/metrics").text
    paths = server.client.get("/openapi.json").json()["paths"]
    assert server.stop() == (0, "")
    rows = logged(server)
    assert rows[ids[0], "champion"]["amount"] == 110.5
    assert rows[ids[1], "champion"]["region"] == "south"
    assert 'everloop_events_total{source="payments"} 2' in metrics
    assert "post" in paths["/features/{source}"]


def test_a_shadow_gets_its_own_features(package_with, online, start_server, tmp_path):
    champion, shadow = package_with(7), package_with(8, over="9h")
    routing = tmp_path / "routing.json"
    arms = Arm(7, str(champion)), Arm(8, str(shadow), share=1.0, strategy="shadow")
    write_routing(routing, Routing("loan-default", 1, *arms))
    server = start_server(routing=str(routing), online=online)
    answer = server.client.post("/predict", json=asked("a", region="south")).json()
    assert server.stop() == (0, "")
    rows = logged(server)
    assert rows[answer["id"], "champion"]["amount"] == 110.0
    assert rows[answer["id"], "shadow"]["amount"] == 111.0
    assert rows[answer["id"], "shadow"]["region"] == "south"


def test_without_a_store_a_request_says_everything(package_with, start_server):
    folder = package_with(7)
    server = start_server(package=str(folder))
    silent = server.client.post("/predict", json=asked("a", amount=3.0))
    assert silent.status_code == 422
    assert [error["field"] for error in silent.json()["errors"]] == ["region"]
    answer = server.client.post("/predict", json=asked("a", amount=3.0, region="north")).json()
    assert answer["score"] == Package(folder).answer({"amount": 3.0, "region": "north"}).score


def test_a_store_that_does_not_answer_is_a_503(package_with, start_server, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "data.mdb").write_bytes(b"no database " * 1000)
    server = start_server(package=str(package_with(7)), online=f"lmdb:{tmp_path / 'broken'}")
    for path, body in (("/predict", asked("a")), ("/features/moves", {"customer": "a", "at": 1})):
        answer = server.client.post(path, json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert server.client.post("/predict", json=asked("a", amount=1.0, region="north")).status_code == 200


def test_features_of_a_newer_form_are_refused(package_with):
    folder = package_with(7)
    (folder / FEATURES_NAME).write_bytes(b'{"format": 99, "features": [], "sources": {}}')
    write_manifest(folder, msgspec.structs.replace(read_manifest(folder), files={}))
    with pytest.raises(PackageRefused, match="newer form"):
        _ = Package(folder).features
