"""What monitoring costs a server: its processor time for a request, beside itself unwatched.

Watched is the server as it ships: each answer with its row in the prediction log, everything counted, a 10
% canary told apart. Unwatched is the same process, told to make no line of what it answered, to log and to
count nothing; the contract, the routing and the id are of the answer and in both. It runs on one core and
answers the same rows, over one connection, where it sleeps between two requests, and over several at once,
where one follows the other. What the kernel says that its threads have used is compared, so the time that
other programs take does not count. What is put off is in it: all that the log's thread used for the lines of
a round, until they were written and synced. A processor's speed and its caches move by several in a hundred
within seconds, so rounds are short and follow each other as pairs, each in the other order than the last;
where a process lies in memory moves it too, so pairs of several processes are taken together. The loop is a
process of its own: what it takes to read a line is told beside.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.figures import Figure, Options, Report
from benchmarks.serving_model import make_deployment, table
from benchmarks.serving_servers import SWITCHED, Running, started
from benchmarks.timing import Timing
from everloop.measure.intervals import bootstrap_interval
from everloop.runtime.log import LogLimits, read_log

PROCESSES = 3
PAIRS = 14
"""Pairs of rounds of each process and way of asking, for each round that is asked for."""
CONNECTIONS = {"one connection": 1, "16 connections": 16}

_SETTLED = 1.2 * LogLimits().sync_seconds
"""Seconds after which the log's thread has synced the last line."""

_WARM = 300
"""Requests before a round counts: the interpreter forgets what it had learned of what is switched."""


@dataclass(frozen=True)
class Round:
    """What a request took of the server in a round.

    Attributes:
        answering: Processor seconds of the thread that answers.
        passed: Seconds between two requests.
    """

    answering: float
    passed: float


@dataclass(frozen=True)
class Block:
    """Pairs of rounds, one right after the other, and what the other threads used for those watched.

    Attributes:
        pairs: A watched round and one unwatched.
        behind: Processor seconds of all threads but the one that answers, for each line, until what was
            asked is on disk.
    """

    pairs: tuple[tuple[Round, Round], ...]
    behind: float


def run(options: Options) -> Report:
    """Asks with and without, then reads what was logged as the loop does."""
    training, requests = (2_000, 100) if options.quick else (20_000, 500)
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        rows = table(training)
        rows.write_json(folder / "training.json")
        make_deployment(rows, folder)
        bodies = [json.dumps(row).encode() for row in rows.drop("y").head(500).to_dicts()]
        servers = [opened.enter_context(started(SWITCHED, folder, install=False)) for _ in range(PROCESSES)]
        blocks: dict[str, list[Block]] = {way: [] for way in CONNECTIONS}
        for _ in range(options.rounds):
            for server, (way, count) in itertools.product(servers, CONNECTIONS.items()):
                if server is not None:
                    blocks[way].append(_block(server, bodies, requests, count))
        reading = _reading(next(folder.glob("switched-*/")))
    return Report(
        (
            *(one for way, of_way in blocks.items() for one in _figures(way, of_way)),
            Figure("reading a line of the log, in the loop's process", reading * 1e6, "us"),
        ),
        (f"shares are medians of {options.rounds * PAIRS * PROCESSES} pairs, within their 95 % intervals",),
    )


def _figures(way: str, blocks: Sequence[Block]) -> Iterator[Figure]:
    pairs = [
        (one.answering + block.behind, other.answering) for block in blocks for one, other in block.pairs
    ]
    watched, bare = (Timing(side) for side in zip(*pairs, strict=True))
    shares = np.array([one / other - 1 for one, other in pairs]) * 100
    share = bootstrap_interval(lambda drawn: float(np.median(drawn)), shares, seed=0)
    yield Figure(
        f"{way}: processor time of the server for a request",
        **watched.scaled(1e6),
        unit="us",
        beside="unwatched",
        other=bare.median * 1e6,
    )
    yield Figure(
        f"{way}: of it monitoring adds", share.estimate, "%", low=share.low, high=share.high, goal="< 5"
    )
    behind = statistics.median(block.behind for block in blocks)
    yield Figure(f"{way}: of it the log's thread", behind * 1e6, "us")
    passed = zip(*(pair for block in blocks for pair in block.pairs), strict=True)
    rates = [statistics.median(1 / one.passed for one in side) for side in passed]
    yield Figure(f"{way}: answered", rates[0], "requests/s", beside="unwatched", other=rates[1])


def _block(server: Running, bodies: Sequence[bytes], requests: int, count: int) -> Block:
    """Pairs of rounds, each in the other order than the last, until all is on disk."""
    asked = partial(
        _asked, server, itertools.cycle(_request(server, body) for body in bodies), requests, count
    )
    _, others = _processor_seconds(server.process.pid)
    pairs = tuple(_pair(asked, watched_first=number % 2 == 0) for number in range(PAIRS))
    time.sleep(_SETTLED)
    _, all_others = _processor_seconds(server.process.pid)
    return Block(pairs, (all_others - others) / ((_WARM + requests) * PAIRS))


def _pair(asked: Callable[[bool], Round], *, watched_first: bool) -> tuple[Round, Round]:
    """Gives a watched and an unwatched round, measured one right after the other."""
    took = {watched: asked(watched) for watched in (watched_first, not watched_first)}
    return took[True], took[False]


def _asked(server: Running, turns: Iterator[bytes], requests: int, count: int, watched: bool) -> Round:
    """A round: as many rows at once as there are connections. An unwatched one leaves nothing behind."""
    server.process.send_signal(signal.SIGUSR2 if watched else signal.SIGUSR1)
    with contextlib.ExitStack() as opened:
        place = urlsplit(server.url)
        connections = [
            opened.enter_context(socket.create_connection((place.hostname, place.port), timeout=30))
            for _ in range(count)
        ]
        _ask(server, connections, itertools.islice(turns, _WARM))
        begun, _ = _processor_seconds(server.process.pid)
        start = time.perf_counter()
        _ask(server, connections, itertools.islice(turns, requests))
        passed = time.perf_counter() - start
        ended, _ = _processor_seconds(server.process.pid)
    return Round((ended - begun) / requests, passed / requests)


def _request(server: Running, body: bytes) -> bytes:
    head = f"POST {server.form.path} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\n"
    fields = f"Accept-Encoding: identity\r\nContent-Length: {len(body)}\r\ncontent-type: application/json"
    return f"{head}{fields}\r\n\r\n".encode() + body


def _ask(server: Running, connections: Sequence[socket.socket], requests: Iterator[bytes]) -> None:
    while together := list(itertools.islice(requests, len(connections))):
        for connection, request in zip(connections, together, strict=False):
            connection.sendall(request)
        for connection, _ in zip(connections, together, strict=False):
            answer = http.client.HTTPResponse(connection, method="POST")
            answer.begin()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{server.slug} answered {answer.status}")


def _processor_seconds(pid: int) -> tuple[float, float]:
    """What the first thread of a process and all its others have used since they started."""
    used = {
        thread.name: int((thread / "schedstat").read_text().split()[0])
        for thread in Path(f"/proc/{pid}/task").iterdir()
    }
    first = used.pop(str(pid))
    return first / 1e9, sum(used.values()) / 1e9


def _reading(log: Path) -> float:
    start = time.process_time()
    lines = sum(table.height for table in read_log(log).tables)
    return (time.process_time() - start) / max(1, lines)
