"""What monitoring costs a server: its processor time for a request, beside itself unwatched.

Watched is the server as it ships: each answer with its row in the prediction log, everything counted, a 10
% canary told apart. Unwatched is the same process, told to make no line of what it answered, to log and to
count nothing; the contract, the routing and the id are of the answer and in both. It runs on one core and
answers the same rows over one connection, in rounds that follow each other as pairs. What the kernel says
that the process and all its threads have used is compared, so the time that other programs take does not
count, and what is put off is in it: the log's thread has written and synced everything when a round ends.
Where a process lies in memory moves its speed by several in a hundred, so pairs of several processes are
taken together. The loop is a process of its own: what it takes to read a line is told beside.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import signal
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.figures import Figure, Options, Report
from benchmarks.serving_model import make_deployment, table
from benchmarks.serving_servers import SWITCHED, Running, started
from benchmarks.timing import Timing
from everloop.runtime.log import LogLimits, read_log

PROCESSES = 3
_SETTLED = 1.2 * LogLimits().sync_seconds
"""Seconds after which the log's thread has synced the last line."""

_WARM = 300
"""Requests before a round counts: the interpreter forgets what it had learned of what is switched."""

_SHARE = "processor time for a request that monitoring adds"


def run(options: Options) -> Report:
    """Asks with and without, then reads what was logged as the loop does."""
    training, requests = (2_000, 1_000) if options.quick else (20_000, 5_000)
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        rows = table(training)
        rows.write_json(folder / "training.json")
        make_deployment(rows, folder)
        bodies = [json.dumps(row).encode() for row in rows.drop("y").head(500).to_dicts()]
        servers = [opened.enter_context(started(SWITCHED, folder, install=False)) for _ in range(PROCESSES)]
        pairs = [
            _pair(server, bodies, requests, watched_first=turn % 2 == 0)
            for turn in range(options.rounds)
            for server in servers
            if server is not None
        ]
        reading = _reading(next(folder.glob("switched-*/")))
    watched, bare = (Timing(tuple(side)) for side in zip(*pairs, strict=True))
    shares = [one / other - 1 for one, other in pairs]
    low, share, high = (statistics.quantiles(shares, n=4)[place] * 100 for place in range(3))
    return Report(
        (
            Figure(
                "processor time of the server for a request",
                **watched.scaled(1e6),
                unit="us",
                beside="unwatched",
                other=bare.median * 1e6,
            ),
            Figure(_SHARE, share, "%", low=low, high=high, goal="< 5"),
            Figure("reading a line of the log, in the loop's process", reading * 1e6, "us"),
        ),
        (f"the share is the median of {len(pairs)} pairs of rounds, between their quartiles",),
    )


def _pair(
    server: Running, bodies: Sequence[bytes], requests: int, *, watched_first: bool
) -> tuple[float, float]:
    """The processor seconds for a request, watched and unwatched, measured one right after the other."""
    took = {
        watched: _asked(server, bodies, requests, watched) for watched in (watched_first, not watched_first)
    }
    return took[True], took[False]


def _asked(server: Running, bodies: Sequence[bytes], requests: int, watched: bool) -> float:
    """A round: rows asked one after the other; the processor seconds that the server used for each."""
    server.process.send_signal(signal.SIGUSR2 if watched else signal.SIGUSR1)
    turns = itertools.cycle(bodies)
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.connect()
    _ask(server, connection, itertools.islice(turns, _WARM))
    time.sleep(_SETTLED)
    before = _processor_seconds(server.process.pid)
    _ask(server, connection, itertools.islice(turns, requests))
    time.sleep(_SETTLED)
    used = _processor_seconds(server.process.pid) - before
    connection.close()
    return used / requests


def _ask(server: Running, connection: http.client.HTTPConnection, bodies: Iterable[bytes]) -> None:
    for body in bodies:
        connection.request("POST", server.form.path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{server.slug} answered {answer.status}")


def _processor_seconds(pid: int) -> float:
    """What the threads of a process have used since they started, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def _reading(log: Path) -> float:
    start = time.process_time()
    lines = sum(table.height for table in read_log(log).tables)
    return (time.process_time() - start) / max(1, lines)
