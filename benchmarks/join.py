"""Point-in-time features of 200,000 decisions over 1,000,000 rows, beside DuckDB by hand and Feast.

All read the same Parquet files and give a table in memory. The bound is a bare `ASOF JOIN`: no window,
no corrections, and rows of any age.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from benchmarks.figures import Figure, Options, Report
from benchmarks.peers import python_of, started
from benchmarks.timing import Timing, interleave, timed
from everloop.spec import AsOfFeature, WindowFeature
from everloop.table.feature_join import EventTable, join_features
from everloop.table.feature_joined import JoinedFeature, SourceEvents, define_joined

COLUMNS = tuple(f"f{number}" for number in range(10))
TYPES: dict[str, str] = dict.fromkeys(COLUMNS, "number")
DAYS = 90
AGGREGATES = ("sum", "avg", "stddev", "min", "max", "count")
ASOF, WINDOW, FEAST = "latest values", "window aggregates", "Feast, local provider"
BY_HAND = "DuckDB by hand"


def run(options: Options) -> Report:
    """Measures a round of each in turns."""
    rows, asked = (50_000, 10_000) if options.quick else (1_000_000, 200_000)
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        _write(folder, rows, asked)
        opened.enter_context(contextlib.closing(connection := duckdb.connect()))
        works: dict[str, Callable[[], float]] = {
            ASOF: timed(lambda: _join(folder, _latest())),
            f"{ASOF}, {BY_HAND}": timed(lambda: connection.sql(_asof(folder)).to_arrow_table()),
            WINDOW: timed(lambda: _join(folder, _windows())),
            f"{WINDOW}, {BY_HAND}": timed(lambda: connection.sql(_range_join(folder)).to_arrow_table()),
        }
        python = python_of("feast", install=options.peers)
        notes = _compared(folder, connection)
        if python is not None:
            peer = opened.enter_context(started(python, "feast_history.py", str(folder), str(DAYS)))
            kept = int(peer.measure(0)[0])
            works[FEAST] = lambda: statistics.median(peer.measure(1))
            notes += (f"Feast gave {kept:,} of the {asked:,} rows back; everloop gives all",)
        else:
            notes += ("Feast was not measured; add --peers",)
        took = interleave(works, 5)
    return Report(_figures(took, rows, asked), notes)


def _figures(took: dict[str, Timing], rows: int, asked: int) -> tuple[Figure, ...]:
    size = f"{asked:,} x {rows:,}"
    hand, window = took[f"{ASOF}, {BY_HAND}"].median, took[f"{WINDOW}, {BY_HAND}"].median
    figures = [
        Figure(
            f"10 {ASOF} within {DAYS} days, {size}",
            **took[ASOF].scaled(1),
            unit="s",
            beside="DuckDB, a bare ASOF JOIN",
            other=hand,
            goal=f"<= {1.5 * hand:.4f}",
        ),
        Figure(
            f"{len(AGGREGATES)} {WINDOW} over {DAYS} days, {size}",
            **took[WINDOW].scaled(1),
            unit="s",
            beside="DuckDB, a join on the range and a GROUP BY",
            other=window,
        ),
    ]
    if FEAST in took:
        peer = took[FEAST].median
        figures.append(
            Figure(
                f"10 {ASOF}, beside Feast",
                **took[ASOF].scaled(1),
                unit="s",
                beside=FEAST,
                other=peer,
                goal=f"<= {peer / 10:.4f}",
            )
        )
    return tuple(figures)


def _write(folder: Path, rows: int, asked: int) -> None:
    """Draws entities with ten rows each over a year, and decisions about them."""
    random = np.random.default_rng(0)
    entities = max(rows // 10, 1)

    def moments(count: int) -> pl.Series:
        start, year = 1_700_000_000_000_000, 365 * 86_400_000_000
        return pl.Series(start + random.integers(0, year, count)).cast(pl.Datetime("us", "UTC"))

    values = {name: random.normal(100, 20, rows).round(2) for name in COLUMNS}
    events = pl.DataFrame({"who": random.integers(0, entities, rows), "time": moments(rows), **values})
    events.with_columns(created=pl.col("time")).write_parquet(folder / "events.parquet")
    decisions = pl.DataFrame({"who": random.integers(0, entities, asked), "at": moments(asked)})
    decisions.write_parquet(folder / "decisions.parquet")


def _join(folder: Path, features: list[JoinedFeature]) -> pl.DataFrame:
    source = EventTable(folder / "events.parquet", SourceEvents("time", "time"))
    return join_features(folder / "decisions.parquet", "at", features, {"events": source})


def _latest() -> list[JoinedFeature]:
    span = f"{DAYS}d"
    part = {"from": "events", "by": "who", "within": span}
    return [
        define_joined(name, AsOfFeature.model_validate({**part, "latest": name}), TYPES) for name in COLUMNS
    ]


def _windows() -> list[JoinedFeature]:
    part = {"from": "events", "by": "who", "over": f"{DAYS}d"}
    return [
        define_joined(name, WindowFeature.model_validate({**part, "value": f"{name}(f0)"}), TYPES)
        for name in AGGREGATES
    ]


def _asof(folder: Path) -> str:
    columns = ", ".join(f"e.{name}" for name in COLUMNS)
    return (
        f"SELECT {columns} FROM '{folder}/decisions.parquet' d "
        f"ASOF LEFT JOIN '{folder}/events.parquet' e ON d.who = e.who AND d.at >= e.time"
    )


def _range_join(folder: Path) -> str:
    columns = ", ".join(f"{name}(e.f0) AS {name}" for name in AGGREGATES)
    return (
        f"SELECT d.place, {columns} FROM (SELECT *, row_number() OVER () AS place "
        f"FROM '{folder}/decisions.parquet') d LEFT JOIN '{folder}/events.parquet' e ON d.who = e.who "
        f"AND e.time <= d.at AND e.time > d.at - INTERVAL {DAYS} DAY GROUP BY d.place ORDER BY d.place"
    )


def _compared(folder: Path, connection: Any) -> tuple[str, ...]:
    """Holds both answers against each other before anything is measured."""
    ours = _join(folder, _windows())
    theirs = pl.from_arrow(connection.sql(_range_join(folder)).to_arrow_table())
    if not isinstance(theirs, pl.DataFrame):
        raise TypeError("DuckDB gave no table")
    for name in AGGREGATES:
        mine, other = ours[name].cast(pl.Float64), theirs[name].cast(pl.Float64)
        apart = ((mine - other).abs() > 1e-6 * other.abs().clip(1.0)).sum()
        if apart or not (mine.is_null() == other.is_null()).all():
            raise RuntimeError(f"{name} differs from DuckDB's in {apart} rows")
    return (f"windows of {timedelta(days=DAYS).days} days agree with DuckDB's in every row",)
