"""What monitoring costs a server: its processor time for a request, beside itself unwatched.

Watched is the server as it ships: each answer with its row in the prediction log, everything counted, a 10
% canary told apart. Unwatched is the same program that makes no line of what it answered, logs and counts
nothing; the contract, the routing and the id are of the answer and in both. Both run on one core and answer
the same rows over one connection, in turns. What the kernel says that the process and all its threads have
used is compared, so the time that other programs take does not count, and what is put off is in it: the
log's thread has written and synced everything when a round ends. Where a process lies in memory moves its
speed by several in a hundred, so each is measured in several processes. The loop is a process of its own:
what it takes to read a line is told beside.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.figures import Figure, Options, Report
from benchmarks.serving_model import make_deployment, table
from benchmarks.serving_servers import OURS, UNWATCHED, Running, started
from benchmarks.timing import Timing, interleave
from everloop.runtime.log import LogLimits, LogReader

PROCESSES = 3
_SETTLED = 1.2 * LogLimits().sync_seconds
"""Seconds after which the log's thread has synced the last line."""

_SHARE = "processor time for a request that monitoring adds"


def run(options: Options) -> Report:
    """Asks both servers in turns, then reads what was logged as the loop does."""
    training, requests = (2_000, 1_000) if options.quick else (20_000, 5_000)
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        rows = table(training)
        rows.write_json(folder / "training.json")
        make_deployment(rows, folder)
        bodies = [json.dumps(row).encode() for row in rows.drop("y").head(500).to_dicts()]
        works: dict[str, Callable[[], float]] = {}
        for name, place in itertools.product((OURS, UNWATCHED), range(PROCESSES)):
            own = folder / str(place)
            own.mkdir(exist_ok=True)
            server = opened.enter_context(started(name, folder, install=False, own=own))
            if server is None:
                raise RuntimeError(f"{name} was not started")
            works[f"{name} {place}"] = _asked(server, bodies, requests)
        took = interleave(works, options.rounds)
        reading = _reading(folder / "0" / "log")
    watched, bare = (_together(took, name) for name in (OURS, UNWATCHED))
    shares = [one / other - 1 for one, other in zip(watched.rounds, bare.rounds, strict=True)]
    return Report(
        (
            Figure(
                "processor time of the server for a request",
                **watched.scaled(1e6),
                unit="us",
                beside=UNWATCHED,
                other=bare.median * 1e6,
            ),
            Figure(
                _SHARE,
                (watched.median / bare.median - 1) * 100,
                "%",
                low=min(shares) * 100,
                high=max(shares) * 100,
                goal="< 5",
            ),
            Figure("reading a line of the log, in the loop's process", reading * 1e6, "us"),
        )
    )


def _asked(server: Running, bodies: Sequence[bytes], requests: int) -> Callable[[], float]:
    """A round: rows asked one after the other; the processor seconds that the server used for each."""
    turns = itertools.cycle(bodies)

    def work() -> float:
        # A server lets go of a connection that rests while the others have their turn.
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        connection.connect()
        before = _processor_seconds(server.process.pid)
        for body in itertools.islice(turns, requests):
            connection.request("POST", server.form.path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{server.slug} answered {answer.status}")
        time.sleep(_SETTLED)
        used = _processor_seconds(server.process.pid) - before
        connection.close()
        return used / requests

    return work


def _together(took: dict[str, Timing], name: str) -> Timing:
    """Gives each round of a server as the mean of its processes."""
    rounds = zip(*(took[f"{name} {place}"].rounds for place in range(PROCESSES)), strict=True)
    return Timing(tuple(statistics.mean(of_round) for of_round in rounds))


def _processor_seconds(pid: int) -> float:
    """What the threads of a process have used since they started, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def _reading(log: Path) -> float:
    reader = LogReader(log)
    start = time.process_time()
    reader.read()
    return (time.process_time() - start) / max(1, reader.lines)
