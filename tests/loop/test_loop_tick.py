"""The loop as time passes, on a world that changes half-way."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from everloop.deploy.release import move_by_hand, release
from everloop.deploy.versions import champion, open_rollout
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.record import why
from everloop.record.rows import AlertRow, DecisionRow, RunRow, WindowRow
from everloop.runtime.log import ActualLine, PredictionLine, PredictionLog
from everloop.runtime.package import Package
from everloop.runtime.routing import choose_arm, read_routing
from everloop.spec import load

CHANGE = datetime(2024, 2, 10, tzinfo=UTC)
START = datetime(2024, 1, 31, tzinfo=UTC)
END = datetime(2024, 3, 19, tzinfo=UTC)
STEP = timedelta(days=1)


class Traffic:
    """Answers the past as a server would, and tells its actuals when they became known."""

    def __init__(self, workspace, folder):
        self.workspace = workspace
        self.table = pl.read_csv(folder / "rows.csv", try_parse_dates=True).with_columns(
            pl.col("asked_at", "known_at").dt.convert_time_zone("UTC")
        )
        self.log = PredictionLog(workspace.log_folder)
        self.waiting = []

    def send(self, since, until):
        routing = read_routing(self.workspace.routing_path)
        for row in self.table.filter(pl.col("asked_at").is_between(since, until, closed="left")).to_dicts():
            name = choose_arm(routing, row["row_id"])
            arm = routing.champion if name == "champion" else routing.challenger
            served = {key: row[key] for key in ("row_id", "a", "b", "site")}
            served["asked_at"] = row["asked_at"].isoformat()
            answer = Package(arm.package).answer(served)
            asked = int(row["asked_at"].timestamp() * 1e6)
            self.log.append(
                PredictionLine(
                    row["row_id"], asked, arm.version, name, served, answer.score, answer.prediction, 90
                )
            )
            self.waiting.append(row)
        for row in [row for row in self.waiting if row["known_at"] < until]:
            self.log.append(ActualLine(row["row_id"], row["bad"], int(row["known_at"].timestamp() * 1e6)))
            self.waiting.remove(row)
        self.log.flush()


def live(workspace, folder, until=END):
    run_once(workspace, as_of=START)
    traffic, loop, happened = Traffic(workspace, folder), Loop(workspace), []
    now = START
    while now < until:
        traffic.send(now, now + STEP)
        now += STEP
        workspace.clock.advance_to(now)
        happened += loop.tick().happenings
    traffic.log.close()
    return happened


def move_to_the_south(path):
    """From `CHANGE` on all rows are of one site: inputs change, beside what they mean."""
    table, changed = pl.read_csv(path), pl.col("asked_at").str.to_datetime(time_zone="UTC") >= CHANGE
    site = pl.when(changed).then(pl.lit("south")).otherwise("site").alias("site")
    table.with_columns(site).write_csv(path)


@pytest.mark.slow
@pytest.mark.usefixtures("known_steps")
def test_a_world_that_changed_is_noticed_and_a_better_version_promoted(workspace, folder):
    move_to_the_south(folder / "rows.csv")
    happened = live(workspace, folder)
    kinds = {event.kind for event in happened}
    assert {"window", "alert", "retrain", "run", "rollout"} <= kinds
    record = workspace.record
    windows = record.find(WindowRow)
    drifted = [window for window in windows if window.facts["drift"]["status"] == "drift"]
    causes = [window.facts["causes"] for window in drifted if window.facts["causes"]]
    assert causes
    assert all(
        sum(one["amount"] for one in each["columns"]) == pytest.approx(each["change"]) for each in causes
    )
    assert all(window.facts["causes"] is None for window in windows if window not in drifted)
    assert [window.since for window in windows] == sorted({window.since for window in windows})
    assert sum(window.predictions for window in windows) <= 48 * 30

    value_alerts = [alert for alert in record.find(AlertRow) if alert.kind == "value"]
    assert min(alert.at for alert in value_alerts) >= CHANGE
    lines = (folder / "alerts.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in lines} == {alert.id for alert in record.find(AlertRow)}

    decisions = record.find(DecisionRow)
    nothing = [row for row in decisions if (row.kind, row.answer) == ("retrain", "nothing")]
    assert nothing, "doing nothing is a decision too"
    promoted = [row for row in decisions if (row.kind, row.answer) == ("rollout", "promote")]
    assert promoted
    assert champion(record, "small").number > 1
    chain = why(record, promoted[-1].id).ids()
    assert any(identity.startswith("window_") for identity in chain)
    assert all(run.status == "done" for run in record.find(RunRow))

    before = [w for w in windows if w.since >= CHANGE and w.facts["number"] == 1]
    after = [w for w in windows if w.facts["number"] == champion(record, "small").number]
    worst = min(w.facts["value"]["interval"]["estimate"] for w in before)
    assert max(w.facts["value"]["interval"]["estimate"] for w in after) > worst


@pytest.mark.usefixtures("known_steps")
def test_a_tick_that_is_repeated_does_nothing_twice(workspace, folder):
    live(workspace, folder, START + timedelta(days=6))
    windows = len(workspace.record.find(WindowRow))
    assert windows == 1
    assert Loop(workspace).tick().happenings == ()
    assert len(workspace.record.find(WindowRow)) == windows


@pytest.mark.usefixtures("known_steps")
def test_without_acting_windows_are_judged_and_nothing_is_done(workspace, folder):
    run_once(workspace, as_of=START)
    traffic = Traffic(workspace, folder)
    traffic.send(START, START + timedelta(days=20))
    traffic.log.close()
    workspace.clock.advance_to(START + timedelta(days=20))
    kinds = [event.kind for event in Loop(workspace).tick(act=False).happenings]
    assert kinds.count("window") == 4
    assert "run" not in kinds
    assert len(workspace.record.find(RunRow)) == 1


def test_before_the_first_release_a_tick_waits(workspace):
    assert Loop(workspace).tick().happenings == ()


@pytest.mark.usefixtures("known_steps")
def test_a_rollout_by_hand_is_obeyed_by_the_loop(workspace, folder):
    live(workspace, folder, START + timedelta(days=2))
    text = (folder / "everloop.yaml").read_text().replace("trials: 1", "trials: 2")
    (folder / "everloop.yaml").write_text(text)
    with Workspace.open(load(folder), clock=workspace.clock) as changed:
        result = run_once(changed, as_of=START)
        release(changed.record, result.version, changed.spec.deploy, changed.clock.now())
        rollout = open_rollout(changed.record, "small")
        Loop(changed).tick()
        assert read_routing(changed.routing_path).challenger.version == 2
        move_by_hand(changed.record, rollout, "abort", changed.clock.now(), who="a test")
        Loop(changed).tick()
        assert read_routing(changed.routing_path).challenger is None
        assert champion(changed.record, "small").number == 1
