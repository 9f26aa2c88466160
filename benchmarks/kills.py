"""Acknowledged predictions after `kill -9` at any moment, with `durability: fsync`, under load.

Clients ask without a pause and note the id of every answer that arrived whole. The server is killed after
a random time and started again on the same log. At the end every noted id must be in the log, once.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, Options, Report
from benchmarks.serving_model import make_deployment, table
from benchmarks.stressed_server import StressedServer

KILLS, QUICK_KILLS = 200, 5
CLIENTS = 16
LEAST_SECONDS, MOST_SECONDS = 0.02, 0.6
BUDGET_SECONDS = 280.0


def run(options: Options) -> Report:
    """Kills the server again and again and counts what is lost, doubled and torn."""
    from everloop.runtime.log import read_log

    wanted = QUICK_KILLS if options.quick else KILLS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = table(2_000)
        rows.write_json(folder / "training.json")
        make_deployment(rows, folder)
        bodies = [json.dumps(row) for row in rows.drop("y").head(200).to_dicts()]
        kills, kept = _killed_again_and_again(folder, bodies, wanted)
        found = read_log(folder / "log")
        counts = Counter(found.predictions["id"].to_list())
    lost = sum(counts[one] == 0 for one in kept)
    doubled = sum(count > 1 for count in counts.values())
    figures = (
        Figure("kills", kills, "", goal=f">= {wanted}"),
        Figure("acknowledged predictions", len(kept), ""),
        Figure("of them lost", lost, "", goal="<= 0"),
        Figure("lines doubled", doubled, "", goal="<= 0"),
    )
    return Report(figures, (f"lines in the log: {sum(counts.values()):,}; a torn end is cut at each start",))


def _killed_again_and_again(folder: Path, bodies: list[str], wanted: int) -> tuple[int, list[str]]:
    random = np.random.default_rng(0)
    clients = [Client(bodies[number::CLIENTS]) for number in range(CLIENTS)]
    server = StressedServer(folder, durability="fsync")
    kills, end = 0, time.perf_counter() + BUDGET_SECONDS
    try:
        while kills < wanted and time.perf_counter() < end:
            server.start()
            for client in clients:
                client.ask_at(server.port)
            time.sleep(random.uniform(LEAST_SECONDS, MOST_SECONDS))
            server.kill()
            kills += 1
    finally:
        for client in clients:
            client.stop()
        server.kill()
    with server:  # once more, so that a torn end is cut
        pass
    return kills, [one for client in clients for one in client.answered]


class Client:
    """Asks one server after another, in a thread of its own, and notes the ids that it was told."""

    def __init__(self, bodies: list[str]) -> None:
        self.answered: list[str] = []
        self._bodies = bodies
        self._port = 0
        self._ends = False
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def ask_at(self, port: int) -> None:
        """Asks the server at another port from now on."""
        self._port = port

    def stop(self) -> None:
        """Ends asking."""
        self._ends = True
        self._thread.join()

    def _live(self) -> None:
        while not self._ends:
            port = self._port
            if port:
                self._ask(port)
            time.sleep(0.005)

    def _ask(self, port: int) -> None:
        door = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        headers: dict[str, Any] = {"content-type": "application/json"}
        try:
            for body in self._bodies:
                if self._ends or port != self._port:
                    return
                door.request("POST", "/predict", body, headers)
                answer = door.getresponse()
                content = answer.read()
                if answer.status == 200:
                    self.answered.append(json.loads(content)["id"])
        except (OSError, http.client.HTTPException):
            return
        finally:
            door.close()
