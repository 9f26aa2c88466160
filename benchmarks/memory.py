"""The most memory that a whole run on a year of flights holds, beside its table as plain numbers."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.figures import Figure, Options, Report
from benchmarks.flights import prepared
from benchmarks.timing import everloop_command, peak_memory

GIB = 2**30


def run(options: Options) -> Report:
    """Measures one run; quick: a month and one trial."""
    until, budget = ("2013-02-01", "{trials: 1}") if options.quick else ("2014-01-02", None)
    with tempfile.TemporaryDirectory() as name:
        folder = prepared(Path(name) / "flights", budget)
        command = [*everloop_command(), "run", "--json", "--file", folder / "everloop.yaml", "--as-of", until]
        peak, _ = peak_memory(command, allowed=(0, 1))
        rows, columns = shape(folder)
    figure = Figure(
        f"run on {rows:,} flights, peak",
        peak / GIB,
        "GiB",
        beside=f"{rows:,} x {columns} x 8 bytes",
        other=rows * columns * 8 / GIB,
        goal="" if options.quick else "< 3",
    )
    return Report((figure,), ("quick: a month, no goal",) if options.quick else ())


def shape(folder: Path) -> tuple[int, int]:
    """Gives the rows and columns of the snapshot that a run took."""
    from pyarrow import parquet

    tables = [parquet.read_metadata(path) for path in (folder / ".everloop").rglob("table.parquet")]
    largest = max(tables, key=lambda one: one.num_rows)
    return largest.num_rows, largest.num_columns
