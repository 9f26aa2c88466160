"""Predicting a million rows at once: the package's compiled graph beside scikit-learn's own pipeline.

Both have the same columns (numbers with gaps, categories, text of many values), the same learner with the
same configuration, and read the table from memory: ours from Polars, scikit-learn's from pandas. Loading is
not counted; decisions of all rows are asked for.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.figures import Figure, Options, Report
from benchmarks.timing import interleave, timed
from everloop.model import search
from everloop.runtime import Package

LEARNERS = ("linear", "hist_gradient_boosting", "random_forest")
NUMBERS, CATEGORIES = 8, 4
TRAINING_ROWS = 20_000


def run(options: Options) -> Report:
    """Measures each learner's two forms in turns."""
    rows, rounds = (20_000, 2) if options.quick else (1_000_000, 3)
    table = _table(rows + TRAINING_ROWS)
    training, asked = table.head(TRAINING_ROWS), table.tail(rows).drop("y")
    frame = asked.to_pandas()
    figures, notes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for learner in LEARNERS:
            model = search(
                training, target="y", learners=[learner], budget={"trials": 1}, select_features=False
            )
            model.package(Path(folder) / learner, sample=training.head(500))
            package, pipeline = Package(Path(folder) / learner), _pipeline(model, training)
            works = {
                "ours": timed(lambda package=package: package.predict(asked)),
                "theirs": timed(lambda pipeline=pipeline: pipeline.predict(frame)),
            }
            took = interleave(works, rounds)
            figures.append(
                Figure(
                    f"{learner}: {rows:,} rows x {NUMBERS + CATEGORIES} columns",
                    **took["ours"].scaled(1.0),
                    unit="s",
                    beside="scikit-learn pipeline",
                    other=took["theirs"].median,
                    goal=f"<= {took['theirs'].median / 3:.4f}",
                )
            )
            same = np.mean(package.predict(asked[:20_000]) == pipeline.predict(frame[:20_000]))
            notes.append(
                f"{learner}: the two decide {same:.1%} of rows alike (prepared and thresholded apart)"
            )
    return Report(tuple(figures), tuple(notes))


def _table(rows: int) -> pl.DataFrame:
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    odds = np.zeros(rows)
    for number in range(NUMBERS):
        values = random.gamma(2, 3, rows)
        odds += (number % 3 - 1) * (values - 6) / 6
        values[random.random(rows) < 0.05] = np.nan
        columns[f"n{number}"] = values
    for number in range(CATEGORIES):
        codes = random.integers(0, 5 * (number + 1), rows)
        odds += 0.3 * (codes % 3 - 1)
        columns[f"c{number}"] = np.array([f"value {code}" for code in range(5 * (number + 1))])[codes]
    columns["y"] = np.where(random.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no")
    return pl.DataFrame(columns, nan_to_null=True)


def _pipeline(model: Any, training: pl.DataFrame) -> Any:
    """Makes the pipeline that its user would write, with the learner that the search came to."""
    from sklearn.base import clone
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [name for name in training.columns if name.startswith("n")]
    categories = [name for name in training.columns if name.startswith("c")]
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
        ]
    )
    frame = training.to_pandas()
    return make_pipeline(prepare, clone(model.trained.estimator)).fit(frame[numbers + categories], frame["y"])
