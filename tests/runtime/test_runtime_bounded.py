"""The bounds of a connection: what comes before a body, or never comes, holds nothing for ever."""

import contextlib
import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from everloop.runtime.server import ServerLimits, ServerSettings

ROW = {"amount": 12.0, "region": "north", "customer": "c1"}
BODY = json.dumps(ROW).encode()
WHOLE = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
MOST = 64 * 2**10
SECONDS = 0.4


@pytest.fixture(scope="module")
def hasty(packages, tmp_path_factory, run_server):
    """A server that waits for little time."""
    folder = tmp_path_factory.mktemp("hasty")
    told = ServerSettings(
        package=str(packages["binary"]),
        log=str(folder / "log"),
        port=0,
        limits=ServerLimits(body_seconds=SECONDS),
    )
    server = run_server(folder, told)
    yield server
    assert server.stop() == (0, "")


def connected(server):
    url = urlsplit(server.url)
    return socket.create_connection((url.hostname, url.port), timeout=10)


def rest(wire):
    """Gives everything that comes until the server closes."""
    answer = b""
    try:
        while piece := wire.recv(65536):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


def sent(server, *parts):
    with connected(server) as wire:
        for part in parts:
            wire.sendall(part)
            time.sleep(0.02)
        return rest(wire)


def with_head(size, end=b"\r\n\r\n"):
    head = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-long: "
    return head + b"a" * (size - len(head)) + end


@pytest.mark.parametrize(
    "request_bytes",
    [
        [with_head(MOST + 100)],
        [with_head(MOST + 100, end=b"")],
        [with_head(MOST // 2, end=b""), b"a" * MOST],
        [b"GET /" + b"a" * (MOST + 10)],
        [b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000],
        [WHOLE, WHOLE + with_head(MOST + 100, end=b""), b"a" * MOST],
    ],
    ids=["whole", "without end", "in pieces", "path", "many fields", "after others"],
)
def test_a_head_that_is_too_long_is_answered_431(shared_server, request_bytes):
    answer = sent(shared_server, *request_bytes)
    assert b"HTTP/1.1 431 " in answer
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["status"] == 431
    text = shared_server.client.get("/metrics").text
    assert 'everloop_requests_total{route="(none)",method="(other)",status="431"}' in text


def test_a_head_within_the_bound_is_answered(shared_server):
    assert sent(shared_server, with_head(MOST - 100)).startswith(b"HTTP/1.1 200 ")
    assert sent(shared_server, with_head(MOST // 2, b""), b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_fields_behind_a_body_are_bounded_too(shared_server):
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-long: "
    with connected(shared_server) as wire:
        wire.sendall(head)
        time.sleep(0.02)
        wire.sendall(b"a" * (MOST + 10))
        wire.settimeout(2)
        rest(wire)  # closed; nothing is answered that could be taken for an answer to the row


@pytest.mark.parametrize(
    ("parts", "answer"),
    [
        ([], b""),
        ([b"\r\n"], b""),
        ([b"POST /pre"], b" 408 "),
        ([b"POST /predict HTTP/1.1\r\nhost: x\r\n"], b" 408 "),
        ([WHOLE, b"POST /pre"], b" 408 "),
        ([WHOLE, WHOLE, b"P"], b" 408 "),
        ([b"GET /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"], b" 404 "),
    ],
    ids=["nothing", "a line's end", "half a line", "half a head", "after one", "after two", "no body"],
)
def test_a_connection_that_keeps_silent_is_ended(hasty, parts, answer):
    with connected(hasty) as wire:
        for part in parts:
            wire.sendall(part)
            time.sleep(0.02)
        began = time.perf_counter()
        told = rest(wire)
        assert time.perf_counter() - began < SECONDS + 1.5
    assert answer in told
    assert told.count(b"HTTP/1.1 200 ") == parts.count(WHOLE)
    assert bool(told) == bool(answer)


def test_a_head_that_drips_is_ended_all_the_same(hasty):
    with connected(hasty) as wire:
        began = time.perf_counter()
        wire.settimeout(0.05)
        wire.sendall(b"GET /")
        told = b""
        while not told and time.perf_counter() - began < SECONDS + 1.5:
            wire.sendall(b"a")
            with contextlib.suppress(TimeoutError):
                told = wire.recv(1000)
        assert b" 408 " in told
        assert time.perf_counter() - began > SECONDS / 2


def test_a_connection_that_asks_now_and_then_stays(hasty):
    with connected(hasty) as wire:
        for _ in range(3):
            wire.sendall(WHOLE)
            assert wire.recv(65536).startswith(b"HTTP/1.1 200 ")
            time.sleep(SECONDS * 0.6)
