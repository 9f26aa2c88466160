"""A small lifecycle with a year of rows in which the world changes half-way."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = 2000
FILE = """
name: shop
goal:
  today: {always: "no"}
  value: {currency: EUR, true_positive: 6, false_positive: -3, false_negative: -6, true_negative: 0}
  costs: {label: 0.01, training_hour: 1}
  volume: 300 / month
problem: {target: bought, positive: "yes", time: asked_at, label_delay: 2d}
data:
  sources: {rows: {file: rows.csv}}
  split: {by: time, validation: 20%, test: 20%}
model: {learners: [linear], budget: {trials: 1}, select_features: false}
deploy:
  strategy: canary
  steps: [50%, 100%]
  hold: {requests: 20}
  serve: {port: 0, durability: fsync}
monitor:
  window: {predictions: 200}
  retrain: {on: [drift]}
"""


def rows(count: int = ROWS, seed: int = 0) -> pl.DataFrame:
    """From the middle on, there are more visits, and they count the other way."""
    random = np.random.default_rng(seed)
    visits, price = random.normal(0, 1, count), random.normal(0, 1, count)
    changed = np.arange(count) >= count * 0.6
    chance = 1 / (1 + np.exp(-2.5 * np.where(changed, -visits, visits) - 0.3 * price))
    return pl.DataFrame(
        {
            "asked_at": [START + timedelta(hours=4 * i) for i in range(count)],
            "visits": visits + np.where(changed, 3.0, 0.0),
            "price": price,
            "season": random.normal(0, 1, count),
            "bought": np.where(random.random(count) < chance, "yes", "no"),
        }
    )


def _write_lifecycle(folder: Path) -> None:
    rows().write_csv(folder / "rows.csv")
    (folder / "everloop.yaml").write_text(FILE)


@pytest.fixture(scope="session")
def write_lifecycle() -> Callable[[Path], None]:
    return _write_lifecycle


@pytest.fixture
def lifecycle(tmp_path: Path) -> Path:
    """The lifecycle's folder, nothing run yet."""
    _write_lifecycle(tmp_path)
    return tmp_path
