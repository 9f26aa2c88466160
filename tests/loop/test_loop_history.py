"""What each training learns from: all there is, the latest rows alone, or older rows less."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.cli import main
from everloop.core.clock import SimulatedClock
from everloop.core.errors import SpecFault
from everloop.loop.run import run_once
from everloop.loop.support import refuse_unsupported
from everloop.loop.workspace import Workspace
from everloop.model.ageing import age_weights
from everloop.record.rows import StepRow
from everloop.spec import load
from everloop.table.dataset import Dataset

END = datetime(2024, 3, 21, tzinfo=UTC)


def trained(folder, history):
    """A run at the end of the data; gives its dataset's training rows, and its accuracy on the test rows."""
    text = (folder / "everloop.yaml").read_text()
    monitor = (
        "monitor: {window: 5d, drift: {alarm: 1 false alarm in 10 windows}, alerts: [{file: alerts.jsonl}]}\n"
    )
    changed = text.replace(monitor, monitor.replace("}]}", f"}}], retrain: {{history: {history}}}}}"))
    assert changed != text
    (folder / "everloop.yaml").write_text(changed)
    with Workspace.open(load(folder), clock=SimulatedClock(END)) as workspace:
        result = run_once(workspace, as_of=END)
        dataset = Dataset.load(result.steps["dataset"].path)
        return dataset.table("train"), result.version, dataset, workspace.record.find(StepRow, name="train")


@pytest.mark.slow
def test_a_sliding_history_leaves_out_what_is_older(folder):
    rows, version, dataset, _ = trained(folder, "{last: 30d}")
    latest = dataset.table("test")["asked_at"].max()
    assert rows["asked_at"].min() >= latest - timedelta(days=30)
    # 30 rows a day, without the last hours, whose actuals are not known yet.
    assert 30 * 29 <= sum(dataset.counts.values()) <= 30 * 30
    assert any("older than 30 days" in str(entry) for entry in dataset.cleaning)
    assert version is not None


@pytest.mark.slow
def test_a_half_life_follows_a_world_that_changed(folder):
    _, growing, _, _ = trained(folder, "growing")
    text = (folder / "everloop.yaml").read_text()
    (folder / "everloop.yaml").write_text(text.replace("history: growing", "history: {half_life: 4d}"))
    with Workspace.open(load(folder), clock=SimulatedClock(END)) as workspace:
        ageing = run_once(workspace, as_of=END).version
    assert ageing.number == growing.number + 1
    # The test part lies after the change, which half of the training rows know nothing of.
    known = [name for name in ("roc_auc", "average_precision") if name in growing.metrics]
    assert known
    assert all(ageing.metrics[name] > growing.metrics[name] for name in known)


def test_weights_halve_with_every_half_life_and_have_the_mean_one():
    random = np.random.default_rng(0)
    days = random.uniform(0, 400, 200)
    times = [END - timedelta(days=float(day)) for day in days]
    weights = age_weights(pl.DataFrame({"at": times}), "at", timedelta(days=50))
    assert weights.mean() == pytest.approx(1.0)
    older = np.argmax(days)
    expected = 2.0 ** ((days[older] - days) / 50)
    assert weights / weights[older] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("monitor: {retrain: {history: {half_life: 30d}}}", "no column of times is named"),
        ("monitor: {retrain: {history: {last: 30d}}}", "no column of times is named"),
    ],
)
def test_a_history_needs_times(tmp_path, line, told):
    head = "name: small\nproblem: {target: bad}\ndata: {sources: {rows: {file: rows.csv}}}\n"
    (tmp_path / "everloop.yaml").write_text(head + line)
    with pytest.raises(SpecFault, match=told):
        refuse_unsupported(load(tmp_path))


@pytest.mark.parametrize("history", ["shrinking", "{last: 0d}", "{lasts: 3d}", "{half_life: often}"])
def test_what_is_no_history_is_told_with_its_place(tmp_path, history, capsys):
    head = "name: small\nproblem: {target: bad}\ndata: {sources: {rows: {file: rows.csv}}}\n"
    (tmp_path / "everloop.yaml").write_text(head + f"monitor: {{retrain: {{history: {history}}}}}")
    assert main(["check", "--file", str(tmp_path / "everloop.yaml")]) == 2
    assert "monitor.retrain.history" in capsys.readouterr().err
