"""Drift of two tables by every statistic, and of a window against a kept reference, beside the peers."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.figures import Figure, Options, Report
from benchmarks.peers import Peer, python_of, started
from benchmarks.timing import Timing, interleave, peak_memory, timed
from everloop.monitor import ReferenceRules, count_window, drift, judge_state, reference

COLUMNS, SHIFTED = 30, 5
WINDOW = 100_000
ROUNDS = 3
PEERS = {
    "evidently": ("Evidently's DataDriftPreset", "evidently_drift.py", 50),
    "nannyml": ("NannyML's Jensen-Shannon alone", "nannyml_drift.py", 10),
}
"""Peer: its name, its script, how many times faster the goal asks for."""

_ALONE = "import sys; from everloop.monitor import drift; print(drift(*sys.argv[1:]).moved())"


def run(options: Options) -> Report:
    """Compares two tables of which five columns moved by a fifth of a standard deviation."""
    rows = 20_000 if options.quick else 1_000_000
    before, after = table(rows, 0, 0.0), table(rows, 1, 0.2)
    what = f"drift, {rows:,} x {COLUMNS} against the same, all statistics"
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        files = [folder / "before.parquet", folder / "after.parquet"]
        for drawn, file in zip((before, after), files, strict=True):
            drawn.write_parquet(file)
        peers: dict[str, Peer] = {}
        for name, (_, script, _) in PEERS.items():
            python = python_of(name, install=options.peers)
            if python is not None:
                peers[name] = opened.enter_context(started(python, script, *map(str, files)))
        took = interleave({"everloop": timed(lambda: drift(before, after))}, ROUNDS)
        # Minutes for one: they take their turn once, between two of ours.
        theirs = {name: peer.measure(1)[0] for name, peer in peers.items()}
        ours = Timing(
            took["everloop"].rounds + interleave({"": timed(lambda: drift(before, after))}, 2)[""].rounds
        )
        peak, _ = peak_memory([sys.executable, "-c", _ALONE, *files])
    figures = [Figure(what, **ours.scaled(1), unit="s")]
    for name, seconds in theirs.items():
        title, _, goal = PEERS[name]
        figures.append(Figure(what, **ours.scaled(1), unit="s", beside=title, other=seconds))
        figures.append(Figure(f"times as fast as {title}", seconds / ours.median, "x", goal=f">= {goal}"))
    figures.append(Figure("peak memory, both tables in it", peak / 2**20, "MiB", goal="< 1536"))
    figures.append(_window(before, table(min(rows, WINDOW), 2, 0.0)))
    return Report(tuple(figures), _notes(drift(before, after).moved(), theirs))


def _window(before: pl.DataFrame, rows: pl.DataFrame) -> Figure:
    kept = reference(before, rules=ReferenceRules(window_rows=WINDOW))
    judged: Callable[[], object] = lambda: judge_state(count_window(rows, kept), kept)  # noqa: E731
    took = interleave({"window": timed(judged)}, 2 * ROUNDS + 1)["window"]
    what = f"a window of {rows.height:,} x {COLUMNS} from a kept reference"
    return Figure(what, **took.scaled(1000), unit="ms", goal="< 150")


def _notes(moved: tuple[str, ...], theirs: dict[str, float]) -> tuple[str, ...]:
    found = f"found moved: {', '.join(sorted(moved))}; truly moved: c0 to c{SHIFTED - 1}"
    ours = "everloop's time includes 200 draws of what chance does, for the alarm's threshold"
    absent = [PEERS[name][0] for name in PEERS if name not in theirs]
    return (found, ours, *(f"{name} was not measured; add --peers" for name in absent))


def table(rows: int, seed: int, shift: float) -> pl.DataFrame:
    """Draws normal columns; the first ones shifted."""
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {f"c{i}": random.normal(shift if i < SHIFTED else 0.0, size=rows) for i in range(COLUMNS)}
    )
