"""Drift of two tables, beside scipy's two-sample Kolmogorov-Smirnov on each column."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import ks_2samp

from benchmarks.figures import Figure, Options, Report
from benchmarks.timing import interleave, timed
from everloop.monitor import drift

COLUMNS, SHIFTED = 30, 5


def run(options: Options) -> Report:
    """Compares two tables of which five columns moved by a fifth of a standard deviation."""
    rows = 10_000 if options.quick else 100_000
    before, after = table(rows, 0, 0.0), table(rows, 1, 0.2)
    works = {
        "everloop": timed(lambda: drift(before, after)),
        "scipy": timed(lambda: [ks_2samp(before[name], after[name]) for name in before.columns]),
    }
    took = interleave(works, 5)
    moved = drift(before, after).moved()
    what = f"drift, {rows:,} x {COLUMNS}"
    figure = Figure(
        what, **took["everloop"].scaled(1), unit="s", beside="ks_2samp", other=took["scipy"].median
    )
    note = f"found moved: {', '.join(sorted(moved))}; truly moved: c0 to c{SHIFTED - 1}"
    return Report(
        (figure,), (note, "scipy's loop gives distances, without the noise that they are held against")
    )


def table(rows: int, seed: int, shift: float) -> pl.DataFrame:
    """Draws normal columns; the first ones shifted."""
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {f"c{i}": random.normal(shift if i < SHIFTED else 0.0, size=rows) for i in range(COLUMNS)}
    )
