"""Each trigger through the loop: what asks for a retrain, what waits, what fails and is said."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from everloop.cli import main
from everloop.core.clock import SimulatedClock
from everloop.core.errors import OutsideFault, RecordBusy, SpecFault
from everloop.deploy.release import move_by_hand
from everloop.deploy.versions import champion, open_rollout
from everloop.loop import deciding
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.sole_pass import LEASE, sole_pass
from everloop.loop.workspace import Workspace
from everloop.record.rows import AlertRow, DecisionRow, RunRow, WindowRow
from everloop.runtime.log import ActualLine, PredictionLine, PredictionLog
from everloop.spec import load

START = datetime(2024, 1, 31, tzinfo=UTC)  # a Wednesday
pytestmark = pytest.mark.usefixtures("known_steps")


def opened(folder: Path, on: str, **changes: object) -> Workspace:
    """The lifecycle, with what asks for a retrain; a first version is released."""
    spec = load(folder)
    monitor = spec.monitor.model_dump(mode="json") | {"retrain": {"on": on, **changes}}
    made = type(spec).model_validate(spec.model_dump(mode="json") | {"monitor": monitor}).in_folder(folder)
    workspace = Workspace.open(made, clock=SimulatedClock(START))
    run_once(workspace, as_of=START)
    return workspace


def tick(workspace: Workspace, at: datetime) -> list[str]:
    """What the loop says of retrains at a time."""
    workspace.clock.advance_to(at)
    return [one.text for one in Loop(workspace).tick().happenings if one.kind == "retrain"]


def answered(workspace: Workspace, since: datetime, count: int, *, told: bool = True) -> None:
    """Predictions of an hour each, with their actuals."""
    with PredictionLog(workspace.log_folder, worker=f"t{since:%j%H}") as log:
        for place in range(count):
            at = int((since + timedelta(hours=place)).timestamp() * 1e6)
            row = {"row_id": f"x{place}", "a": 0.1 * (place % 7), "b": 0.0, "site": "north", "asked_at": None}
            log.append(PredictionLine(f"{since:%j}-{place}", at, 1, "champion", row, 0.2, "no", 90))
            if told:
                log.append(ActualLine(f"{since:%j}-{place}", "no", at + 1_000_000))


def runs(workspace: Workspace) -> int:
    return len(workspace.record.find(RunRow, lifecycle=workspace.name))


@pytest.mark.slow
def test_a_schedule_is_kept_to_the_minute_without_any_traffic(folder):
    with opened(folder, ["schedule: every Monday at 6 Europe/Oslo"]) as workspace:
        monday = datetime(2024, 2, 5, 5, tzinfo=UTC)  # 6 o'clock in Oslo
        assert tick(workspace, monday - timedelta(minutes=1)) == []
        told = tick(workspace, monday)
        assert told[0].startswith(
            "retrain: schedule: every Monday at 6 Europe/Oslo: due since 2024-02-05 05:00"
        )
        assert runs(workspace) == 2
        assert tick(workspace, monday + timedelta(days=1)) == []
        under_way = open_rollout(workspace.record, workspace.name)
        if under_way is not None:
            move_by_hand(workspace.record, under_way, "abort", workspace.clock.now(), who="a test")
        # The champion is still the old one; the schedule counts from the last run all the same.
        assert tick(workspace, monday + timedelta(days=6, hours=23)) == []
        assert tick(workspace, monday + timedelta(days=7)) != []


@pytest.mark.slow
def test_new_labels_are_counted_since_the_last_training(folder):
    with opened(folder, ["labels: 30"]) as workspace:
        answered(workspace, START, 29)
        assert tick(workspace, START + timedelta(hours=40)) == []
        answered(workspace, START + timedelta(days=2), 40, told=False)
        assert tick(workspace, START + timedelta(days=4)) == []
        answered(workspace, START + timedelta(days=4), 5)
        assert tick(workspace, START + timedelta(days=4, hours=12))[0].startswith(
            "retrain: labels: 30: 34 new"
        )
        assert runs(workspace) == 2


@pytest.mark.slow
def test_a_new_contract_asks_for_a_retrain_once(folder):
    with opened(folder, ["contract"]) as workspace:
        assert tick(workspace, START + timedelta(hours=1)) == []
        path = folder / "contract.yaml"
        path.write_text(path.read_text() + "\n# a remark is no change\n")
        assert tick(workspace, START + timedelta(hours=2)) == []
        text = path.read_text()
        changed = text.replace("extra: ignore", "extra: reject")
        assert changed != text
        path.write_text(changed)
        assert tick(workspace, START + timedelta(hours=3))[0] == (
            "retrain: contract: the contract is another than that of the last pass"
        )
        assert tick(workspace, START + timedelta(hours=4)) == []


@pytest.mark.slow
def test_a_rule_and_a_function_are_asked_at_each_window_and_nothing_is_a_decision(folder):
    (folder / "policy.py").write_text(
        "def when(predictions):\n    return 'many' if predictions > 90 else False\n"
    )
    with opened(folder, ["rule: predictions > 200", "python: policy.py:when"]) as workspace:
        answered(workspace, START, 80)
        answered(workspace, START + timedelta(days=5), 120)
        answered(workspace, START + timedelta(days=10), 2)
        assert tick(workspace, START + timedelta(days=5, minutes=1))[0].startswith(
            "nothing: nothing asks for a retrain (watched: rule: predictions > 200, python: policy.py:when)"
        )
        assert tick(workspace, START + timedelta(days=10, minutes=1))[0].startswith(
            "retrain: python: policy.py:when: many"
        )
        decisions = workspace.record.find(DecisionRow, kind="retrain")
        assert [row.answer for row in decisions] == ["nothing", "retrain"]


def test_a_function_that_fails_says_where(folder):
    (folder / "policy.py").write_text("def when(drift):\n    return drift['x']\n")
    with opened(folder, ["python: policy.py:when"]) as workspace:
        answered(workspace, START, 60)
        with pytest.raises(SpecFault, match=r"policy\.py:when fails: TypeError"):
            tick(workspace, START + timedelta(days=6))


@pytest.mark.slow
@pytest.mark.parametrize("error", [OutsideFault("The source is down."), ZeroDivisionError("of a learner")])
def test_a_retrain_that_fails_backs_off_and_says_so(folder, monkeypatch, error):
    with opened(folder, ["schedule: daily"]) as workspace:
        tries = []

        def failing(*_, as_of, **__):
            tries.append(as_of)
            raise error

        monkeypatch.setattr(deciding, "run_once", failing)
        for hour in range(0, 24 * 40, 12):
            tick(workspace, START + timedelta(hours=hour))
        pauses = [(after - before) / timedelta(days=5) for before, after in pairwise(tries)]
        assert pauses == [1.0, 2.0, 4.0]  # windows of five days, twice as many each time
        failed = workspace.record.find(DecisionRow, answer="failed")
        assert [row.facts["failures"] for row in failed] == [1, 2, 3, 4][: len(tries)]
        assert str(error) in failed[0].reason.replace("ZeroDivisionError: ", "")
        alerts = workspace.record.find(AlertRow, kind="retrain")
        assert len(alerts) == len(failed)
        assert "in a row" in alerts[-1].message
        assert "a retrain failed" in (folder / "alerts.jsonl").read_text()


@pytest.mark.slow
def test_by_hand_it_is_a_decision_with_who_and_why(folder, monkeypatch, capsys):
    with opened(folder, ["drift"]):
        pass
    monkeypatch.chdir(folder)
    assert main(["retrain", "--who", "anna", "--reason", "prices were changed"]) in (0, 1)
    capsys.readouterr()
    with Workspace.open(load(folder)) as workspace:
        decision = workspace.record.find(DecisionRow, kind="retrain")[-1]
        assert (decision.answer, decision.reason) == ("retrain", "by hand, anna: prices were changed")
        run = workspace.record.find(RunRow, lifecycle=workspace.name)[-1]
        assert [link.effect for link in workspace.record.effects(decision.id)] == [run.id]


@pytest.mark.slow
def test_a_loop_that_is_killed_while_it_trains_goes_on_with_the_same_data(folder, monkeypatch):
    with opened(folder, ["schedule: 3d"]) as workspace:
        begun = []

        def killed(*_, as_of, **__):
            begun.append(as_of)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(deciding, "run_once", killed)
            with pytest.raises(KeyboardInterrupt):
                tick(workspace, START + timedelta(days=3))
        assert tick(workspace, START + timedelta(days=3, hours=5)) == []  # it was decided before
        run = workspace.record.find(RunRow, lifecycle=workspace.name)[-1]
        assert (run.status, [run.as_of]) == ("done", begun)
        decision = workspace.record.find(DecisionRow, kind="retrain")[-1]
        assert [link.effect for link in workspace.record.effects(decision.id)] == [run.id]
        assert tick(workspace, START + timedelta(days=3, hours=6)) == []
        assert runs(workspace) == 2


@pytest.mark.slow
def test_a_loop_that_is_killed_between_a_window_and_its_decision_decides_later(folder, monkeypatch):
    with opened(folder, ["drift"]) as workspace:
        answered(workspace, START, 60)

        def killed(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("everloop.loop.loop.decide", killed)
            with pytest.raises(KeyboardInterrupt):
                tick(workspace, START + timedelta(days=5, hours=1))
        assert workspace.record.find(DecisionRow, kind="retrain") == []
        told = tick(workspace, START + timedelta(days=5, hours=2))
        assert len(told) == 1
        window = workspace.record.find(WindowRow)[0]
        decision = workspace.record.find(DecisionRow, kind="retrain")[0]
        assert decision.facts["window"] == window.id
        assert [alert.at for alert in workspace.record.find(AlertRow)] == [
            alert.at for alert in workspace.record.find(AlertRow) if alert.at == window.at
        ]
        assert tick(workspace, START + timedelta(days=5, hours=3)) == []
        assert len(workspace.record.find(WindowRow)) == 1


HOLDING = """
import sys, time
from everloop.loop.sole_pass import sole_pass
from everloop.loop.workspace import Workspace
from everloop.spec import load
with Workspace.open(load(sys.argv[1])) as workspace, sole_pass(workspace):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_processes_never_make_a_pass_at_once_and_a_killed_one_lets_go(folder):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING, folder],
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    with holder, Workspace.open(load(folder)) as workspace:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RecordBusy, match="Another process is at work"):
            run_once(workspace)
        assert workspace.record.find(RunRow) == []
        # Another machine has another lock, and the same record.
        elsewhere = replace(workspace, state=folder / "elsewhere")
        elsewhere.state_folder.mkdir()
        with pytest.raises(RecordBusy, match="Another machine is at work"), sole_pass(elsewhere):
            pass
        holder.kill()
        holder.wait()
        with sole_pass(workspace):
            pass
        with sole_pass(elsewhere):
            pass


def test_a_pass_keeps_its_lease_while_it_lasts(workspace, monkeypatch):
    monkeypatch.setattr("everloop.loop.sole_pass.LEASE", timedelta(seconds=4))
    elsewhere = replace(workspace, state=workspace.folder / "elsewhere")
    elsewhere.state_folder.mkdir()
    assert timedelta(seconds=30) < LEASE
    with sole_pass(workspace):
        time.sleep(5)
        with pytest.raises(RecordBusy), sole_pass(elsewhere):
            pass


def test_the_loop_waits_while_another_pass_is_made(folder):
    with opened(folder, ["schedule: 3d"]) as workspace:
        with sole_pass(workspace):
            told = tick(workspace, START + timedelta(days=3))
            assert "Another process is at work" in told[1]
            assert tick(workspace, START + timedelta(days=3, hours=1)) == []
        assert champion(workspace.record, "small").number == 1
        answers = {row.answer for row in workspace.record.find(DecisionRow, kind="retrain")}
        assert answers == {"retrain", "postponed"}
        assert workspace.record.find(AlertRow, kind="retrain") == []
