"""Plain predictions, answered without a task: the same answers, lines and numbers as by the ordinary way."""

import asyncio
import http.client
import json
import random
import signal
import socket
import threading
import time
from itertools import pairwise
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from everloop.runtime.log import read_log
from everloop.runtime.package import Package
from everloop.runtime.routing import Arm, Routing, choose_arm, write_routing
from everloop.runtime.server import ServerLimits, ServerSettings
from everloop.runtime.server.app import create_app
from everloop.runtime.server.at_once import LONGEST_HEAD, MOST_HEADS, protocol_of
from everloop.runtime.service.together import MOST_TOGETHER, Together

ROW = {"amount": 12.0, "region": "north", "customer": "c1"}


def raw(server, *parts, pause=0.0):
    """Sends bytes as they are and gives everything that comes back until the server closes."""
    url = urlsplit(server.url)
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def request(body, *fields, method="POST", path="/predict", version="1.1"):
    head = [f"{method} {path} HTTP/{version}", "host: x", f"content-length: {len(body)}", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def test_both_ways_answer_the_same(packages, start_server):
    server = start_server(package=str(packages["binary"]))
    rows = [ROW, {}, {"amount": None, "region": "south"}, {"amount": 3, "more": [1]}, {"amount": -7e5}]
    at_once = [server.client.post("/predict", json=row).json() for row in rows]
    ordinary = [server.client.post("/predict", json={"row": row}).json() for row in rows]
    package = Package(packages["binary"])
    for row, first, second in zip(rows, at_once, ordinary, strict=True):
        assert first["id"] != second["id"]
        assert first.keys() == second.keys()
        answer = package.answer(row)
        for one in (first, second):
            assert (one["prediction"], one["score"], one["version"]) == (answer.prediction, answer.score, 7)
    text = server.client.get("/metrics").text
    assert 'everloop_requests_total{route="/predict",method="POST",status="200"} 10' in text
    assert 'everloop_predictions_total{version="7",arm="champion"} 10' in text
    assert server.stop() == (0, "")
    lines = read_log(server.log).predictions
    assert lines["id"].to_list() == [one["id"] for one in [*at_once, *ordinary]]
    assert lines["row"].to_list()[: len(rows)] == lines["row"].to_list()[len(rows) :]


def test_both_ways_give_the_same_reasons(packages, make_package, start_server, tmp_path):
    server = start_server(package=str(packages["binary"]))
    rows = [ROW, {}, {"amount": None, "region": "south"}, {"amount": 3, "more": [1]}, {"amount": -7e5}]
    for most in (0, 1, 2):
        at_once = [server.client.post(f"/predict?explain={most}", json=row).json() for row in rows]
        ordinary = [server.client.post(f"/predict?explain={most}", json={"row": row}).json() for row in rows]
        reasons = [one.get("reasons") for one in at_once]
        assert reasons == [one.get("reasons") for one in ordinary]
        assert reasons == [None] * len(rows) or max(map(len, reasons)) == most
        again = [server.client.post(f"/predict?explain={most}", json=row).json() for row in rows]
        assert reasons == [one.get("reasons") for one in again], "a head that is known"
    for query in (
        "explain",
        "explain=",
        "explain=101",
        "explain=-1",
        "explain=%31x",
        "explain=%31",
        "more=1",
    ):
        status = 200 if query in ("explain=%31", "more=1") else 400
        assert server.client.post(f"/predict?{query}", json=ROW).status_code == status, query
    without = start_server(package=str(make_package(tmp_path / "p", explain=False)), worker="b")
    assert without.client.post("/predict?explain=1", json=ROW).status_code == 422
    assert without.client.post("/predict?explain=0", json=ROW).status_code == 200
    server.stop()
    assert read_log(server.log).predictions.height == 9 * len(rows) + 3


def test_what_http_allows(packages, start_server):
    server = start_server(package=str(packages["binary"]))
    body = json.dumps(ROW).encode()
    whole = request(body, "content-type: application/json", "connection: close")
    assert raw(server, whole).startswith(b"HTTP/1.1 200 OK\r\n")
    for cut in (5, len(whole) - len(body), len(whole) - 3):  # the body comes later: the ordinary way
        assert raw(server, whole[:cut], whole[cut:], pause=0.05).startswith(b"HTTP/1.1 200 OK\r\n")
    old = raw(server, request(body, version="1.0"))
    assert old.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close" in old
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    assert raw(server, head + chunked).startswith(b"HTTP/1.1 200 OK\r\n")
    expecting = request(body, "expect: 100-continue", "connection: close")
    assert b"HTTP/1.1 200 OK\r\n" in raw(server, expecting)
    strange = request(body, "content-type: text/plain", "connection: close")
    assert raw(server, strange).startswith(b"HTTP/1.1 415 ")
    assert raw(server, request(b"{", "connection: close")).startswith(b"HTTP/1.1 400 ")
    broken = request(b'{"amount": "much"}', "connection: close")
    assert raw(server, broken).startswith(b"HTTP/1.1 422 ")


def test_pipelined_requests_are_answered_in_order(packages, start_server):
    server = start_server(package=str(packages["binary"]))
    bodies = [json.dumps({"amount": float(number)}).encode() for number in range(6)]
    bodies.insert(2, b'{"rows": [{"amount": 50.0}]}')
    parts = [request(body) for body in bodies] + [
        request(b"", "connection: close", method="GET", path="/ping")
    ]
    answer = raw(server, b"".join(parts))
    scores = [float(piece.split(b",")[0].rstrip(b"}]")) for piece in answer.split(b'"score":')[1:]]
    amounts = [0.0, 1.0, 50.0, 2.0, 3.0, 4.0, 5.0]
    package = Package(packages["binary"])
    assert scores == [package.answer({"amount": amount}).score for amount in amounts]


class Wire(asyncio.Transport):
    """What a connection writes to."""

    def __init__(self):
        super().__init__()
        self.sent, self.closed = b"", False

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


@pytest.fixture(scope="module")
def application(packages, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "log"
    app = create_app(ServerSettings(package=str(packages["binary"]), log=str(log)))
    app.start()
    yield app
    app.stop()


def talk(application, *pieces, known=()):
    """Gives what a new connection answers to pieces of data, behind another one that got some first."""
    config = uvicorn.Config(application, ws="none", lifespan="off", interface="asgi3", log_level="critical")
    config.load()
    kind = protocol_of(application)

    async def connection(data):
        wire, one = Wire(), kind(config, ServerState(), {})
        one.connection_made(wire)
        for piece in data:
            if wire.closed:
                break
            one.data_received(piece)
            for _ in range(20):
                await asyncio.sleep(0)
        one.connection_lost(None)
        return wire.sent

    async def both():
        await connection(known)
        return await connection(pieces)

    return asyncio.run(both()), kind.heads


def told(sent):
    """Gives the statuses and scores of answers, in order."""
    statuses = [int(part[:3]) for part in sent.split(b"HTTP/1.1 ")[1:]]
    return statuses, [float(part.split(b",")[0]) for part in sent.split(b'"score":')[1:]]


def test_a_known_head_is_answered_as_one_that_is_read(application):
    bodies = [b'{"amount": %d.5}' % number for number in range(10, 15)]
    requests = [request(body) for body in bodies]
    package = application.lifecycles.sole.routing.champion.package
    expected = [package.answer(json.loads(body)).score for body in bodies]
    sent, heads = talk(application, *requests)
    assert told(sent) == ([200] * 5, expected)
    assert list(heads) == [requests[0][: -len(bodies[0])]]
    assert [length for _, length in heads.values()] == [len(bodies[0])]


@pytest.mark.parametrize(
    "strange",
    [
        request(b'{"amount": "x"}'),  # of the known length: no plain row
        request(b'{"amount": 1.0, "more": 2}'),
        request(b'{"amount": 1.5}', "connection: close"),
        request(b'{"amount": 1.5}', "expect: 100-continue"),
        request(b"5" * 15, "content-type: text/plain"),
        request(b'{"amount": 1.5}', method="PUT"),
        b'POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nf\r\n{"amount": 1.5}\r\n0\r\n\r\n',
        b"\r\n" + request(b'{"amount": 1.5}'),
        b"nonsense\r\n\r\n",
    ],
)
def test_what_stands_between_known_heads_changes_nothing(application, strange):
    plain = request(b'{"amount": 2.5}')
    pieces = [plain, strange, plain]
    remembered, _ = talk(application, *pieces, known=[plain, strange, plain])
    read, _ = talk(application, *[b"\r\n" + piece for piece in pieces])  # no head is known that begins so
    assert told(remembered) == told(read)


@given(cuts=st.lists(st.integers(0, 400), max_size=4), order=st.permutations(range(4)))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_data_may_be_cut_anywhere(application, cuts, order):
    plain = request(b'{"amount": 2.5}')
    hidden = request(plain, "content-type: text/plain")  # a known head within a body is none
    begun = plain[:24] + b"x-part: 1\r\n" + plain[plain.index(b"host") :]
    kinds = [plain, hidden, plain, begun]
    data = b"".join(kinds[place] for place in order)
    ends = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    pieces = [data[first:last] for first, last in pairwise(ends)]
    remembered, _ = talk(application, *pieces, known=[plain, plain])
    read, _ = talk(application, data)
    assert told(remembered) == told(read)


def test_a_known_head_is_none_where_something_is_under_way(application):
    plain = request(b'{"amount": 2.5}')
    hidden = request(plain, "content-type: text/plain")
    cut = len(hidden) - len(plain)
    assert told(talk(application, hidden[:cut], plain, known=[plain])[0]) == ([415], [])
    broken = b"POST /predict HTTP/1.1\r\nx-part: "
    assert told(talk(application, broken, plain, known=[plain])[0])[0] == [200]


def test_heads_that_are_never_the_same_are_let_go_of(application):
    requests = [request(b'{"amount": 2.5}', f"trace: {number}") for number in range(MOST_HEADS + 10)]
    sent, heads = talk(application, *requests)
    assert told(sent)[0] == [200] * len(requests)
    assert len(heads) == 10
    several = request(b'{"rows": [{"amount": 2.5}]}')
    assert not talk(application, several, several)[1]
    long = request(b'{"amount": 2.5}', f"trace: {'x' * LONGEST_HEAD}")
    assert not talk(application, long)[1]


def test_many_at_the_same_time_each_get_their_own(packages, make_package, start_server, tmp_path):
    make_package(tmp_path / "v8", version=8, shift=0.5)
    routing = Routing("loan-default", 1, Arm(7, str(packages["binary"])), Arm(8, "v8", 0.3, "canary", "salt"))
    write_routing(tmp_path / "routing.json", routing)
    server = start_server(routing=str(tmp_path / "routing.json"))
    by_version = {7: Package(packages["binary"]), 8: Package(tmp_path / "v8")}
    wrong = []

    def ask(who):
        url = urlsplit(server.url)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
        for turn in range(40):
            row = {"amount": float(who * 100 + turn), "region": "north", "customer": f"c{who}-{turn}"}
            connection.request("POST", "/predict", json.dumps(row), {"content-type": "application/json"})
            found = json.loads(connection.getresponse().read())
            arm = choose_arm(routing, row["customer"])
            expected = by_version[8 if arm == "challenger" else 7].answer(row)
            if (found["score"], found["version"]) != (expected.score, 8 if arm == "challenger" else 7):
                wrong.append((row, found))
        connection.close()

    threads = [threading.Thread(target=ask, args=(who,)) for who in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert server.stop() == (0, "")
    assert read_log(server.log).predictions["id"].n_unique() == 12 * 40


class Slow:
    """A package that says how many rows it was asked for at once."""

    def __init__(self, package, fail=False):
        self.package, self.fail, self.sizes = package, fail, []

    def answers(self, rows):
        self.sizes.append(len(rows))
        if self.fail and len(self.sizes) > 10:
            raise RuntimeError("broken")
        return self.package.answers(rows)


@pytest.mark.parametrize("count", [1, 2, 7, MOST_TOGETHER, 2 * MOST_TOGETHER + 3])
def test_what_waits_in_one_turn_is_answered_at_once(packages, count):
    package = Slow(Package(packages["binary"]))
    together = Together(package.answers)
    together.pays = True
    package.sizes.clear()
    rows = [{"amount": float(number)} for number in range(count)]

    async def ask():
        return await asyncio.gather(*(together.answer(row) for row in rows))

    assert asyncio.run(ask()) == package.package.answers(rows)
    assert sum(package.sizes) == count
    assert max(package.sizes) <= MOST_TOGETHER
    assert len(package.sizes) == -(-count // MOST_TOGETHER)


def test_a_version_is_warm_before_it_is_asked(packages):
    package = Slow(Package(packages["binary"]))
    Together(package.answers)
    assert package.sizes[:2] == [1, 8], "its graph has run, on one row and on several"


def test_whoever_comes_alone_does_not_wait_for_company(packages):
    package = Slow(Package(packages["binary"]))
    together = Together(package.answers)
    together.pays = True

    async def ask():
        for number in range(60):
            await together.answer({"amount": float(number)})

    asyncio.run(ask())
    assert set(package.sizes[10:]) == {1}
    told = []
    together.ask({}, told.append)
    assert told  # at once, without an event loop


def test_a_failure_reaches_everyone_who_waits(packages):
    together = Together(Slow(Package(packages["binary"]), fail=True).answers)
    together.pays = True

    async def ask():
        return await asyncio.gather(*(together.answer({}) for _ in range(3)), return_exceptions=True)

    assert [type(found) for found in asyncio.run(ask())] == [RuntimeError] * 3


def test_what_arrives_beyond_the_limit_is_shed(packages, start_server):
    server = start_server(package=str(packages["binary"]), limits=ServerLimits(concurrent=4))
    url = urlsplit(server.url)
    clients = [socket.create_connection((url.hostname, url.port), timeout=30) for _ in range(40)]
    assert server.client.post("/predict", json=ROW).status_code == 200
    server.process.send_signal(signal.SIGSTOP)  # so that all of them wait when it looks again
    for client in clients:
        client.sendall(request(json.dumps(ROW).encode(), "connection: close"))
    server.process.send_signal(signal.SIGCONT)
    answers = []
    for client in clients:
        with client, client.makefile("rb") as file:
            answers.append(file.read())
    shed = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503 ")]
    assert all(b"retry-after: 1\r\n" in answer for answer in shed)
    served = [answer for answer in answers if answer.startswith(b"HTTP/1.1 200 OK")]
    assert len(shed) + len(served) == 40
    assert len(shed) > 20
    assert len(served) >= 4
    assert server.client.post("/predict", json=ROW).status_code == 200
    assert f'everloop_shed_total{{reason="overload"}} {len(shed)}' in server.client.get("/metrics").text


@pytest.mark.slow
def test_kill_nine_loses_no_acknowledged_prediction(packages, run_server, tmp_path):
    told, stop = [], threading.Event()
    where = {}

    def ask(who):
        turn = 0
        while not stop.is_set():
            turn += 1
            identity = f"{who}-{turn}"
            try:
                answer = httpx.post(f"{where['url']}/predict", json={"row": ROW, "id": identity}, timeout=20)
            except (httpx.HTTPError, KeyError):
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                told.append(identity)

    clients = [threading.Thread(target=ask, args=(who,)) for who in range(4)]
    for client in clients:
        client.start()
    chance = random.Random(0)
    for _ in range(4):
        server = run_server(
            tmp_path,
            ServerSettings(
                package=str(packages["binary"]), log=str(tmp_path / "log"), port=0, durability="fsync"
            ),
        )
        where["url"], before = server.url, len(told)
        end = time.perf_counter() + 30
        while len(told) < before + 5 and time.perf_counter() < end:
            time.sleep(0.01)
        time.sleep(chance.random() / 5)
        server.process.kill()
        server.process.communicate(timeout=20)
        server.client.close()
    stop.set()
    for client in clients:
        client.join()
    kept = read_log(tmp_path / "log").predictions["id"].to_list()
    assert len(told) >= 20
    assert set(told) <= set(kept)
    assert len(kept) == len(set(kept))
