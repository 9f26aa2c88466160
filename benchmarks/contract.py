"""Sixty checks on a table: beside one Polars query by hand, and beside Great Expectations' summary.

Both read the table from a Parquet file, count the rows that fail each check, and show examples of them;
the query by hand counts alone.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.figures import Figure, Options, Report
from benchmarks.peers import python_of, started
from benchmarks.timing import Timing, interleave, timed
from everloop.table.contract import ColumnRule, Contract, check

NUMBERS, TEXTS = 15, 15
REGIONS = ("north", "south", "east", "west")
PEER, HAND = "Great Expectations, summary", "one Polars query by hand"
TIMES_FASTER, TIMES_BY_HAND = 20, 2


def run(options: Options) -> Report:
    """Checks a table that passes and one that fails, in turns with the others."""
    rows = 100_000 if options.quick else 1_000_000
    figures: list[Figure] = []
    passing = table(rows)
    with tempfile.TemporaryDirectory() as folder:
        python = python_of("great_expectations", install=options.peers)
        for name, one in {"passing": passing, "failing": broken(passing)}.items():
            path = Path(folder) / f"{name}.parquet"
            one.write_parquet(path)
            figures += compared(path, name, rows, python, options.rounds)
    notes = ["Great Expectations was not measured; add --peers"] if python is None else []
    return Report(tuple(figures), ("by hand: counts alone; everloop also shows values and rows", *notes))


def compared(path: Path, name: str, rows: int, python: Path | None, rounds: int) -> list[Figure]:
    """Measures the checks of one table."""
    by_hand = sum(pl.scan_parquet(path).select(selected()).collect().row(0))
    found = sum(finding.failing for finding in check(path, contract()).findings)
    if by_hand != found:
        raise RuntimeError(f"{name}: {found} failures were found, {by_hand} by hand")
    with contextlib.ExitStack() as opened:
        works = {
            "everloop": timed(lambda: check(path, contract())),
            HAND: timed(lambda: pl.scan_parquet(path).select(selected()).collect(engine="streaming")),
        }
        if python is not None:
            peer = opened.enter_context(
                started(python, "great_expectations_checks.py", str(path), str(by_hand))
            )
            works[PEER] = lambda: peer.measure(1)[0]
        took = interleave(works, min(rounds, 5))
    what = f"60 checks, {rows:,} x {NUMBERS + TEXTS}, {name}"
    goals = {HAND: TIMES_BY_HAND, PEER: 1 / TIMES_FASTER}
    return [figure(what, took, other, goals[other]) for other in works if other != "everloop"]


def figure(what: str, took: dict[str, Timing], other: str, goal: float) -> Figure:
    """Sets ours beside another's, with the goal as seconds of this run."""
    median = took[other].median
    return Figure(
        what,
        **took["everloop"].scaled(1),
        unit="s",
        beside=other,
        other=median,
        goal=f"<= {goal * median:.4f}",
    )


def contract() -> Contract:
    """Gives 15 columns x (not null, minimum) + 15 x (not null, allowed): 60 checks."""
    numbers = [ColumnRule(f"n{i}", "number", nullable=False, minimum=0.0) for i in range(NUMBERS)]
    texts = [ColumnRule(f"t{i}", "text", nullable=False, allowed=REGIONS) for i in range(TEXTS)]
    return Contract((*numbers, *texts))


def selected() -> list[pl.Expr]:
    """Gives the same checks by hand."""
    numbers, texts = ([pl.col(f"{kind}{i}") for i in range(15)] for kind in "nt")
    checks = [
        *(column.is_null() for column in numbers + texts),
        *(column < 0.0 for column in numbers),
        *(column.is_in(REGIONS).not_() for column in texts),
    ]
    return [one.sum().alias(f"check{place}") for place, one in enumerate(checks)]


def table(rows: int) -> pl.DataFrame:
    """Draws a table that passes."""
    random = np.random.default_rng(0)
    numbers = {f"n{i}": random.uniform(0, 100, size=rows) for i in range(NUMBERS)}
    texts = {f"t{i}": np.array(REGIONS)[random.integers(0, 4, size=rows)] for i in range(TEXTS)}
    return pl.DataFrame(numbers | texts)


def broken(passing: pl.DataFrame) -> pl.DataFrame:
    """Gives the table with every hundredth value of six columns out of its bounds or missing."""
    wrong = pl.int_range(pl.len()) % 100 == 7
    return passing.with_columns(
        *(pl.when(wrong).then(-1.0).otherwise(pl.col(f"n{i}")).alias(f"n{i}") for i in range(2)),
        *(pl.when(wrong).then(pl.lit("nowhere")).otherwise(pl.col(f"t{i}")).alias(f"t{i}") for i in range(2)),
        *(pl.when(wrong).then(None).otherwise(pl.col(name)).alias(name) for name in ("n2", "t2")),
    )
