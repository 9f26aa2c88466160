"""A small lifecycle whose features look at other sources, and at a function."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

FILE = """
name: loans
goal:
  today: {always: "no"}
  value: {currency: EUR, true_positive: 0, false_positive: -1, false_negative: -5, true_negative: 1}
problem: {target: bad, time: asked_at, entity: customer, label_delay: 5d}
data:
  sources:
    loans: {file: loans.csv}
    payments: {file: payments.csv, time: paid_at, known: booked_at, key: payment}
    bureau: {file: bureau.csv}
  contract: contract.yaml
  features:
    paid_20d: {from: payments, by: customer, over: 20d, value: sum(amount)}
    payments_20d: {from: payments, by: customer, over: 20d, value: count(*)}
    score: {from: bureau, by: customer, latest: score, within: 30d}
    paid_share: paid_20d / nullif(amount, 0)
    risk: features.py:risk
model: {learners: [linear], budget: {trials: 1}, select_features: false}
"""

FUNCTION = """
from datetime import datetime

RISK = {"north": 0.1, "south": 0.7}


def risk(region: str, paid_20d: float | None) -> float:
    return RISK.get(region, 0.5) - 0.001 * (paid_20d or 0.0)
"""


def loans(count: int = 900, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "customer": random.integers(0, 60, count),
            "asked_at": [START + 60 * DAY * float(share) for share in np.sort(random.random(count))],
            "amount": random.exponential(100, count).round(2),
            "region": random.choice(["north", "south", "west"], count),
        }
    )


def payments(count: int = 1500, seed: int = 1) -> pl.DataFrame:
    """Payments that are booked up to five days late; every tenth is corrected later."""
    random = np.random.default_rng(seed)
    paid = pl.DataFrame(
        {
            "payment": range(count),
            "customer": random.integers(0, 70, count),
            "paid_at": [START - 10 * DAY + 70 * DAY * float(share) for share in random.random(count)],
            "late": random.exponential(1.0, count),
            "amount": random.exponential(30, count).round(2),
        }
    ).with_columns(booked_at=pl.col("paid_at") + pl.duration(seconds=pl.col("late") * 86_400))
    corrected = paid.gather_every(10).with_columns(
        amount=pl.col("amount") / 2, booked_at=pl.col("booked_at") + pl.duration(days=4)
    )
    return pl.concat([paid, corrected]).drop("late").sample(fraction=1.0, shuffle=True, seed=2)


def bureau(count: int = 150, seed: int = 3) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "customer": random.integers(0, 60, count),
            "at": [START - 20 * DAY + 80 * DAY * float(share) for share in random.random(count)],
            "score": random.integers(300, 850, count),
        }
    )


@pytest.fixture
def folder(tmp_path):
    """A lifecycle's folder with its file, its data and its function."""
    asked, paid, scored = loans(), payments(), bureau()
    random = np.random.default_rng(4)
    chance = 1 / (1 + np.exp(asked["amount"].to_numpy() / 60 - 1.5))
    asked = asked.with_columns(bad=pl.Series(np.where(random.random(asked.height) < chance, "yes", "no")))
    for name, table in {"loans": asked, "payments": paid, "bureau": scored}.items():
        table.write_csv(tmp_path / f"{name}.csv")
    (tmp_path / "everloop.yaml").write_text(FILE)
    (tmp_path / "features.py").write_text(FUNCTION)
    return tmp_path
