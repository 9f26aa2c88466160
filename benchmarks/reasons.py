"""Reason codes where answers are given: one row over HTTP with its five strongest reasons, and without.

The model is an ensemble, 20 inputs wide, by `everloop serve`; one connection that stays open. Reasons are
asked of the compiled graph, so a row with reasons is a batch of 21 rows. Before anything is measured the
reasons of some rows are held against their definition: the change of the score when one input is replaced.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, Options, Report
from benchmarks.serving_model import table
from benchmarks.timing import interleave
from everloop.model import search
from everloop.runtime import Package
from everloop.testing.server_process import ServerProcess, free_port

LIMIT_MS = 5.0
MOST = 5
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
    note = f"The model: {model.trained.learner} of {len(model.trained.trials)} trials, 20 inputs; over HTTP"
    return Report(tuple(figures), (note, f"Reasons of {HELD} rows are those of their definition"))


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
