"""Whole packages on a million rows that are made to part them from their models.

Every value may be missing, odd (infinite, never seen, of a timestamp's size, beyond 2^53, an empty text) or
on a split of the trees or one step of a double beside it. The package answers as a table and, for a sample,
row by row from JSON, where a whole number may come as 3.0; the trained model answers by its own library.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from benchmarks.figures import Figure, Options, Report
from everloop.model import search
from everloop.model.compile import score_form
from everloop.model.parity import difference
from everloop.model.parity_rows import odd_values, rows_of
from everloop.runtime import Package

LEARNERS = ("linear", "hist_gradient_boosting", "lightgbm", "xgboost", "random_forest")
ROWS, PART, TRAINING_ROWS, FROM_JSON = 1_000_000, 100_000, 8_000, 500
ODD, ON_SPLIT = 0.08, 0.12
"""The shares of values that are odd, and that lie on a split or beside it."""

TYPES = {
    "number": pl.Float64,
    "integer": pl.Int64,
    "text": pl.String,
    "boolean": pl.Boolean,
    "time": pl.Int64,
}


@dataclass
class Parting:
    """How far two answers are apart, over all rows so far."""

    rows: int = 0
    largest: float = 0.0
    decisions: int = 0
    ties: int = 0

    def add(self, trained: Any, expected: Any, scores: Any, theirs: Any) -> None:
        """Counts rows, and decisions that differ; within the tolerance rounding alone decides."""
        self.rows += len(expected)
        self.largest = max(self.largest, float(difference(expected, scores).max(initial=0.0)))
        near = np.abs(expected[:, 0] - trained.threshold) <= score_form(trained.estimator).tolerance
        mine = expected[:, 0] >= trained.threshold
        self.decisions += int(((mine != theirs) & ~near).sum())
        self.ties += int(near.sum())


def run(options: Options) -> Report:
    """Tries each learner's package; quick: fewer rows."""
    rows = 20_000 if options.quick else ROWS
    figures: list[Figure] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for learner in LEARNERS:
            training = ordinary(TRAINING_ROWS, seed=0)
            model = search(
                training, target="y", learners=[learner], budget={"trials": 1}, select_features=False
            )
            model.package(Path(folder) / learner, sample=training.head(500))
            tried = compared(model.trained, Package(Path(folder) / learner), rows)
            figures += [
                Figure(
                    f"{learner}: largest difference, {tried.rows:,} rows",
                    tried.largest,
                    "",
                    goal=f"<= {score_form(model.trained.estimator).tolerance}",
                ),
                Figure(f"{learner}: other decisions", tried.decisions, "", goal="<= 0"),
            ]
            notes.append(f"{learner}: {tried.ties} rows lie on the threshold, within the tolerance")
    return Report(tuple(figures), tuple(notes))


def compared(trained: Any, package: Package, rows: int) -> Parting:
    """Compares a package with its model on rows that are made to part them."""
    found = Parting()
    for seed, start in enumerate(range(0, rows, PART)):
        table = hard(trained, min(PART, rows - start), seed)
        expected = trained.scores(table).reshape(table.height, -1)
        scores = package.scores(table)
        found.add(trained, expected, scores, package.chosen(scores, table) == 1)
        some = table.head(FROM_JSON)
        answers = [package.answer(row) for row in _from_json(rows_of(package.plan, some))]
        said = np.array([[answer.score] for answer in answers])
        decided = np.array([answer.prediction == package.manifest.classes[1] for answer in answers])
        exact = _survives_json(some)
        found.add(trained, expected[:FROM_JSON][exact], said[exact], decided[exact])
    return found


def ordinary(rows: int, seed: int) -> pl.DataFrame:
    """Makes ordinary rows: money, counts with gaps, seconds and microseconds since 1970, categories."""
    random = np.random.default_rng(seed)
    count = random.poisson(4, rows)
    kind = random.integers(0, 12, rows)
    columns: dict[str, Any] = {
        "small": random.normal(size=rows),
        "amount": random.gamma(2.0, 1e4, rows),
        "seconds": 1.7e9 + random.uniform(0, 3e7, rows),
        "micros": (1.7e15 + random.uniform(0, 3e13, rows)).astype(np.int64),
        "count": count,
        "flag": random.random(rows) < 0.3,
        "region": np.array(["north", "south", "", "east"], dtype=object)[random.integers(0, 4, rows)],
        "kind": np.array([f"kind {one}" for one in range(12)], dtype=object)[kind],
    }
    odds = columns["small"] + (count - 4) / 3 + (kind % 3 - 1) + np.sin(columns["seconds"] / 3e6)
    odds += (columns["micros"] - 1.715e15) / 1e13 + columns["flag"]
    made = pl.DataFrame({name: _with_gaps(values, random) for name, values in columns.items()})
    chance = 1 / (1 + np.exp(-odds))
    return made.with_columns(pl.Series("y", np.where(random.random(rows) < chance, "yes", "no")))


def hard(trained: Any, rows: int, seed: int) -> pl.DataFrame:
    """Makes rows of which many values are odd, and many lie on the splits of the trees or beside them."""
    random = np.random.default_rng(1_000 + seed)
    table = ordinary(rows, seed=1_000 + seed).drop("y")
    splits = _raw_splits(trained)
    for item in trained.plan.inputs:
        odd = odd_values(trained.plan, item)
        values = table[item.name].to_list()
        beside = splits.get(item.name, [])
        for share, choices in ((ODD, odd), (ON_SPLIT, beside)):
            if len(choices):
                picks = random.integers(0, len(choices), rows)
                for place in np.flatnonzero(random.random(rows) < share):
                    values[place] = choices[picks[place]]
        if item.type == "integer":
            values = [
                None if value is None else min(max(int(value), -(2**63)), 2**63 - 1) for value in values
            ]
        table = table.with_columns(pl.Series(item.name, values, dtype=TYPES[item.type], nan_to_null=True))
    return table


def _raw_splits(trained: Any) -> dict[str, list[float]]:
    """Gives the splits of each number that is not scaled, with the doubles beside each."""
    encoders = {encoder.offset: encoder for encoder in trained.plan.encoders}
    found: dict[str, list[float]] = {}
    for slot, values in score_form(trained.estimator).split_values().items():
        encoder = encoders.get(slot)
        if encoder is not None and getattr(encoder, "scale", None) == 1.0 and encoder.centre == 0.0:
            finite = values[np.abs(values) < 1e18]
            beside = (finite, np.nextafter(finite, np.inf), np.nextafter(finite, -np.inf))
            found[encoder.column] = np.concatenate(beside).tolist()
    return found


def _with_gaps(values: Any, random: Any) -> pl.Series:
    series = pl.Series(values.tolist())
    return pl.select(pl.when(pl.Series(random.random(len(values)) >= 0.05)).then(series)).to_series()


def _from_json(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Sends rows through JSON; every second row writes whole numbers as 3.0 and leaves nulls out."""
    for index, row in enumerate(rows):
        yield msgspec.json.decode(msgspec.json.encode(_sparely(row) if index % 2 else row))


def _sparely(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: float(value) if type(value) is int and abs(value) < 2**53 else value
        for name, value in row.items()
        if value is not None
    }


def _survives_json(table: pl.DataFrame) -> Any:
    """Says which rows JSON can carry: an infinity becomes null there."""
    infinite = [
        table[name].is_infinite().fill_null(value=False).to_numpy()
        for name, kind in table.schema.items()
        if kind == pl.Float64
    ]
    return ~np.any(infinite, axis=0) if infinite else np.ones(table.height, dtype=bool)
