"""Recording a run with 10 parameters and 10 metrics, beside MLflow with SQLite where it is installed.

The goal is under 5 ms. Each number is the median over runs, every commit on the disk, in one
process, with the databases side by side in one folder.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from everloop.core.ids import new_id
from everloop.record import RunRow, open_record

RUNS = 200
GOAL_MS = 5.0
PARAMETERS = {f"parameter_{number}": number * 1.5 for number in range(10)}
METRICS = {f"metric_{number}": number / 10 for number in range(10)}
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)


def median_ms(work: Callable[[], None], runs: int) -> float:
    """Times the work, after a first call that is not counted."""
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1000


def everloop_ms(folder: Path) -> float:
    """Times one transaction with a run, its parameters and its metrics."""
    with open_record(f"sqlite:///{folder}/everloop.db") as record:

        def work() -> None:
            run = RunRow(new_id("run", NOON), "flights", NOON, "done", facts={"parameters": PARAMETERS})
            with record.transaction():
                record.add(run)
                record.measure(run.id, METRICS)

        return median_ms(work, RUNS)


def mlflow_ms(folder: Path) -> float:
    """Times MLflow's client with its batch calls, the fastest of its ways."""
    import mlflow
    from mlflow.entities import Metric, Param

    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("flights", artifact_location=str(folder / "artifacts"))
    parameters = [Param(name, str(value)) for name, value in PARAMETERS.items()]
    metrics = [Metric(name, value, 0, 0) for name, value in METRICS.items()]

    def work() -> None:
        run = client.create_run(experiment)
        client.log_batch(run.info.run_id, metrics=metrics, params=parameters)
        client.set_terminated(run.info.run_id)

    return median_ms(work, RUNS // 10)


def disk_ms(folder: Path) -> float:
    """Times what no record can be faster than: one small write that is on the disk."""
    import os

    with (folder / "bound").open("wb", buffering=0) as file:

        def work() -> None:
            file.write(b"x" * 4096)
            os.fsync(file.fileno())

        return median_ms(work, RUNS)


def main() -> None:
    """Prints a line for each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = everloop_ms(folder)
        print(f"recording a run, 10 parameters, 10 metrics (median ms; goal under {GOAL_MS:g})")
        print(f"  everloop, SQLite          {ours:8.2f}")
        print(f"  one write on the disk     {disk_ms(folder):8.2f}   (the bound)")
        if importlib.util.find_spec("mlflow") is None:
            print("  MLflow, SQLite                   -   (not installed: pip install mlflow-skinny)")
            return
        peer = mlflow_ms(folder)
        print(f"  MLflow, SQLite            {peer:8.2f}   ({peer / ours:.0f} times ours)")


if __name__ == "__main__":
    main()
