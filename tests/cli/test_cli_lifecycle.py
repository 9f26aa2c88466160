"""A small lifecycle through the front door: run, run again, look at it, predict with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from everloop.cli import main
from everloop.runtime import Package


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, write_rows, lifecycle: str) -> tuple[Path, Path]:
    """A lifecycle that has run, and a copy of it to bring it back from."""
    folder = tmp_path_factory.mktemp("finished")
    home, kept = folder / "home", folder / "kept"
    home.mkdir()
    write_rows(home / "rows.csv")
    (home / "everloop.yaml").write_text(lifecycle)
    assert main(["run", "--file", str(home)]) == 0
    shutil.copytree(home, kept)
    return home, kept


@pytest.fixture
def done(finished: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it ran, as it was when it had: what it stored names its place."""
    home, kept = finished
    shutil.rmtree(home)
    shutil.copytree(kept, home)
    monkeypatch.chdir(home)
    return home


def test_run_tells_a_line_a_phase_and_an_unchanged_run_executes_nothing(cli, home: Path) -> None:
    before = (home / "rows.csv").read_bytes()
    first = cli("run")
    assert first.status == 0, first
    phases = [line.split()[0] for line in first.out.split("\n\n")[0].splitlines()]
    assert {"goal", "problem", "data", "model", "deploy"} <= set(phases)
    assert "v1 champion" in first.out
    again = cli("run", "--json")
    assert again.status == 0
    assert again.facts["executed"] == []
    assert again.facts["version"] == 1
    assert (home / "rows.csv").read_bytes() == before


def test_run_stops_where_it_is_told_to(cli, home: Path) -> None:
    said = cli("run", "--until", "data", "--json")
    assert said.status == 0
    assert "train" not in said.facts["steps"]
    assert cli("run", "--until", "nowhere").status == 2
    assert cli("run", "--as-of", "yesterday").status == 2


def test_a_version_that_the_gate_refuses_is_a_no(cli, home: Path) -> None:
    file = home / "everloop.yaml"
    file.write_text(
        file.read_text().replace(
            "Cut losses.", 'x\n  on_stop: continue\n  require: {value_per_decision: ">= 0.9"}'
        )
    )
    said = cli("run")
    assert said.status == 1
    assert "gate     refused" in said.out
    assert "everloop why decision_" in said.out


def test_status_and_why_tell_the_loop(cli, done: Path) -> None:
    facts = cli("status", "--json").facts
    assert facts["deployment"]["champion"] == "v1"
    assert facts["versions"][0]["value"].endswith("a decision")
    text = cli("status").out
    assert "serves     v1" in text
    for asked in ("v1", "1", facts["decisions"][0]["id"]):
        chain = cli("why", asked, "--json").facts
        assert any(cause["kind"] == "run" for cause in chain["causes"])
    assert cli("why", "v9").status == 2
    assert cli("why", "decision_nope").status == 2


def test_why_a_version_begins_with_its_goal_and_with_what_was_decided(cli, done: Path) -> None:
    said = cli("why", "v1").out
    for part in (
        "v1 is the champion",
        "goal     a decision is worth",
        "model    ",
        "Decided about v1",
        "gate     passed",
        "release  champion",
        "Checked by the gate",
        "better than today",
        "goal: step_",
    ):
        assert part in said, said
    assert said.index("Decided about v1") < said.index("All that led to it")
    story = cli("why", "v1", "--json").facts["story"]
    assert [one["kind"] for one in story["decisions"]] == ["gate", "release"]
    assert story["decisions"][0]["facts"]["checks"]
    gate = cli("why", story["decisions"][0]["id"]).out
    assert gate.startswith("Checked by the gate")
    assert "Decided about" not in gate


def test_why_a_prediction_leads_to_its_version(cli, done: Path) -> None:
    from datetime import UTC, datetime

    from everloop.core.ids import new_id
    from everloop.runtime.log import LogLimits, PredictionLine, PredictionLog

    now = datetime(2026, 1, 2, tzinfo=UTC)
    identity = new_id("prediction", now)
    moment = int(now.timestamp() * 1e6)
    log = PredictionLog(done / ".everloop" / "log", "w0", "buffer", LogLimits())
    log.append(PredictionLine(identity, moment, 1, "champion", {"amount": 3.0}, 0.2, "no", 40))
    log.flush()
    log.close()
    said = cli("why", identity)
    assert said.status == 0, said
    assert "v1 champion" in said.out
    assert "prediction: no" in said.out
    other = cli("why", identity, "--otherwise", "--json")
    assert other.status == 0, other
    found = other.facts["otherwise"]
    assert found is None or found["prediction"] == "yes"
    assert cli("why", identity, "--otherwise", "--fixed", "nope").status == 2
    assert cli("why", "v1", "--otherwise").status == 2


def test_rollout_by_hand(write_rows, cli, done: Path) -> None:
    assert "no rollout" in cli("rollout", "status").out
    assert cli("rollout", "promote").status == 2
    assert cli("rollout", "start", "v1").status == 2
    write_rows(done / "rows.csv", rows=400, seed=2)
    assert cli("retrain").status in (0, 1)
    facts = cli("rollout", "status", "--json").facts
    if facts["rollout"] is None:  # the gate kept it back
        assert cli("rollout", "start", "v2").status == 1
        return
    assert facts["state"] == "running"
    assert "nobody has looked at it yet: everloop up" in cli("rollout", "status").out
    assert cli("rollout", "pause", "--who", "ada", "--reason", "lunch").status == 0
    assert "a person decides: everloop rollout resume" in cli("rollout", "status").out
    assert cli("rollout", "pause").status == 2
    assert cli("rollout", "resume").status == 0
    assert cli("rollout", "approve", "--who", "ada").status == 2, "nothing waits for approval"
    promoted = cli("rollout", "promote", "--who", "ada", "--json").facts
    assert promoted["state"] == "promoted"
    assert cli("status", "--json").facts["deployment"]["champion"] == "v2"
    assert "lunch (ada)" in cli("rollout", "status").out


def test_predict_in_batches_is_what_the_package_says(cli, done: Path) -> None:
    said = cli("predict", "rows.csv", "--output", "out.parquet", "--keep", "id", "--json")
    assert said.status == 0, said
    assert said.facts["rows"] == 300
    scored = pl.read_parquet(done / "out.parquet")
    assert scored.columns == ["id", "prediction", "score"]
    package = _champion(done)
    table = pl.read_csv(done / "rows.csv")
    np.testing.assert_array_equal(scored["score"].to_numpy(), package.scores(table)[:, 0])
    assert scored["prediction"].to_list() == package.predict(table).tolist()

    from everloop.loop.scoring import FileRows, score_rows

    table.write_parquet(done / "rows.parquet")
    rows = FileRows(done / "rows.parquet")
    assert score_rows(package, rows, done / "small.csv", part_rows=7) == 300
    small = pl.read_csv(done / "small.csv")
    np.testing.assert_allclose(small["score"].to_numpy(), scored["score"].to_numpy(), rtol=1e-12)
    assert small.columns == [*table.columns, "prediction", "score"]
    table.clear().write_parquet(done / "none.parquet")
    assert score_rows(package, FileRows(done / "none.parquet"), done / "none.csv") == 0
    assert (done / "none.csv").read_text().strip() == ",".join(small.columns)


def test_predict_refuses_what_it_cannot_do(cli, done: Path) -> None:
    assert cli("predict", "rows.csv", "-o", "out.xlsx").status == 2
    assert cli("predict", "rows.csv", "-o", "rows.csv").status == 2
    assert "--keep income" in cli("predict", "rows.csv", "-o", "out.csv", "--keep", "incom").err
    assert cli("predict", "nowhere.csv", "-o", "out.csv").status == 2
    assert cli("predict", "rows.csv", "-o", "out.csv", "--package", "nowhere").status == 1
    pl.read_csv("rows.csv").drop("amount").write_csv("less.csv")
    said = cli("predict", "less.csv", "-o", "out.csv")
    assert said.status == 2
    assert "amount" in said.err
    assert not (done / "out.csv").exists()
    assert not list(done.glob(".*scor*"))
    assert not list(done.glob(".scratch-*"))


def test_monitor_and_doctor(cli, done: Path) -> None:
    assert cli("monitor").out.startswith("No window is due: ")
    facts = cli("doctor", "--json").facts
    states = {one["name"]: one["state"] for one in facts["symptoms"]}
    assert states["record"] == states["artifacts"] == states["contract"] == "ok"
    (done / "contract.yaml").write_text("columns: [")
    broken = cli("doctor")
    assert broken.status == 1
    assert "wrong  contract" in broken.out


def test_predict_before_a_release_says_what_to_do(cli, home: Path) -> None:
    said = cli("predict", "rows.csv", "-o", "out.csv")
    assert said.status == 2
    assert "everloop run" in said.err


def _champion(home: Path) -> Package:
    from everloop.cli.predict import champion_features

    return champion_features(home / "everloop.yaml").package
