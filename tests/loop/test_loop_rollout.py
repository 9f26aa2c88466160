"""Rollouts as the loop drives them from the prediction log, with real packages and every strategy's rules."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from everloop.cli.rollout import move_rollout
from everloop.core.errors import UsageFault
from everloop.deploy.release import release
from everloop.deploy.versions import champion, open_rollout
from everloop.loop.loop import Loop
from everloop.loop.rolling import LOOKED
from everloop.loop.rollout_status import read_rollout
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.record.rows import AlertRow, DecisionRow, RolloutRow
from everloop.runtime.log import ActualLine, PredictionLine, PredictionLog, RefusalLine
from everloop.runtime.package import Package
from everloop.runtime.routing import chance_of, choose_arm, read_routing, unit_of
from everloop.spec import load

START = datetime(2024, 1, 31, tzinfo=UTC)
MANUAL = "monitor: {retrain: {approve: manual, approvers: [ada, grace]}, "


@pytest.fixture
def two(workspace, folder, known_steps):
    """A champion that serves, and a second version that passed its gate."""
    run_once(workspace, as_of=START)
    text = (folder / "everloop.yaml").read_text()
    (folder / "everloop.yaml").write_text(text.replace("trials: 1", "trials: 2"))
    with Workspace.open(load(folder), clock=workspace.clock) as changed:
        version = run_once(changed, as_of=START).version
        if open_rollout(changed.record, "small") is not None:
            move_rollout(changed, "abort", who="a test", reason="")
    return version


def start(folder, workspace, version, deploy, *, manual=False):
    """Opens the lifecycle with other rules, and begins a rollout by them."""
    lines = [
        f"deploy: {deploy}" if line.startswith("deploy:") else line
        for line in (folder / "everloop.yaml").read_text().splitlines()
    ]
    if manual:
        lines = [line.replace("monitor: {", MANUAL) for line in lines]
    (folder / "everloop.yaml").write_text("\n".join(lines))
    opened = Workspace.open(load(folder), clock=workspace.clock)
    release(opened.record, version, opened.spec.deploy, opened.clock.now())
    Loop(opened).tick()
    return opened


class Traffic:
    """Writes the log that a server would have written."""

    def __init__(self, opened, folder):
        self.opened, self.rows = opened, pl.read_csv(folder / "rows.csv", try_parse_dates=True).to_dicts()
        self.log = PredictionLog(opened.log_folder)
        self.sent = 0

    def send(self, count, *, fails=lambda arm, number: False, actuals=True):
        """Answers rows one second apart and lets the loop look."""
        routing = read_routing(self.opened.routing_path)
        packages = {"champion": Package(routing.champion.package)}
        if routing.challenger is not None:
            packages["challenger"] = Package(routing.challenger.package)
        now = self.opened.clock.now()
        for _ in range(count):
            row, now = self.rows[self.sent % len(self.rows)], now + timedelta(seconds=1)
            identity, at = f"p{self.sent}", int(now.timestamp() * 1e6)
            self.sent += 1
            arm = choose_arm(routing, identity)
            served = {key: row[key] for key in ("row_id", "a", "b", "site")}
            served["asked_at"] = row["asked_at"].isoformat()
            version = (routing.champion if arm == "champion" else routing.challenger).version
            chance = chance_of(routing, arm)
            if fails(arm, self.sent):
                unit = unit_of(identity, routing.challenger.salt)
                self.log.append(RefusalLine(identity, at, version, arm, "error", unit, 9, chance))
                continue
            answer = packages[arm].answer(served)
            line = PredictionLine(
                identity, at, version, arm, served, answer.score, answer.prediction, 90, chance
            )
            self.log.append(line)
            if actuals:
                self.log.append(ActualLine(identity, row["bad"], at))
        self.log.flush()
        self.opened.clock.advance_to(now + timedelta(seconds=1))
        return [one.text for one in Loop(self.opened).tick().happenings if one.kind == "rollout"]


def last(record):
    # Two rollouts may begin at one moment of the simulated clock.
    return max(record.find(RolloutRow), key=lambda row: (row.at, row.updated_at or row.at))


def bandit_by_other_guards(workspace, folder, two):
    """A bandit is asked for value though the file states other guards alone."""
    rules = "{strategy: bandit, hold: {requests: 5}, guard: {error_rate: <= 50%}, undecided: wait}"
    with start(folder, workspace, two, rules) as opened:
        traffic = Traffic(opened, folder)
        traffic.sent = 20_000
        traffic.send(40)
        asked = [one["name"] for one in opened.record.state(opened.name, LOOKED)["guards"]]
        assert asked == ["error_rate", "value_per_decision"]
        move_rollout(opened, "abort", who="a test", reason="")
    traffic.log.close()


def bandit_and_split(workspace, folder, two):
    """A bandit moves its share, and a split that was not meant ends it."""
    rules = "{strategy: bandit, hold: {requests: 50}, guard: {value_per_decision: better}, undecided: wait}"
    with start(folder, workspace, two, rules) as opened:
        traffic = Traffic(opened, folder)
        told = traffic.send(300)
        if told:  # the two versions may be worth just the same
            assert told[0].startswith("reweigh: the challenger is worth more with a chance of")
            assert 0.05 <= read_routing(opened.routing_path).challenger.share <= 0.95
        told = traffic.send(300, fails=lambda arm, number: False)
        assert not any(one.startswith("roll_back: split") for one in told)
        # A cache in front of the challenger: half of its requests never come.
        routing = read_routing(opened.routing_path)
        kept = [f"q{n}" for n in range(1200) if choose_arm(routing, f"q{n}") == "champion" or n % 2]
        at, row = opened.clock.now(), traffic.rows[0]
        served = {key: row[key] for key in ("row_id", "a", "b", "site")}
        for identity in kept:
            arm = choose_arm(routing, identity)
            version = (routing.champion if arm == "champion" else routing.challenger).version
            moment = int(at.timestamp() * 1e6) + 1
            line = PredictionLine(
                identity, moment, version, arm, served, 0.5, "no", 90, chance_of(routing, arm)
            )
            traffic.log.append(line)
        traffic.log.flush()
        opened.clock.advance_to(at + timedelta(seconds=2))
        told = [one.text for one in Loop(opened).tick().happenings if one.kind == "rollout"]
        assert told
        assert "split is" in told[0]
        assert last(opened.record).state == "rolled_back"
    traffic.log.close()


@pytest.mark.slow
def test_from_the_log_to_the_way_back_the_approval_and_the_promotion(workspace, folder, two):
    bandit_by_other_guards(workspace, folder, two)
    bandit_and_split(workspace, folder, two)
    rules = "{strategy: ab, hold: {requests: 50}, guard: {error_rate: not worse}}"
    with start(folder, workspace, two, rules) as opened:
        traffic = Traffic(opened, folder)
        traffic.sent = 10_000
        told = traffic.send(200, fails=lambda arm, number: arm == "challenger" and number % 4 == 0)
        assert told
        assert told[0].startswith("roll_back: error_rate is")
        decision = opened.record.find(DecisionRow, order="-at", limit=1, kind="rollout")[0]
        assert decision.facts["guards"][0]["evidence"]["odds_of_harm"] >= 25
        assert read_routing(opened.routing_path).challenger is None

    rules = "{strategy: blue_green, hold: {requests: 30}}"
    with start(folder, workspace, two, rules, manual=True) as opened:
        traffic.opened = opened
        assert read_routing(opened.routing_path).challenger.share == 1.0
        assert "waits for approval" in traffic.send(40)[0]
        told = opened.record.find(AlertRow, order="-at", limit=1)[0]
        assert (told.kind, told.severity) == ("rollout", "info")
        look = read_rollout(opened)["look"]
        assert look["next"] == "ask"
        assert look["seen"]["challenger"]["requests"] == 40
        assert last(opened.record).state == "waiting"
        assert champion(opened.record, "small").number == 1
        with pytest.raises(UsageFault, match=r"mallory may not approve.*ada, grace"):
            move_rollout(opened, "approve", who="mallory", reason="")
        facts = move_rollout(opened, "approve", who="grace", reason="looks good")
        assert facts["state"] == "promoted"
        kept = opened.record.get(DecisionRow, facts["decision"])
        assert (kept.answer, kept.facts["who"]) == ("approve", "grace")
        assert champion(opened.record, "small").id == two.id
    traffic.log.close()
