"""What more labels bring, foretold from a part of real tables whose larger sizes are hidden.

Of each table a quarter is kept to score on. From the rest a seventh is shown to the forecast, as all the
labels there are; it says what twice and four times as many would bring. The truth is the mean score of the
same quick model that learned from so many rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.figures import Figure, Options, Report
from everloop.measure.metrics import compute
from everloop.problem import frame as frame_of
from everloop.problem.quick_model import arrays_of, fitted_scores, measured_metric, quick_learner
from everloop.problem.sufficiency import measure_points
from everloop.spec.frame import Frame

DATA = Path(__file__).parents[2] / "shared" / "data"
FACTORS = (2.0, 4.0)
SHOWN = 1 / 7
MOST_ROWS = 12_000
TRUTHS = 4


@dataclass(frozen=True)
class Forecast:
    """One forecast beside what came true, in the metric's units."""

    table: str
    factor: float
    low: float
    estimate: float
    high: float
    stays: float
    truth: float
    common_error: float

    @property
    def covered(self) -> bool:
        """Whether the truth lies in the interval."""
        return self.low <= self.truth <= self.high


@dataclass(frozen=True)
class Abstained:
    """A curve that was not carried on, and why."""

    table: str
    reason: str


def _file(name: str, target: str) -> Callable[[], tuple[pl.DataFrame, str]]:
    def read() -> tuple[pl.DataFrame, str]:
        path = DATA / name
        table = (
            pl.read_parquet(path)
            if path.suffix == ".parquet"
            else pl.read_csv(path, infer_schema_length=None)
        )
        return table, target

    return read


def _shipped(name: str) -> Callable[[], tuple[pl.DataFrame, str]]:
    def read() -> tuple[pl.DataFrame, str]:
        import sklearn.datasets

        bunch = getattr(sklearn.datasets, name)()
        table = pl.DataFrame(bunch.data, schema=[f"x{i}" for i in range(bunch.data.shape[1])])
        return table.with_columns(pl.Series("target", bunch.target)), "target"

    return read


TABLES: dict[str, Callable[[], tuple[pl.DataFrame, str]]] = {
    "taiwan_default": _file("taiwan_default.csv.gz", "default payment"),
    "online_shoppers": _file("online_shoppers.csv.gz", "revenue"),
    "bike_hourly": _file("bike_hourly.csv.gz", "cnt"),
    "elec2": _file("elec2.parquet", "class"),
    "card_fraud": _file("card_fraud.csv.gz", "Class"),
    "german_credit": _file("german_credit.csv.gz", "creditability"),
    "heart_disease": _file("heart_disease.csv.gz", "target"),
    "breast_cancer": _shipped("load_breast_cancer"),
    "digits": _shipped("load_digits"),
    "diabetes": _shipped("load_diabetes"),
}


def run(options: Options) -> Report:
    """Foretells every table from several shown parts."""
    names = ["german_credit", "diabetes"] if options.quick else list(TABLES)
    found = [one for name in names if _there(name) for one in foretell(name, 1 if options.quick else 5)]
    forecasts = [one for one in found if isinstance(one, Forecast)]
    abstained = [one for one in found if isinstance(one, Abstained)]
    figures = [figure for factor in FACTORS for figure in _figures(forecasts, factor)]
    notes = [
        f"{len(abstained)} of {len(abstained) + len(forecasts) // len(FACTORS)} curves were not carried on"
    ]
    notes += [f"{one.table}: {one.reason}" for one in abstained[:6]]
    for name in names:
        of_table = [one for one in forecasts if one.table == name]
        if of_table:
            covered = sum(one.covered for one in of_table)
            notes.append(f"{name}: {covered} of {len(of_table)} truths in their interval")
    return Report(tuple(figures), tuple(notes))


def _there(name: str) -> bool:
    return DATA.is_dir() or name in ("breast_cancer", "digits", "diabetes")


def _figures(forecasts: list[Forecast], factor: float) -> Iterator[Figure]:
    some = [one for one in forecasts if one.factor == factor]
    if not some:
        return
    what = f"with {factor:g} times the labels"
    # In parts of what the labels truly brought or, where that is little, of the noise of the score.
    scale = np.array([max(abs(one.truth - one.stays), one.common_error, 1e-9) for one in some])
    ours = np.array([abs(one.estimate - one.truth) for one in some])
    stays = np.array([abs(one.stays - one.truth) for one in some])
    yield Figure(
        f"{what}: truths in the 95 % interval",
        float(np.mean([o.covered for o in some])) * 100,
        "%",
        goal=">= 90",
    )
    yield Figure(
        f"{what}: median error, of what they brought",
        float(np.median(ours / scale)),
        "",
        beside="the score stays",
        other=float(np.median(stays / scale)),
    )
    width = [(one.high - one.low) / max(abs(one.truth), 1e-9) for one in some]
    yield Figure(f"{what}: median width of the interval, of the score", float(np.median(width)) * 100, "%")


def foretell(name: str, draws: int) -> Iterator[Forecast | Abstained]:
    """Foretells a table from several parts of it."""
    table, target = TABLES[name]()
    frame = frame_of(table, target)
    inputs, actual = arrays_of(table.filter(pl.col(target).is_not_null()), frame)
    random = np.random.default_rng(0)
    order = random.permutation(len(actual))[:MOST_ROWS]
    held_out, rest = order[: len(order) // 4], order[len(order) // 4 :]
    shown = int(len(rest) * SHOWN)
    truths = {
        factor: _truth(inputs, actual, frame, rest, held_out, round(0.75 * shown * factor))
        for factor in FACTORS
    }
    for draw in range(draws):
        part = np.random.default_rng(draw + 1).permutation(rest)[:shown]
        points = measure_points(
            inputs[part], actual[part], frame, np.random.default_rng(draw), in_order=False
        )
        if len(points.sizes) < 4:
            yield Abstained(name, f"{len(points.sizes)} sizes")
            continue
        curve = points.curve(measured_metric(frame))
        if not curve.well_behaved:
            yield Abstained(name, curve.reason)
            continue
        for factor in FACTORS:
            said = curve.at(0.75 * shown * factor)
            last = float(np.mean(points.scores[-1]))
            yield Forecast(
                name, factor, said.low, said.estimate, said.high, last, truths[factor], points.common_error
            )


def _truth(
    inputs: NDArray[np.float64],
    actual: NDArray[np.float64],
    frame: Frame,
    rest: NDArray[np.int64],
    held_out: NDArray[np.int64],
    size: int,
) -> float:
    metric = measured_metric(frame)
    found = []
    for draw in range(TRUTHS):
        learned = np.random.default_rng(100 + draw).permutation(rest)[:size]
        scores = fitted_scores(quick_learner(frame), inputs, actual, learned, held_out, frame)
        if scores is not None:
            found.append(compute(metric, actual[held_out], scores))
    return float(np.mean(found))
