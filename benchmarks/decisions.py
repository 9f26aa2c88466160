"""What the chosen decisions earn on test rows, beside the best of ten fixed thresholds on the same model.

The ten are 0.05, 0.15, ... 0.95, and the best of them is known in hindsight: it is chosen on the very rows
that it is judged on. What is chosen beforehand can only be as good by being right, and not even then each
time: the interval, paired by row, says what is chance.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import flights
from benchmarks.figures import Figure, Options, Report
from everloop.measure.intervals import Interval, paired_interval
from everloop.measure.worth import Worth
from everloop.model.budget import Budget
from everloop.model.targets import labelled
from everloop.model.train import train
from everloop.model.trained import Trained
from everloop.model.training_inputs import Parts, Stakes, TrainingSettings
from everloop.problem import frame as frame_of
from everloop.spec import ProblemSpec, ValueSpec, load
from everloop.spec.frame import Frame
from everloop.table.worth import worth_of

DATA = Path(__file__).parents[2] / "shared" / "data"
FIXED = tuple(round(0.05 + 0.1 * place, 2) for place in range(10))
TRIALS = 8
WHEN = (pl.datetime(1996, 5, 7) + pl.duration(minutes=30) * pl.int_range(pl.len())).alias("at")
"""Rows that stand in the order of time, and do not say when: one each half hour."""

MOST_ROWS = 20_000


@dataclass(frozen=True)
class Priced:
    """A table with prices of its decisions.

    Attributes:
        file: In the folder of shared data.
        target: The column.
        positive: The class that is the event.
        prices: As `goal.value` takes them.
        by_time: Whether the last rows are the test part, instead of rows drawn by lot.
    """

    file: str
    target: str
    positive: str
    prices: dict[str, str]
    by_time: bool = False


TABLES = {
    "taiwan_default": Priced(
        "taiwan_default.csv.gz",
        "default payment",
        "1",
        {"false_positive": "-1", "false_negative": "-5"},
    ),
    # The matrix that the table was published with.
    "german_credit": Priced(
        "german_credit.csv.gz", "creditability", "bad", {"false_positive": "-1", "false_negative": "-5"}
    ),
    "online_shoppers": Priced(
        "online_shoppers.csv.gz", "revenue", "yes", {"true_positive": "9", "false_positive": "-2"}
    ),
    "heart_disease": Priced(
        "heart_disease.csv.gz", "target", "1", {"false_positive": "-1", "false_negative": "-10"}
    ),
    # Each row has prices of its own: a fraud that is missed costs its amount, a call costs 5.
    "card_fraud": Priced(
        "card_fraud.csv.gz",
        "Class",
        "1",
        {"true_positive": "-5", "false_positive": "-5", "false_negative": "-1 * Amount"},
    ),
    "elec2": Priced("elec2.parquet", "class", "1", {"true_positive": "1", "false_positive": "-2"}, True),
}


def run(options: Options) -> Report:
    """Compares on every table that is there, and on the example that ships."""
    figures: list[Figure] = []
    notes = ["Chosen beforehand less the best of ten in hindsight; 95 % intervals, paired by row."]
    names = [name for name in TABLES if not options.tables or name in options.tables]
    for name in names:
        if not (DATA / TABLES[name].file).exists():
            notes.append(f"{name} was left out: {TABLES[name].file} is not there.")
            continue
        figures.append(_figure(name, *_of_table(TABLES[name], options)))
    if not options.tables or "flights" in options.tables:
        figures.append(_figure("flights (the example)", *_of_example(options)))
    behind = [one.what.partition(":")[0] for one in figures if (one.high or 0.0) < 0]
    notes.append(f"Behind beyond chance: {', '.join(behind) or 'none'}.")
    return Report(tuple(figures), tuple(notes))


def said_of(gap: Interval) -> str:
    """Says what a gap shows: `at least` as much, less but `within chance`, or `behind` beyond it."""
    if gap.estimate >= 0:
        return "at least"
    return "behind" if gap.high < 0 else "within chance"


def _figure(name: str, gap: Interval, chosen: float, best: float) -> Figure:
    return Figure(
        f"{name}: chosen, less the best of ten",
        gap.estimate,
        "a decision",
        gap.low,
        gap.high,
        beside=f"{said_of(gap)}: earns {chosen:,.4g}; best of ten",
        other=best,
        goal=">= 0",
    )


def _of_table(one: Priced, options: Options) -> tuple[Interval, float, float]:
    path = DATA / one.file
    table = (
        pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema_length=None)
    )
    most = 3_000 if options.quick else MOST_ROWS
    if one.target == "target":
        table = table.with_columns((pl.col("target") > 0).cast(pl.Int64))
    table = table.tail(most) if one.by_time else table.sample(min(most, table.height), shuffle=True, seed=0)
    if one.by_time:
        table = table.with_columns(WHEN)
    learned = int(table.height * 0.7)
    asked = ProblemSpec(target=one.target, positive=one.positive, time="at" if one.by_time else None)
    frame = frame_of(table, spec=asked)
    prices = ValueSpec.model_validate(one.prices)

    def worth(rows: pl.DataFrame) -> Worth | None:
        return worth_of(prices, frame, rows)

    settings = TrainingSettings(
        learners=("linear", "lightgbm"),
        budget=Budget(trials=2 if options.quick else TRIALS),
        by="time" if one.by_time else "stratified",
        select=False,
    )
    parts = Parts(table.head(learned), None, table.tail(table.height - learned))
    trained = train(parts, frame, settings, stakes=Stakes(worth))
    return _compared(trained, frame, parts.test, prices)


def _of_example(options: Options) -> tuple[Interval, float, float]:
    from everloop.core.clock import SystemClock
    from everloop.loop.run import run_once
    from everloop.loop.steps import held_out
    from everloop.loop.workspace import Workspace
    from everloop.table.dataset import Dataset

    with tempfile.TemporaryDirectory() as name:
        budget = f"{{trials: {2 if options.quick else TRIALS}}}"
        folder = flights.prepared(Path(name) / "flights", budget)
        spec = load(folder / "everloop.yaml")
        with Workspace.open(spec, clock=SystemClock()) as workspace:
            result = run_once(workspace, until="model")
        trained = Trained.load(result.steps["train"].path)
        test = held_out(Dataset.load(result.steps["dataset"].path))
        return _compared(trained, trained.frame, test, spec.goal.value)


def _compared(
    trained: Trained, frame: Frame, test: pl.DataFrame | None, prices: ValueSpec | None
) -> tuple[Interval, float, float]:
    """Gives the gap to the best of ten, and what both earn a decision."""
    assert test is not None
    assert prices is not None
    rows, actual = labelled(test, frame)
    worth = worth_of(prices, frame, rows)
    assert worth is not None
    scores = trained.scores(rows)
    chosen = worth.values(actual, trained.decide(scores, rows))
    fixed = [worth.values(actual, scores >= threshold) for threshold in FIXED]
    best = max(fixed, key=lambda values: float(np.mean(values)))
    return paired_interval(best, chosen), float(chosen.mean()), float(best.mean())
