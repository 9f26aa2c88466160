"""Reason codes where answers are given: one row over HTTP with its five strongest reasons, and without.

The model is an ensemble, 20 inputs wide, by `everloop serve`; one connection that stays open. Reasons are
asked of the compiled graph, so a row with reasons is a batch of 21 rows. Before anything is measured the
reasons of some rows are held against their definition: the change of the score when one input is replaced.

Then the serving benchmark's model (20 inputs, 200 trees, a canary of 10 %) under load: every request asks for
the three strongest reasons, over one connection and over sixteen that ask again as soon as they are answered.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, Options, Report
from benchmarks.serving_model import make_deployment, table
from benchmarks.serving_servers import OURS, started
from benchmarks.timing import interleave
from benchmarks.wrk_load import ABSENT, is_installed, load, write_script
from everloop.model import search
from everloop.runtime import Package
from everloop.testing.server_process import ServerProcess, free_port

LIMIT_MS = 5.0
MOST = 5
MOST_LOADED = 3
LOADED = {"reasons": f"/predict?explain={MOST_LOADED}", "plain": "/predict"}
CONNECTIONS = (1, 16)
PATHS = {"without reasons": "/predict", "with reasons": f"/predict?explain={MOST}"}
LEARNERS = ("linear", "lightgbm", "xgboost", "random_forest")
HELD = 20


def run(options: Options) -> Report:
    """Trains, serves, and asks in turns."""
    rows, asked = (1_000, 50) if options.quick else (20_000, 500)
    learners = LEARNERS[:2] if options.quick else LEARNERS
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory())) / "package"
        training = table(rows)
        model = search(training, target="y", learners=learners, budget={"trials": 2 * len(learners)}, seed=0)
        model.package(folder)
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "everloop.cli",
            "serve",
            "--package",
            str(folder),
            "--port",
            str(port),
        ]
        server = opened.enter_context(ServerProcess("everloop serve", port, command))
        given = training.drop("y").head(asked).to_dicts()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        _held_against_the_definition(Package(folder), connection, given[:HELD])
        works = {
            f"{name} {word}": _asking(connection, path, given, share)
            for name, path in PATHS.items()
            for word, share in (("p50", 0.5), ("p99", 0.99))
        }
        took = interleave(works, 2 if options.quick else 5)
    figures = [
        Figure(
            f"a row with its {MOST} strongest reasons: {word}",
            **took[f"with reasons {word}"].scaled(1e3),
            unit="ms",
            beside="the same row without",
            other=took[f"without reasons {word}"].median * 1e3,
            goal=f"< {LIMIT_MS:g}",
        )
        for word in ("p50", "p99")
    ]
    figures += _under_load(options)
    note = f"The model: {model.trained.learner} of {len(model.trained.trials)} trials, 20 inputs; over HTTP"
    return Report(tuple(figures), (note, f"Reasons of {HELD} rows are those of their definition"))


def _under_load(options: Options) -> Iterator[Figure]:
    """Loads the serving benchmark's deployment in turns, with reasons and without."""
    if not is_installed():
        print(f"   {ABSENT}", flush=True)
        return
    rounds, seconds = (1, 1) if options.quick else (5, 2)
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        training = table(2_000 if options.quick else 20_000)
        training.write_json(folder / "training.json")
        make_deployment(training, folder)
        server = opened.enter_context(started(OURS, folder, install=False))
        if server is None:
            raise RuntimeError("The server runs in this environment and did not start.")
        rows = training.drop("y").head(200).to_dicts()
        scripts = {name: write_script(folder / name[:4], path, rows) for name, path in LOADED.items()}
        load(server.url, scripts["reasons"], 4, 1)
        for connections in CONNECTIONS:
            turns = [
                {name: load(server.url, script, connections, seconds) for name, script in scripts.items()}
                for _ in range(rounds)
            ]
            failed = sum(one.failed for turn in turns for one in turn.values())
            if failed:
                raise RuntimeError(f"{failed} requests were not answered.")
            for word in ("median", "p99"):
                ours, plain = ([getattr(turn[name], word) for turn in turns] for name in LOADED)
                yield Figure(
                    f"{MOST_LOADED} reasons, {connections} at a time: {word}",
                    float(np.median(ours)),
                    "ms",
                    min(ours),
                    max(ours),
                    beside="the same rows without",
                    other=float(np.median(plain)),
                    goal=f"< {LIMIT_MS:g}" if connections == 1 else "",
                )


def _asking(
    connection: http.client.HTTPConnection, path: str, rows: list[dict[str, Any]], share: float
) -> Any:
    def once() -> float:
        return float(np.quantile([_asked(connection, path, row)[1] for row in rows], share))

    return once


def _asked(
    connection: http.client.HTTPConnection, path: str, row: dict[str, Any]
) -> tuple[dict[str, Any], float]:
    """Gives the answer and the seconds that it took."""
    body = json.dumps(row)
    start = time.perf_counter()
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    seconds = time.perf_counter() - start
    if response.status != 200:
        raise RuntimeError(f"POST {path} answered {response.status}: {content[:200]!r}")
    return json.loads(content), seconds


def _held_against_the_definition(
    package: Package, connection: http.client.HTTPConnection, rows: list[dict[str, Any]]
) -> None:
    """Replaces each input that is named as a reason by its reference, and asks for the score again."""
    for row in rows:
        answer, _ = _asked(connection, PATHS["with reasons"], row)
        for reason, told in zip(package.explain(row, MOST), answer["reasons"], strict=True):
            other, _ = _asked(connection, PATHS["without reasons"], {**row, reason.column: reason.reference})
            expected = answer["score"] - other["score"]
            if told["column"] != reason.column or abs(told["effect"] - expected) > 1e-9:
                raise RuntimeError(f"{told} was told; {expected} was expected of {reason.column}.")
