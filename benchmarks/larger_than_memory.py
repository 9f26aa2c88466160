"""The most memory that each part of the data phase holds on a table larger than memory, and its time.

A CSV of 20 million rows, about 4 GB, is made in a scratch folder and removed at the end. Each part runs
in a process of its own: `python -m benchmarks.larger_than_memory PART FOLDER`.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Options, Report
from benchmarks.timing import peak_memory
from everloop.core.clock import SystemClock

GIB = 2**30
ROWS, QUICK_ROWS = 20_000_000, 200_000
BOUND = "< 3"
CSV_BYTES_OF_A_ROW = 200
# The file, its copies on the way and the dataset.
ROOM = 6
NUMBERS, KINDS = range(10), {"shop": 5, "town": 40, "street": 3_000}
LIFECYCLE = """\
name: larger-than-memory
problem: {target: defaulted, positive: "yes", time: applied_at, entity: customer_id}
data:
  sources: {loans: {file: loans.csv}}
  features: {ratio: "number_0 / nullif(number_1, 0)"}
"""


def run(options: Options) -> Report:
    """Measures each part; quick: 200,000 rows."""
    rows = QUICK_ROWS if options.quick else ROWS
    with tempfile.TemporaryDirectory(prefix="everloop-larger-") as name:
        folder = Path(name)
        if shutil.disk_usage(folder).free < ROOM * rows * CSV_BYTES_OF_A_ROW:
            raise RuntimeError(f"{folder} has no room for {ROOM * rows * CSV_BYTES_OF_A_ROW / GIB:.0f} GiB")
        size = make_csv(folder / "loans.csv", rows)
        (folder / "everloop.yaml").write_text(LIFECYCLE)
        figures = tuple(figure for part in PARTS for figure in _measured(part, folder, rows, size, options))
    return Report(figures, ("quick: no goal",) if options.quick else ())


def _measured(part: str, folder: Path, rows: int, size: int, options: Options) -> tuple[Figure, Figure]:
    command = [sys.executable, "-m", "benchmarks.larger_than_memory", part, folder]
    start = time.perf_counter()
    peak, _ = peak_memory(command)
    minutes = (time.perf_counter() - start) / 60
    goal = "" if options.quick else BOUND
    return (
        Figure(
            f"{part}, {rows:,} rows: peak",
            peak / GIB,
            "GiB",
            beside="size of the CSV",
            other=size / GIB,
            goal=goal,
        ),
        Figure(f"{part}, {rows:,} rows: whole process", minutes, "min"),
    )


def make_csv(path: Path, rows: int) -> int:
    """Writes the table; gives its size. Every value is a digest of its row, so it is the same each time."""
    import duckdb

    columns = {
        "id": "i",
        "customer_id": f"{_draw('customer')} % 2000000",
        "applied_at": "timestamp '2020-01-01' + to_seconds(i * 7)",
        **{f"number_{n}": f"round({_draw(f'number {n}')} % 1000000 / 1000, 4)" for n in NUMBERS},
        **{name: f"'{name} ' || ({_draw(name)} % {kinds})" for name, kinds in KINDS.items()},
        "visits": f"case when {_draw('gone')} % 20 > 0 then {_draw('visits')} % 500 end",
        "member": f"{_draw('member')} % 2 = 0",
        "note": "md5(i::varchar)",
        "defaulted": f"case when {_draw('number 0')} % 1000000 + {_draw('luck')} % 1000000 > 1500000 "
        "then 'yes' else 'no' end",
    }
    chosen = ", ".join(f"{expression} as {name}" for name, expression in columns.items())
    with duckdb.connect(config={"memory_limit": "1GB", "threads": 1}) as connection:
        connection.execute(f"copy (select {chosen} from range({rows}) t(i)) to '{path}' (header)")
    return path.stat().st_size


def _draw(what: str) -> str:
    return f"hash(i, '{what}')"


def collect(folder: Path) -> dict[str, Any]:
    """Takes the snapshot."""
    from everloop import data
    from everloop.spec import load

    taken = data.snapshot(load(folder / "everloop.yaml"), folder / "snapshots", clock=SystemClock())
    return {"rows": taken.rows}


def check(folder: Path) -> dict[str, Any]:
    """Learns a contract and holds the snapshot against it."""
    from everloop import data

    taken = _snapshot(folder)
    report = data.check(taken, data.learn(taken.path, known_later=("defaulted",)))
    return {"passed": report.passed}


def profile(folder: Path) -> dict[str, Any]:
    """Profiles the snapshot."""
    from everloop import data

    return {"columns": len(data.profile(_snapshot(folder).path).columns)}


def prepare(folder: Path) -> dict[str, Any]:
    """Frames the problem, then cleans and splits the snapshot and looks for leaks."""
    from everloop import data
    from everloop.problem.frame import build_frame
    from everloop.spec import load
    from everloop.table.stored import StoredTable

    spec, taken = load(folder / "everloop.yaml"), _snapshot(folder)
    frame = build_frame(StoredTable.open(taken.path), spec.problem)
    return dict(data.prepare(taken, frame, spec, folder / "dataset").counts)


def _snapshot(folder: Path) -> Any:
    from everloop.data import Snapshot

    return Snapshot.load(next((folder / "snapshots").iterdir()))


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "collect": collect,
    "check": check,
    "profile": profile,
    "prepare": prepare,
}
"""In their order: each needs what the first one wrote."""


if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]](Path(sys.argv[2]))))
