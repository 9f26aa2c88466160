"""A judged window for other tools: through the command line, with the numbers that the record has."""

import json
from datetime import timedelta

import polars as pl
import pytest

from everloop.cli import main
from everloop.loop.judged_window import judged_window
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.record.rows import WindowRow
from everloop.runtime.log import ActualLine, PredictionLine, PredictionLog
from everloop.runtime.package import Package
from everloop.runtime.routing import read_routing


@pytest.fixture
def judged(workspace, folder, clock, known_steps, monkeypatch):
    """A lifecycle with one judged window of five days."""
    begun = clock.now()
    run_once(workspace, as_of=begun)
    arm = read_routing(workspace.routing_path).champion
    package, log = Package(arm.package), PredictionLog(workspace.log_folder)
    table = pl.read_csv(folder / "rows.csv", try_parse_dates=True)
    times = pl.col("asked_at").dt.replace_time_zone(None).dt.replace_time_zone("UTC")
    within = times.is_between(begun, begun + timedelta(days=6))
    for row in table.with_columns(times).filter(within).to_dicts():
        served = {key: row[key] for key in ("row_id", "a", "b", "site")}
        served["asked_at"] = row["asked_at"].isoformat()
        answer, asked = package.answer(served), int(row["asked_at"].timestamp() * 1e6)
        told = (answer.score, answer.prediction, 90)
        log.append(PredictionLine(row["row_id"], asked, arm.version, "champion", served, *told))
        log.append(ActualLine(row["row_id"], row["bad"], asked + 3_600_000_000))
    log.flush()
    log.close()
    clock.advance_to(begun + timedelta(days=7))
    Loop(workspace).tick()
    monkeypatch.chdir(folder)
    return workspace.record.find(WindowRow)[0]


@pytest.mark.slow
def test_a_window_is_counted_again_as_it_was_judged_and_exported_once(workspace, folder, judged, capsys):
    found = judged_window(workspace)
    assert found == judged_window(workspace, judged.id)
    assert found.id == judged.id
    assert found.state.rows == judged.predictions
    told = judged.facts["drift"]
    assert found.drift.statistic == pytest.approx(told["statistic"], rel=1e-12)
    for column, distances in told["distances"].items():
        expected = {name: value for name, value in distances.items() if value is not None}
        assert {name: found.drift.distances[column][name] for name in expected} == pytest.approx(expected)

    words = ["export", "evidently", "--window", judged.id, "--out", "monday.json", "--json"]
    assert main(words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"] == judged.predictions
    assert all(": " in one for one in facts["left_out"])
    snapshot = json.loads((folder / "monday.json").read_bytes())
    values = [one["value"] for one in snapshot["metric_results"].values() if "RowCount" in str(one)]
    assert values == [judged.predictions]
    assert snapshot["metadata"]["everloop.window"] == judged.id
    assert main(words) == 2
