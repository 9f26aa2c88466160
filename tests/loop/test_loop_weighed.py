"""Rows that count more than others, from the file to the gate and the card."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import recall_score, roc_auc_score

from everloop.loop.run import run_once
from everloop.loop.steps import held_out
from everloop.loop.workspace import Workspace
from everloop.record.rows import StepRow
from everloop.runtime.package import Package
from everloop.spec import load
from everloop.table.dataset import Dataset

from .conftest import START, rows


@pytest.mark.slow
def test_what_a_row_counts_is_seen_by_training_gate_and_card(folder, clock):
    table = rows(1200)
    weighed = table.with_columns(counts=pl.Series(np.random.default_rng(2).choice([0.0, 1.0, 6.0], 1200)))
    weighed.write_csv(folder / "rows.csv")
    path = folder / "everloop.yaml"
    stated = 'problem: {weight: counts, sensitive: [site], require: {recall: ">= 0"}, '
    text = path.read_text().replace("problem: {", stated)
    path.write_text(text.replace("model: {", 'model: {fairness: {equal_opportunity_difference: "<= 0.5"}, '))
    with Workspace.open(load(path), clock=clock) as opened:
        version = run_once(opened, as_of=START.replace(year=2025)).version
        steps = {row.name: row for row in opened.record.find(StepRow)}
        dataset = Dataset.load(opened.store.open(steps["dataset"].key))
        folder_of = opened.store.open(version.package) / "package"
        checks = {one["name"]: one for one in steps["gate"].facts["result"]["checks"]}
        frame = steps["frame"].facts
    assert "says how much a row counts" in json.dumps(frame)
    package = Package(folder_of)
    assert "counts" not in [column.name for column in package.manifest.inputs]
    test = held_out(dataset).filter(pl.col("counts") > 0)
    actual, counts = (test["bad"] == "yes").to_numpy(), test["counts"].to_numpy()
    scores = package.scores(test)[:, 0]
    decided = scores >= package.manifest.threshold
    said = package.manifest.metrics
    assert said["roc_auc"] == pytest.approx(roc_auc_score(actual, scores, sample_weight=counts))
    assert checks["problem.require.recall"]["evidence"]["found"] == pytest.approx(
        recall_score(actual, decided, sample_weight=counts)
    )
    rates = [
        recall_score(actual[rows], decided[rows], sample_weight=counts[rows])
        for rows in ((test["site"] == name).to_numpy() for name in ("north", "south"))
    ]
    fair = checks["fairness.equal_opportunity_difference by site"]["evidence"]
    assert fair["found"] == pytest.approx(abs(rates[0] - rates[1]))
    prices = np.where(decided, -10.0, np.where(actual, -60.0, 0.0))
    gain = np.average(prices - np.where(actual, -60.0, 0.0), weights=counts)
    assert checks["better than today"]["evidence"]["estimate"] == pytest.approx(gain)
    assert "Rows count by counts" in (folder_of / "card.html").read_text()
