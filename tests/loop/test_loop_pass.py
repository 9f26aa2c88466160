"""One pass through the phases."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import everloop as el
from everloop.core.clock import parse_time
from everloop.core.errors import RecordBusy, SourceUnreachable, UsageFault
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.model.trained import Trained
from everloop.monitor.references import Reference
from everloop.monitor.state import SCORE
from everloop.record import why
from everloop.record.rows import DecisionRow, DeploymentRow, RunRow, VersionRow
from everloop.runtime.package import Package
from everloop.runtime.routing import read_routing
from everloop.spec import load
from everloop.table.dataset import Dataset

AS_OF = datetime(2024, 1, 31, tzinfo=UTC)
STEPS = [
    "snapshot",
    "quarantine",
    "contract",
    "frame",
    "brief",
    "dataset",
    "train",
    "explain",
    "reference",
    "package",
    "gate",
]


def test_a_pass_goes_from_the_goal_to_a_served_version(workspace):
    told = []
    with Workspace.open(workspace.spec, clock=workspace.clock, progress=told.append) as watched:
        result = run_once(watched, as_of=AS_OF)
    assert list(result.steps) == STEPS
    assert result.run.status == "done"
    assert (result.version.number, result.version.status) == (1, "champion")
    assert (result.gate.answer, result.release.answer) == ("passed", "champion")
    lines = {event.phase for event in told if event.kind == "result"}
    assert lines == {"goal", "problem", "data", "model", "deploy"}
    routing = read_routing(workspace.routing_path)
    package = Package(routing.champion.package)
    assert package.manifest.created == "2024-01-31T00:00:00Z"
    assert package.answer({"a": 3.0, "b": 0.0, "site": "north"}).prediction == "yes"
    parity = json.loads((package.folder / "parity.json").read_bytes())
    assert parity["passed"]
    assert (workspace.folder / "contract.yaml").exists()


def test_a_reference_holds_scores_of_rows_alone_that_its_model_did_not_learn_from(workspace):
    done = run_once(workspace, as_of=AS_OF)
    folders = {name: workspace.store.open(done.steps[name].key) for name in ("train", "dataset", "reference")}
    trained, dataset = Trained.load(folders["train"]), Dataset.load(folders["dataset"])
    reference, test = Reference.load(folders["reference"]), dataset.table("test")
    assert sorted(reference.scores) == sorted(trained.scores(test))
    assert reference.histograms[SCORE].rows == test.height
    assert reference.rows == reference.histograms["a"].rows == test.height + dataset.validation.height


def test_an_unchanged_pass_executes_nothing(workspace):
    first = run_once(workspace, as_of=AS_OF)
    second = run_once(workspace, as_of=AS_OF)
    assert second.executed == []
    assert second.version == first.version
    assert second.gate == first.gate
    assert second.release == first.release
    assert len(workspace.record.find(VersionRow)) == 1
    assert len(workspace.record.find(DeploymentRow)) == 1
    assert len(workspace.record.find(DecisionRow)) == 2


def test_a_lifecycle_that_is_moved_does_nothing_again(folder, clock, tmp_path_factory):
    with Workspace.open(load(folder), clock=clock) as workspace:
        first = run_once(workspace)
    elsewhere = folder.rename(tmp_path_factory.mktemp("elsewhere") / "moved")
    with Workspace.open(load(elsewhere), clock=clock) as workspace:
        again = run_once(workspace)
    assert again.executed == []
    assert again.version.digest == first.version.digest


def test_a_pass_without_a_time_knows_that_nothing_changed(workspace):
    workspace.clock.advance_to(datetime(2025, 1, 1, tzinfo=UTC))
    run_once(workspace)
    workspace.clock.advance_to(datetime(2025, 1, 2, tzinfo=UTC))
    assert run_once(workspace).executed == []


def test_nothing_is_done_again_until_a_time_comes(workspace):
    """Some actuals are not known yet; before the next one is, there is nothing to do."""
    first = run_once(workspace, until="data")
    assert first.facts("snapshot")["hidden_actuals"] > 0
    now, changes = workspace.clock.now(), parse_time(first.facts("snapshot")["changes_at"])
    assert now <= changes <= now + timedelta(minutes=48)
    workspace.clock.advance_to(max(now, changes - timedelta(seconds=1)))
    assert run_once(workspace, until="data").executed == []
    workspace.clock.advance_to(changes + timedelta(seconds=1))
    assert "snapshot" in run_once(workspace, until="data").executed


def test_actuals_that_become_known_make_a_new_snapshot(workspace):
    run_once(workspace, until="data")
    workspace.clock.advance_to(workspace.clock.now() + timedelta(days=1))
    assert "snapshot" in run_once(workspace, until="data").executed


def test_only_what_depends_on_a_change_is_done_again(workspace, folder):
    run_once(workspace, as_of=AS_OF)
    text = (folder / "everloop.yaml").read_text().replace("trials: 1", "trials: 2")
    (folder / "everloop.yaml").write_text(text)
    with Workspace.open(load(folder), clock=workspace.clock) as changed:
        result = run_once(changed, as_of=AS_OF)
    assert result.executed[0] == "train"
    assert result.version.number == 2


def test_until_stops_and_since_does_again(workspace):
    assert list(run_once(workspace, as_of=AS_OF, until="goal").steps) == STEPS[:5]
    assert list(run_once(workspace, as_of=AS_OF, until="data").steps) == STEPS[:6]
    assert run_once(workspace, as_of=AS_OF).executed == STEPS[6:]
    again = run_once(workspace, as_of=AS_OF, since="deploy")
    assert again.executed == ["gate"]
    with pytest.raises(UsageFault, match="'later' is no phase"):
        run_once(workspace, until="later")


def test_nothing_from_after_the_time_is_learned_from(workspace):
    result = run_once(workspace, as_of=AS_OF, until="goal")
    table = pl.read_parquet(result.steps["snapshot"].path / "table.parquet")
    assert table["asked_at"].max() < AS_OF
    late = table.filter(pl.col("asked_at") > AS_OF - timedelta(hours=6))
    assert late.height > 0
    assert late["bad"].null_count() == late.height
    assert late["known_at"].null_count() == late.height


def test_a_version_that_its_gate_refuses_does_not_serve(workspace, folder):
    text = (folder / "everloop.yaml").read_text().replace('"<= 0.9"', '"<= 0.01"')
    (folder / "everloop.yaml").write_text(text)
    with Workspace.open(load(folder), clock=workspace.clock) as strict:
        result = run_once(strict, as_of=AS_OF)
    assert result.gate.answer == "refused"
    assert "goal.require.positive_rate" in result.gate.reason
    assert (result.release, result.version.status) == (None, "refused")
    assert not workspace.routing_path.exists()


def test_why_leads_from_a_release_back_to_the_data(workspace):
    result = run_once(workspace, as_of=AS_OF)
    chain = why(workspace.record, result.release.id)
    kinds = {identity.partition("_")[0] for identity in chain.ids()}
    assert {"decision", "version", "step", "run"} <= kinds
    assert result.version.id in chain.ids()


def test_two_passes_at_once_are_refused_and_a_failed_one_is_marked(workspace, folder):
    with workspace.sole("run"), pytest.raises(RecordBusy, match="Another process is at work on small"):
        run_once(workspace, as_of=AS_OF)
    (folder / "rows.csv").unlink()
    with pytest.raises(SourceUnreachable, match=r"rows\.csv"):
        run_once(workspace, as_of=AS_OF)
    assert workspace.record.find(RunRow, order="-at", limit=1)[0].status == "failed"


def test_a_lifecycle_runs_from_python(folder):
    result = el.load(folder).run(as_of=AS_OF, until="problem")
    assert result.facts("frame")["frame"]["positive"] == "yes"
    assert el.Lifecycle(el.load(folder).spec).spec.name == "small"
