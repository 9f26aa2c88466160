"""One row answered by a package that was not compiled, beside the same model compiled.

Both packages hold the same estimator and answer the same row; only `runtime` differs.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.figures import Figure, Options, Report
from benchmarks.timing import interleave
from everloop.model import package
from everloop.runtime import Package

ROWS, COLUMNS = 2_000, 10


def run(options: Options) -> Report:
    """Measures each model's two packages in turns."""
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, COLUMNS))
    table = pl.DataFrame({f"n{place}": X[:, place] for place in range(COLUMNS)})
    row = table.row(0, named=True)
    figures = []
    with tempfile.TemporaryDirectory() as name:
        for told, model in _models(X, table).items():
            works = {}
            for runtime in ("graph", "python"):
                folder = Path(name) / f"{told} {runtime}"
                package(model, folder, sample=table.head(100), runtime=runtime)
                works[runtime] = _timed(Package(folder), row, 20 if options.quick else 200)
            took = interleave(works, options.rounds)
            figures.append(
                Figure(
                    f"{told}: a row in a Python runtime",
                    **took["python"].scaled(1e6),
                    unit="µs",
                    beside="compiled",
                    other=took["graph"].median * 1e6,
                )
            )
    return Report(tuple(figures), (f"{COLUMNS} columns of numbers.",))


def _models(X: Any, table: pl.DataFrame) -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    y = (X[:, 0] + X[:, 1] ** 2 > 1).astype(int)
    return {
        "linear, matrix": LogisticRegression().fit(X, y),
        "linear, pandas frame": LogisticRegression().fit(table.to_pandas(), y),
        "histogram boosting, matrix": HistGradientBoostingClassifier().fit(X, y),
    }


def _timed(loaded: Package, row: dict[str, Any], times: int) -> Any:
    def work() -> float:
        start = time.perf_counter()
        for _ in range(times):
            loaded.answer(row)
        return (time.perf_counter() - start) / times

    return work
