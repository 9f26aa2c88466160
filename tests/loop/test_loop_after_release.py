"""A version that was promoted is watched against the one before it, and taken back where it is worse."""

from datetime import UTC, datetime, timedelta

import pytest

from everloop.cli.rollout import move_rollout
from everloop.console import page_for
from everloop.core.clock import parse_time
from everloop.core.errors import UsageFault
from everloop.deploy.release import release, take_back
from everloop.deploy.versions import champion, open_rollout
from everloop.loop.after_release import guards_after
from everloop.loop.deciding import WAITS
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.record import why
from everloop.record.rows import AlertRow, DecisionRow, RolloutRow, VersionRow
from everloop.report import render
from everloop.runtime.routing import read_routing
from everloop.spec import load, parse

from .test_loop_rollout import Traffic

BEFORE, AFTER = datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 3, 18, tzinfo=UTC)
CHANGED = 1250
"""From this row on the world is another."""


@pytest.fixture
def promoted(workspace, folder):
    """v1, which knows the world before its change, and v2, which knows the one after it and serves."""
    run_once(workspace, as_of=BEFORE)
    workspace.clock.advance_to(AFTER)
    path = folder / "everloop.yaml"
    kept = "monitor: {window: {predictions: 100}, after_release: {windows: 5}, retrain: {on: ['labels: 9999'], history: {last: 30d}}, "
    path.write_text(path.read_text().replace("monitor: {window: 5d, ", kept))
    with Workspace.open(load(path), clock=workspace.clock) as opened:
        version = run_once(opened, as_of=AFTER).version
        if open_rollout(opened.record, "small") is None:
            release(opened.record, version, opened.spec.deploy, opened.clock.now())
        move_rollout(opened, "promote", who="a test", reason="")
        Loop(opened).tick()
        yield opened


def rollout_decisions(record, answer):
    return [row for row in record.find(DecisionRow, kind="rollout") if row.answer == answer]


def later(opened):
    """Lets the label delay pass, after which actuals count, and gives what became of the rollout."""
    opened.clock.advance_to(opened.clock.now() + timedelta(hours=8))
    return [one.text for one in Loop(opened).tick().happenings if one.kind == "rollout"]


@pytest.mark.slow
def test_a_version_that_turns_out_worse_is_taken_back_and_the_next_retrain_waits(promoted, folder):
    record, traffic = promoted.record, Traffic(promoted, folder)
    assert champion(record, "small").number == 2
    # It is `a` alone that tells again, as v1 learned.
    traffic.rows = [row | {"bad": "yes" if row["a"] > 0.3 else "no"} for row in traffic.rows]
    assert traffic.send(60, actuals=False) == []  # no evidence: nothing happens
    # An actual counts once its delay is over: what is known early may be of one kind.
    assert traffic.send(400) == []
    told = later(promoted)
    assert told
    assert told[0].startswith(
        "roll_back: v2 is worse than v1 before it, which serves again; value_per_decision"
    )
    assert champion(record, "small").number == 1
    assert read_routing(promoted.routing_path).champion.version == 1
    assert [row.status for row in record.find(VersionRow, order="number")] == ["champion", "refused"]
    assert record.find(RolloutRow)[0].state == "taken_back"
    (decision,) = rollout_decisions(record, "roll_back")
    (guard,) = [one for one in decision.facts["guards"] if one["name"] == "value_per_decision"]
    assert guard["answer"] == "harm"
    assert guard["evidence"]["odds_of_harm"] >= guard["evidence"]["needed_for_harm"]
    (alert,) = [row for row in record.find(AlertRow) if row.kind == "rollout"]
    assert "v2 is worse than v1" in alert.message
    assert decision.id in why(record, alert.id).ids()
    waits = record.state("small", WAITS)
    assert parse_time(waits["until"]) >= decision.at + timedelta(days=3)
    assert waits["orders"]
    assert "v2 was taken back" in waits["why"]
    assert "taken back" in render(page_for(promoted, None))
    # What is over is not decided again, and what does not serve is not taken back.
    assert traffic.send(100) == []
    with pytest.raises(UsageFault):
        take_back(record, record.find(RolloutRow)[0], "again", {}, promoted.clock.now())


@pytest.mark.slow
def test_a_version_that_is_no_worse_is_kept_once_its_time_is_over(promoted, folder):
    record, traffic = promoted.record, Traffic(promoted, folder)
    traffic.sent, told = CHANGED, []
    for _ in range(2):
        told += traffic.send(250)
    assert told == []
    told = later(promoted)
    (kept,) = rollout_decisions(record, "keep")
    assert told == [f"keep: {kept.reason}"]
    assert kept.reason.startswith(
        "v2 was not shown to be worse than the version before it; value_per_decision"
    )
    (guard,) = kept.facts["guards"]
    assert guard["evidence"]["rows"] == 500
    assert champion(record, "small").number == 2
    assert not rollout_decisions(record, "roll_back")
    traffic.sent = 0  # the world is the old one again, and nobody looks any more
    assert traffic.send(100) == []
    assert later(promoted) == []


def test_a_new_champion_is_held_to_what_needs_no_requests_of_the_other():
    text = (
        "name: a\nproblem: {target: b}\ndata: {sources: {rows: {file: rows.csv}}}\ndeploy: {guard: {error_rate: "
        "not worse, latency_p99: <= 50ms, agreement: '>= 90%', recall: not worse by 2%}}\n"
    )
    deploy = parse(text).deploy
    assert list(guards_after(deploy, "binary", priced=True)) == [
        "latency_p99",
        "recall",
        "value_per_decision",
    ]
    assert list(guards_after(deploy, "regression", priced=False)) == ["latency_p99", "recall", "mae"]
    assert list(guards_after(deploy, "clustering", priced=False)) == ["latency_p99", "recall"]
