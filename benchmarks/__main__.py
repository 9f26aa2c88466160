"""Runs benchmarks in turn: `python -m benchmarks [NAME...] [--quick] [--peers] [--json FILE]`.

A slow figure never fails: it is printed as `not met`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.figures import HEADINGS, Options, Report, text_table
from everloop.core.clock import SystemClock


@dataclass(frozen=True)
class Benchmark:
    """Where a benchmark is and what it asks for."""

    module: str
    goal: str


# Those that keep this process small come first.
BENCHMARKS = {
    "start": Benchmark("benchmarks.start", "--version and --help answer under 150 ms, whole process"),
    "rerun": Benchmark(
        "benchmarks.rerun", "an unchanged run takes under 1 s after imports, executing nothing"
    ),
    "memory": Benchmark("benchmarks.memory", "a run on all 336,776 flights stays under 3 GiB"),
    "larger_than_memory": Benchmark(
        "benchmarks.larger_than_memory",
        "20 million rows, a CSV of 4 GB: collect, check, profile, clean and split in under 3 GiB",
    ),
    "record": Benchmark(
        "benchmarks.record_run", "recording a run with 10 parameters and 10 metrics: under 5 ms"
    ),
    "parity": Benchmark("benchmarks.parity", "compiled scores within each learner's tolerance"),
    "parity_package": Benchmark(
        "benchmarks.parity_package",
        "a million rows made to part packages from their models: no other decision, scores within 1e-9",
    ),
    "python_runtime": Benchmark(
        "benchmarks.python_runtime",
        "what a row costs where a model was not compiled, beside the compiled one",
    ),
    "text": Benchmark("benchmarks.text", "as accurate as tf-idf with logistic regression of scikit-learn"),
    "contract": Benchmark(
        "benchmarks.contract",
        "within 2x of one Polars query by hand, 20 times as fast as Great Expectations' summary",
    ),
    "profile": Benchmark(
        "benchmarks.table_profile", "a profile, at least 20 times faster than ydata-profiling"
    ),
    "postgresql": Benchmark(
        "benchmarks.postgresql", "PostgreSQL to a snapshot: at least half the throughput of a bare ADBC read"
    ),
    "join": Benchmark(
        "benchmarks.join", "as-of features: within 1.5x of a bare ASOF join, 10 times faster than Feast"
    ),
    "online": Benchmark(
        "benchmarks.online", "10 features of an entity online: p99 under 0.1 ms, 10 times faster than Feast"
    ),
    "label_forecast": Benchmark(
        "benchmarks.label_forecast", "what 2 and 4 times the labels bring lies in its 95 % interval"
    ),
    "portfolio": Benchmark(
        "benchmarks.portfolio",
        "the order of configurations that was learned leaves less regret than declared",
    ),
    "automl": Benchmark(
        "benchmarks.automl",
        "at an equal budget: mean rank no worse than AutoGluon's, better than FLAML's and H2O's; no failure",
    ),
    "decisions": Benchmark(
        "benchmarks.decisions",
        "chosen decisions earn what the best of ten fixed thresholds earns on test rows",
    ),
    "serving": Benchmark(
        "benchmarks.serving",
        "60 times the requests of other servers (25 at one connection), half of an echo; 0.8 s, 90 MB",
    ),
    "streaming_cost": Benchmark(
        "benchmarks.streaming_cost", "monitoring adds under 5 % to the server's time for a request"
    ),
    "reasons": Benchmark(
        "benchmarks.reasons", "an answer over HTTP with its strongest reasons in under 5 ms"
    ),
    "exports": Benchmark(
        "benchmarks.exports", "an exported version installs in under 120 MB and starts cold in under 1.5 s"
    ),
    "kills": Benchmark(
        "benchmarks.kills",
        "kill -9 200 times under load with durability fsync: no acknowledged prediction lost, no line torn",
    ),
    "overload": Benchmark(
        "benchmarks.overload",
        "two minutes at 5 times capacity: accepted requests' p99 under 5 times the unloaded, others 503",
    ),
    "fuzz": Benchmark(
        "benchmarks.fuzz", "100,000 spoiled requests over every route: no 5xx but 503, no crash, memory flat"
    ),
    "batch": Benchmark(
        "benchmarks.batch", "a million rows predicted at least 3 times faster than by scikit-learn's pipeline"
    ),
    "rollouts": Benchmark(
        "benchmarks.rollouts",
        "2,000 rollouts looked at after every request: at most 5 % wrongly promoted, 5 % wrongly sent back",
    ),
    "estimates": Benchmark(
        "benchmarks.estimates",
        "a million rows 50 times faster than NannyML, equal to 1e-6; 90 % intervals hold 85 to 95 in 100",
    ),
    "alarms": Benchmark(
        "benchmarks.alarms",
        "false alarms within the budget at 1,000, 10,000 and 100,000 rows; shifts found as soon as by peers",
    ),
    "backtest": Benchmark(
        "benchmarks.backtest",
        "all 336,776 flights replayed under four retraining policies in under 3 minutes on 2 cores",
    ),
    "batch_scoring": Benchmark(
        "benchmarks.batch_scoring",
        "10 million rows by everloop predict: within 1.3x of bare onnxruntime, in under 2 GiB",
    ),
    "growth": Benchmark("benchmarks.growth", "no cost grows faster than what it is paid for"),
    "drift": Benchmark(
        "benchmarks.drift",
        "a million rows: 50 times faster than Evidently, 10 than NannyML; a window of 100,000 under 150 ms",
    ),
}


def main() -> int:
    """Runs what is asked for; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Benchmarks beside peers or bounds."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast")
    parser.add_argument("--peers", action="store_true", help="install and run peers in .venv-benchmarks/")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--tables", type=_names, default=(), metavar="A,B", help="automl, backtest: these tables"
    )
    parser.add_argument(
        "--systems", type=_names, default=(), metavar="A,B", help="automl: these systems alone"
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="automl: the budget of each search")
    parser.add_argument("--seeds", type=_names, default=("0",), metavar="0,1", help="automl: which splits")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    options = Options(
        quick=asked.quick,
        peers=asked.peers,
        rounds=5 if asked.quick else 11,
        tables=asked.tables,
        systems=asked.systems,
        seconds=asked.seconds,
        seeds=tuple(map(int, asked.seeds)),
    )
    reports = {name: run_one(name, options) for name in asked.names or BENCHMARKS}
    print("\n== summary")
    rows = [(name, *one.cells()) for name, report in reports.items() for one in report.figures]
    print(text_table(("benchmark", *HEADINGS), rows))
    if asked.json:
        asked.json.write_text(json.dumps(document(reports, options), indent=2) + "\n")
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def run_one(name: str, options: Options) -> Report:
    """Runs one benchmark and prints what it found."""
    print(f"\n== {name}: {BENCHMARKS[name].goal}", flush=True)
    start = time.perf_counter()
    report: Report = import_module(BENCHMARKS[name].module).run(options)
    print(text_table(HEADINGS, (one.cells() for one in report.figures)))
    for note in report.notes:
        print(f"   {note}")
    print(f"   ({time.perf_counter() - start:.0f} s)", flush=True)
    return report


def document(reports: dict[str, Report], options: Options) -> dict[str, Any]:
    """Gives everything as what JSON can carry, with the machine that it was measured on."""
    machine = {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    return {
        "at": SystemClock().now().isoformat(timespec="minutes"),
        "quick": options.quick,
        "machine": machine,
        "benchmarks": {
            name: {"goal": BENCHMARKS[name].goal} | one.to_dict() for name, one in reports.items()
        },
    }


if __name__ == "__main__":
    raise SystemExit(main())
