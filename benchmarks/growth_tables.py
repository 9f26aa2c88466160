"""What grows with the rows and with the columns of a table; see `benchmarks.growth`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import larger_than_memory
from benchmarks.growth_cost import Cost, processor
from everloop.data import profile
from everloop.model import Model, search
from everloop.monitor import ReferenceRules, count_window, judge_state, reference
from everloop.runtime import Package

COLUMNS = 20
ROWS = 2_000
_ONE_TRIAL = {"trials": 1}


def table(rows: int, columns: int, seed: int = 0) -> pl.DataFrame:
    """Draws normal columns, a fifth of them telling, and a label `y` that they decide."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, columns))
    told = values[:, : max(1, columns // 5)].sum(axis=1) / np.sqrt(columns / 5)
    drawn = pl.DataFrame({f"c{place}": values[:, place] for place in range(columns)})
    return drawn.with_columns(y=pl.Series(np.where(told + random.normal(size=rows) > 0, "yes", "no")))


def _collected(folder: Path, rows: int) -> Callable[[], float]:
    larger_than_memory.make_csv(folder / "loans.csv", rows)
    places = itertools.count()

    def once() -> float:
        fresh = folder / str(next(places))
        fresh.mkdir()
        (fresh / "loans.csv").hardlink_to(folder / "loans.csv")
        (fresh / "everloop.yaml").write_text(larger_than_memory.LIFECYCLE)
        return processor(lambda: larger_than_memory.collect(fresh))()

    return once


def _prepared(part: Callable[[Path], object]) -> Callable[[Path, int], Callable[[], float]]:
    def ready(folder: Path, rows: int) -> Callable[[], float]:
        larger_than_memory.make_csv(folder / "loans.csv", rows)
        (folder / "everloop.yaml").write_text(larger_than_memory.LIFECYCLE)
        larger_than_memory.collect(folder)
        return processor(lambda: part(folder))

    return ready


def _searched(drawn: pl.DataFrame, *, select: bool = False) -> Model:
    return search(drawn, target="y", learners=("lightgbm",), budget=_ONE_TRIAL, select_features=select)


def _on(work: Callable[[pl.DataFrame], object], *, rows: bool) -> Callable[[Path, int], Callable[[], float]]:
    """Work on a table of the size's rows, or of the size's columns."""

    def ready(_: Path, size: int) -> Callable[[], float]:
        drawn = table(size, COLUMNS) if rows else table(ROWS, size)
        return processor(lambda: work(drawn))

    return ready


def _judged(*, rows: bool) -> Callable[[Path, int], Callable[[], float]]:
    def ready(_: Path, size: int) -> Callable[[], float]:
        drawn = (table(size, COLUMNS) if rows else table(ROWS, size)).drop("y")
        before = table(20_000, drawn.width, 1).drop("y")
        kept = reference(before, rules=ReferenceRules(window_rows=2_000))
        return processor(lambda: judge_state(count_window(drawn, kept), kept))

    return ready


def _scored(folder: Path, rows: int) -> Callable[[], float]:
    package, drawn = package_of(folder, COLUMNS), table(rows, COLUMNS).drop("y")
    return processor(lambda: package.predict(drawn))


def _answered_wide(folder: Path, columns: int) -> Callable[[], float]:
    package, rows = package_of(folder, columns), table(500, columns).drop("y").to_dicts()
    return processor(lambda: [package.answer(row) for row in rows])


def package_of(folder: Path, columns: int) -> Package:
    """Trains on so many columns, and opens the package of it that lies in the folder's `package`."""
    _searched(table(ROWS, columns)).package(folder / "package")
    return Package(folder / "package")


_SELECTED = partial(_searched, select=True)

COSTS = (
    Cost("a snapshot taken of a CSV", "rows", 12_500, _collected),
    Cost("held against a contract", "rows", 25_000, _prepared(larger_than_memory.check)),
    Cost("cleaned, featured and split", "rows", 12_500, _prepared(larger_than_memory.prepare)),
    Cost("one trial, folds included", "rows", 2_500, _on(_searched, rows=True)),
    Cost("scored in batch", "rows", 25_000, _scored),
    Cost("a window counted and judged", "rows", 25_000, _judged(rows=True)),
    Cost("profiled", "columns", 10, _on(profile, rows=False)),
    Cost("one trial, folds included", "columns", 10, _on(_searched, rows=False)),
    Cost("one trial, columns chosen first", "columns", 10, _on(_SELECTED, rows=False)),
    Cost("500 single rows answered", "columns", 10, _answered_wide),
    Cost("a window counted and judged", "columns", 10, _judged(rows=False)),
)
