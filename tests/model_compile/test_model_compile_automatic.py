"""Features that the product makes by itself: each serves as it was trained, in every form."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import everloop as el

COMPLAINTS = ("parcel came late and broken", "thank you for the quick help", "where is my parcel now")


def letters(rows: int = 500, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    kind, hour = random.integers(0, 3, rows), random.integers(0, 24, rows)
    leaves = (kind == 0) * 2.0 + (kind == 2) * 0.8 + np.cos(2 * np.pi * hour / 24) - 0.8
    notes = [f"{COMPLAINTS[k]}, order {number}" for number, k in enumerate(kind)]
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "note": [None if number % 17 == 3 else note for number, note in enumerate(notes)],
            "at": [start + timedelta(days=int(n) // 3, hours=int(h)) for n, h in enumerate(hour)],
            "price": random.gamma(2.0, 30.0, rows),
            "left": np.where(random.random(rows) < 1 / (1 + np.exp(-2 * leaves)), "yes", "no"),
        }
    )


@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
def test_texts_and_cycles_serve_as_they_were_trained(tmp_path, learner) -> None:
    table = letters()
    model = el.model.search(
        table, "left", budget={"trials": 1}, learners=[learner], select_features=False, seed=0
    )
    model.package(tmp_path / "package", sample=table)
    package = el.runtime.Package(tmp_path / "package")
    certificate = json.loads((tmp_path / "package" / "parity.json").read_bytes())
    assert not (tmp_path / "package" / "model.onnx").exists()
    assert "The text 'note'" in certificate["absent"]["graph"]
    assert any("late" in getattr(encoder, "terms", ()) for encoder in package.plan.encoders)
    rows = table.drop("left").to_dicts()
    served = np.array([package.answer(row).score for row in rows])
    np.testing.assert_allclose(served, model.predict_proba(table)[:, 1], atol=1e-9)
    # The note alone tells much: without its text no model could.
    late = np.array(["broken" in (row["note"] or "") for row in rows])
    assert served[late].mean() > served[~late].mean() + 0.2


def debts(rows: int = 3000, seed: int = 1, *, ratio: bool = True) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    debt, income = random.lognormal(3, 1, rows), random.lognormal(3, 1, rows)
    signal = np.sin(3 * np.log(debt / income)) * 3 if ratio else np.log(debt)
    return pl.DataFrame(
        {
            "debt": debt,
            "income": income,
            "age": random.integers(18, 80, rows),
            "bad": np.where(random.random(rows) < 1 / (1 + np.exp(-signal)), "yes", "no"),
        }
    )


def test_a_ratio_is_made_where_it_helps_and_nowhere_else(tmp_path) -> None:
    helped = el.model.search(debts(), "bad", budget={"trials": 1}, learners=["lightgbm"], seed=0)
    made = {choice.name for choice in helped.trained.features if choice.kept}
    assert {"debt / income"} <= made or {"income / debt"} <= made
    helped.package(tmp_path / "package", sample=debts())
    package = el.runtime.Package(tmp_path / "package")
    assert {item.name for item in package.manifest.inputs} <= {"debt", "income", "age"}
    rows = debts(seed=9).drop("bad").to_dicts()[:200]
    served = [package.answer(row).score for row in rows]
    np.testing.assert_allclose(served, helped.predict_proba(pl.DataFrame(rows))[:, 1], atol=1e-9)
    plain = el.model.search(debts(ratio=False), "bad", budget={"trials": 1}, learners=["linear"], seed=0)
    assert not [choice.name for choice in plain.trained.features if choice.kept and " / " in choice.name]
