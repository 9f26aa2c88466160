"""Recording a run with 10 parameters and 10 metrics, beside one write on the disk and MLflow on SQLite.

Every commit is on the disk; the databases lie side by side in one folder.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from benchmarks.figures import Figure, Options, Report
from benchmarks.peers import python_of, started
from benchmarks.timing import interleave, timed
from everloop.core.ids import new_id
from everloop.record import RunRow, open_record

if TYPE_CHECKING:
    from everloop.record import Record

PARAMETERS = {f"parameter_{number}": number * 1.5 for number in range(10)}
METRICS = {f"metric_{number}": number / 10 for number in range(10)}
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
PEER, BOUND = "MLflow, SQLite", "one write on the disk"


def run(options: Options) -> Report:
    """Measures a round of each in turns."""
    runs = 5 if options.quick else 40
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        record = opened.enter_context(open_record(f"sqlite:///{folder}/everloop.db"))
        file = opened.enter_context((folder / "bound").open("wb", buffering=0))
        works = {
            "everloop": middle(timed(lambda: record_one(record)), runs),
            BOUND: middle(timed(lambda: write_one(file)), runs),
        }
        python = python_of("mlflow", install=options.peers)
        if python is not None:
            peer = opened.enter_context(started(python, "mlflow_record.py", str(folder)))
            works[PEER] = lambda: statistics.median(peer.measure(max(2, runs // 10)))
        took = interleave(works, options.rounds)
    ours = took["everloop"].median * 1000
    bound = Figure(
        "recording a run",
        **took["everloop"].scaled(1000),
        unit="ms",
        beside=BOUND,
        other=took[BOUND].median * 1000,
        goal="< 5",
    )
    if python is None:
        return Report((bound,), ("MLflow was not measured; add --peers",))
    peer_figure = Figure(PEER, **took[PEER].scaled(1000), unit="ms", beside="everloop", other=ours)
    return Report((bound, peer_figure))


def middle(work: Callable[[], float], runs: int) -> Callable[[], float]:
    """Turns work into a round: the median of several times."""
    return lambda: statistics.median(work() for _ in range(runs))


def record_one(record: Record) -> None:
    """Writes a run, its parameters and its metrics in one transaction."""
    row = RunRow(new_id("run", NOON), "flights", NOON, "done", facts={"parameters": PARAMETERS})
    with record.transaction():
        record.add(row)
        record.measure(row.id, METRICS)


def write_one(file: BinaryIO) -> None:
    """Puts a small block on the disk, than which no record can be faster."""
    file.write(b"x" * 4096)
    os.fsync(file.fileno())
