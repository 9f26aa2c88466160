"""Sixty checks on a table, beside the same checks written by hand as one Polars select."""

from __future__ import annotations

import numpy as np
import polars as pl

from benchmarks.figures import Figure, Options, Report
from benchmarks.timing import interleave, timed
from everloop.table.contract import ColumnRule, Contract, check

NUMBERS, TEXTS = 15, 15
REGIONS = ("north", "south", "east", "west")


def run(options: Options) -> Report:
    """Checks a table that passes and one that fails."""
    rows = 100_000 if options.quick else 1_000_000
    passing = table(rows)
    tables = {"passing": passing, "failing": broken(passing)}
    for name, one in tables.items():
        by_hand = sum(one.select(selected()).row(0))
        found = sum(finding.failing for finding in check(one, contract()).findings)
        if by_hand != found:
            raise RuntimeError(f"{name}: {found} failures were found, {by_hand} by hand")
    works = {}
    for name, one in tables.items():
        works[name] = timed(lambda one=one: check(one, contract()))
        works[f"{name}, by hand"] = timed(lambda one=one: one.lazy().select(selected()).collect())
    took = interleave(works, 5)
    figures = tuple(
        Figure(
            f"60 checks, {rows:,} x {NUMBERS + TEXTS}, {name}",
            **took[name].scaled(1),
            unit="s",
            beside="one Polars select by hand",
            other=took[f"{name}, by hand"].median,
        )
        for name in tables
    )
    return Report(figures, ("by hand: counts alone; everloop also collects five examples of each failure",))


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
