"""The profile of a table, beside ydata-profiling (minimal) on the same table."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from benchmarks.contract import NUMBERS, TEXTS, table
from benchmarks.figures import Figure, Options, Report
from benchmarks.peers import python_of, started
from benchmarks.timing import interleave, timed
from everloop import data

PEER = "ydata-profiling, minimal"
ROUNDS = 3
"""The peer takes half a minute for one."""

GOAL = 20


def run(options: Options) -> Report:
    """Profiles a table of numbers and categories, read from memory."""
    rows = 20_000 if options.quick else 1_000_000
    drawn = table(rows)
    what = f"profile, {rows:,} x {NUMBERS + TEXTS}"
    works = {"everloop": timed(lambda: data.profile(drawn))}
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        python = python_of("ydata-profiling", install=options.peers)
        if python is not None:
            file = folder / "table.parquet"
            drawn.write_parquet(file)
            peer = opened.enter_context(started(python, "ydata_profile.py", str(file)))
            works[PEER] = lambda: peer.measure(1)[0]
        took = interleave(works, ROUNDS)
    ours = took["everloop"]
    if python is None:
        alone = Figure(what, **ours.scaled(1), unit="s")
        return Report((alone,), (f"{PEER} was not measured; add --peers",))
    other = took[PEER].median
    figures = (
        Figure(what, **ours.scaled(1), unit="s", beside=PEER, other=other),
        Figure("times as fast", other / ours.median, unit="x", goal=f">= {GOAL}"),
    )
    note = "everloop also counts repeated rows, finds keys, oddities and spellings, and measures pairs"
    return Report(figures, (note,))
