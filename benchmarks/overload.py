"""Five times the load that a server can carry, for two minutes: who is let in waits little, others hear 503.

A request has many rows, so that one Python process can ask five times as often as the server can answer.
The load is an open loop: requests come at their rate whether answers come or not, and the time of one
counts from when it was due.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, Options, Report
from benchmarks.open_loop import Answers, OpenLoop
from benchmarks.serving_model import make_deployment, table
from benchmarks.stressed_server import StressedServer

ROWS = 100
CLIENTS = 4
TIMES = 5
SECONDS, QUICK_SECONDS = 120.0, 4.0


def run(options: Options) -> Report:
    """Measures an idle server, how much it can carry, and five times that."""
    seconds = QUICK_SECONDS if options.quick else SECONDS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = table(2_000)
        rows.write_json(folder / "training.json")
        make_deployment(rows, folder)
        body = json.dumps({"rows": rows.drop("y").head(ROWS).to_dicts()}).encode()
        with StressedServer(folder) as server:
            asyncio.run(OpenLoop(server.port, body).ask_in_turns(CLIENTS, 2.0))  # warm
            carried = asyncio.run(OpenLoop(server.port, body).ask_in_turns(CLIENTS, seconds / 12))
            capacity = carried.statuses[200] / (seconds / 12)
            idle = asyncio.run(OpenLoop(server.port, body).ask(capacity / 5, seconds / 6))
            watch = Watch(server)
            loaded = asyncio.run(OpenLoop(server.port, body).ask(TIMES * capacity, seconds))
            growth = watch.end()
            alive = server.runs
    return Report(tuple(_figures(capacity, idle, loaded, growth)), _notes(loaded, alive=alive))


def _figures(capacity: float, idle: Answers, loaded: Answers, growth: float) -> list[Figure]:
    usual, late = _p99(idle), _p99(loaded)
    asked = sum(loaded.statuses.values())
    other = sum(count for status, count in loaded.statuses.items() if status not in (200, 503, -1))
    return [
        Figure(f"requests of {ROWS} rows that are carried", capacity, "/s"),
        Figure("p99 at a fifth of that", usual, "ms"),
        Figure(f"p99 of accepted requests at {TIMES} times", late, "ms", beside="at a fifth", other=usual),
        Figure("that p99, times the unloaded one", late / usual, "", goal="< 5"),
        Figure("accepted", 100 * loaded.statuses[200] / asked, "%"),
        Figure("answered 503", 100 * loaded.statuses[503] / asked, "%"),
        Figure("neither accepted nor 503", other, "", goal="<= 0"),
        Figure("growth of memory after the first tenth", growth, "MB", goal="< 10"),
    ]


def _notes(loaded: Answers, *, alive: bool) -> tuple[str, ...]:
    counts = ", ".join(f"{status}: {count:,}" for status, count in sorted(loaded.statuses.items()))
    return (f"statuses under overload: {counts}", *(() if alive else ("the server ended",)))


def _p99(answers: Answers) -> float:
    return float(np.quantile(answers.seconds, 0.99)) * 1000 if answers.seconds else float("nan")


class Watch:
    """Looks at a server's memory from now on, in a thread of its own."""

    def __init__(self, server: StressedServer) -> None:
        self._server = server
        self._seen: list[int] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def end(self) -> float:
        """Gives by how many MB it grew after the first tenth of the time."""
        self._ends.set()
        self._thread.join()
        tenth = max(1, len(self._seen) // 10)
        return (max(self._seen[tenth:] or self._seen) - max(self._seen[:tenth])) / 1e6

    def _live(self) -> None:
        while not self._ends.is_set():
            self._seen.append(self._server.bytes_now())
            time.sleep(0.2)
