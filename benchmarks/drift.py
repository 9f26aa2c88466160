"""Drift of two tables by every statistic, and of a window against a kept reference, beside the peers."""

from __future__ import annotations

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
SMALLER = 100_000
MOST_SECONDS = 120.0
"""How long a peer may take; what has not ended by then gives a lower bound."""

SHORT_SECONDS = 30.0
"""What takes no longer is measured in turns with ours; what takes minutes once, between two of ours."""

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
    figures, notes = [], []
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / "before.parquet", Path(name) / "after.parquet"]
        for size in sorted({rows, min(rows, SMALLER)}):
            for drawn, file in zip((before, after), files, strict=True):
                drawn.head(size).write_parquet(file)
            found, said = _beside(before.head(size), after.head(size), files, options)
            figures += found
            notes += said
        peak, _ = peak_memory([sys.executable, "-c", _ALONE, *files])
    figures.append(Figure("peak memory, both tables in it", peak / 2**20, "MiB", goal="< 1536"))
    figures.append(_window(before, table(min(rows, WINDOW), 2, 0.0)))
    return Report(tuple(figures), (*_notes(drift(before, after).moved()), *dict.fromkeys(notes)))


def _beside(
    before: pl.DataFrame, after: pl.DataFrame, files: list[Path], options: Options
) -> tuple[list[Figure], list[str]]:
    """Measures ours and each peer on tables of one size; a peer that does not end gives a bound."""
    what = f"drift, {before.height:,} x {COLUMNS} against the same, all statistics"
    works = {"everloop": timed(lambda: drift(before, after))}
    rounds = interleave(works, ROUNDS)["everloop"].rounds
    theirs, notes = {}, []
    for name, (title, script, _) in PEERS.items():
        python = python_of(name, install=options.peers)
        if python is None:
            notes.append(f"{title} was not measured; add --peers")
            continue
        with started(python, script, *map(str, files)) as peer:
            theirs[name], in_turns = _of_peer(peer, works)
        rounds += in_turns
        if theirs[name] >= MOST_SECONDS:
            notes.append(
                f"{title} did not end within {MOST_SECONDS:g} s on {before.height:,} rows: its figure "
                "and the ratio are lower bounds"
            )
    ours = Timing(rounds + interleave(works, 2)["everloop"].rounds)
    figures = [] if theirs else [Figure(what, **ours.scaled(1), unit="s")]
    for name, seconds in theirs.items():
        title, _, goal = PEERS[name]
        figures.append(Figure(what, **ours.scaled(1), unit="s", beside=title, other=seconds))
        times = f"times as fast as {title}, {before.height:,} rows"
        figures.append(Figure(times, seconds / ours.median, "x", goal=f">= {goal}"))
    return figures, notes


def _of_peer(peer: Peer, works: dict[str, Callable[[], float]]) -> tuple[float, tuple[float, ...]]:
    """Gives a peer's seconds, `MOST_SECONDS` where it took longer, and ours where both went in turns."""
    try:
        once = peer.measure(1, within=MOST_SECONDS)[0]
    except TimeoutError:
        return MOST_SECONDS, ()
    if once >= SHORT_SECONDS:
        return once, ()
    took = interleave({**works, "peer": lambda: peer.measure(1)[0]}, ROUNDS)
    return took["peer"].median, took["everloop"].rounds


def _window(before: pl.DataFrame, rows: pl.DataFrame) -> Figure:
    kept = reference(before, rules=ReferenceRules(window_rows=WINDOW))
    judged: Callable[[], object] = lambda: judge_state(count_window(rows, kept), kept)  # noqa: E731
    took = interleave({"window": timed(judged)}, 2 * ROUNDS + 1)["window"]
    what = f"a window of {rows.height:,} x {COLUMNS} from a kept reference"
    return Figure(what, **took.scaled(1000), unit="ms", goal="< 150")


def _notes(moved: tuple[str, ...]) -> tuple[str, ...]:
    found = f"found moved: {', '.join(sorted(moved))}; truly moved: c0 to c{SHIFTED - 1}"
    return found, "everloop's time includes 200 draws of what chance does, for the alarm's threshold"


def table(rows: int, seed: int, shift: float) -> pl.DataFrame:
    """Draws normal columns; the first ones shifted."""
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {f"c{i}": random.normal(shift if i < SHIFTED else 0.0, size=rows) for i in range(COLUMNS)}
    )
