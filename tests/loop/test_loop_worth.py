"""Decisions of every task are chosen, served, judged and accounted for by what they are worth."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import SpecFault
from everloop.deploy.candidate import Candidate
from everloop.loop.backtest import Rehearsal, backtest
from everloop.loop.run import run_once
from everloop.loop.steps import held_out
from everloop.loop.workspace import Workspace
from everloop.runtime.package import Package
from everloop.runtime.routing import read_routing
from everloop.spec import load
from everloop.spec.frame import Frame
from everloop.table.dataset import Dataset
from everloop.table.worth import worth_of

START = datetime(2024, 1, 1, tzinfo=UTC)
TAIL = """
data: {sources: {rows: {file: rows.csv}}, contract: contract.yaml, split: {by: random, test: 30%, validation: 20%}}
model: {learners: [linear], budget: {trials: 1}, select_features: false}
"""
CLASSES = """
name: tickets
goal:
  today: {rule: "case when a > 0 then 'high' else 'low' end"}
  value:
    outcomes: {low: {low: 5, mid: -1}, mid: {low: -2 * size, mid: 4}, high: {low: -40, mid: -20, high: 6}}
    otherwise: -3
problem: {target: urgency}
"""
NUMBERS = """
name: stock
goal:
  today: {rule: 10 + 2 * a}
  value:
    over_prediction: -1 * (predicted - actual)
    under_prediction: -9 * size * (actual - predicted)
  require: {value_per_decision: ">= -20"}
problem: {target: demand}
"""
SEGMENTS = """
name: reviews
goal:
  today: {always: "no"}
  value: {true_positive: case when site = 'east' then 20 else 2 end, false_positive: -4}
  volume: 1000 / day
  capacity: 300 / day
  segments: site
problem: {target: bad}
"""


def rows(count: int = 900) -> pl.DataFrame:
    random = np.random.default_rng(0)
    a, b, size = random.normal(size=count), random.normal(size=count), random.uniform(1, 2, count)
    site = random.choice(["east", "west"], count)
    urgency = np.digitize(a + b + random.normal(0, 0.7, count), [-0.5, 1.0])
    return pl.DataFrame(
        {
            "a": a,
            "b": b,
            "size": size,
            "site": site,
            "asked_at": [START + timedelta(hours=i) for i in range(count)],
            "urgency": np.array(["low", "mid", "high"])[urgency],
            "demand": 10 + 2 * a + b + random.gumbel(0, 2, count),
            "bad": np.where(a + (site == "east") * 1.5 + random.normal(0, 1, count) > 1, "yes", "no"),
        }
    )


def passed(folder, file: str, *drop: str):
    rows().drop(drop).write_csv(folder / "rows.csv")
    (folder / "everloop.yaml").write_text(file + TAIL)
    spec = load(folder / "everloop.yaml")
    with Workspace.open(spec, clock=SimulatedClock(START + timedelta(days=60))) as workspace:
        result = run_once(workspace)
        package = Package(read_routing(workspace.routing_path).champion.package)
        test = held_out(Dataset.load(result.steps["dataset"].path))
        return result, package, test, Frame.load(result.steps["frame"].path), spec


def test_classes_are_decided_by_their_expected_worth(tmp_path) -> None:
    result, package, test, frame, spec = passed(tmp_path, CLASSES, "demand", "bad", "asked_at")
    rule = package.manifest.decision
    assert np.shape(rule.matrix) == (3, 3)
    expected = package.scores(test) @ np.array(rule.matrix)
    by_hand = np.array(frame.classes)[expected.argmax(axis=1)]
    assert package.predict(test).tolist() == by_hand.tolist()
    assert (by_hand != np.array(frame.classes)[package.scores(test).argmax(axis=1)]).any()
    assert [answer.prediction for answer in package.answers(test.to_dicts())] == by_hand.tolist()
    assert json.loads((package.folder / "parity.json").read_bytes())["passed"]
    worth = worth_of(spec.goal.value, frame, test)
    judged = Candidate(package.folder, test, frame, worth)
    row = test.row(0, named=True)
    price = {("low", "low"): 5, ("low", "mid"): -1, ("mid", "low"): -2 * row["size"], ("mid", "mid"): 4}
    price |= {("high", "low"): -40, ("high", "mid"): -20, ("high", "high"): 6}
    assert judged.values[0] == pytest.approx(price.get((row["urgency"], by_hand[0]), -3))
    train = result.steps["train"].facts
    assert train["value"]["estimate"] == pytest.approx(judged.metric("value_per_decision"))
    likeliest = worth.values(judged.actual, package.scores(test).argmax(axis=1)).mean()
    assert train["value"]["estimate"] > likeliest
    assert train["gain"]["low"] > 0
    assert result.steps["brief"].facts["perfect"] > train["value"]["estimate"]


def test_a_number_is_moved_to_where_its_errors_cost_least(tmp_path) -> None:
    result, package, test, frame, spec = passed(tmp_path, NUMBERS, "urgency", "bad", "asked_at")
    rule = package.manifest.decision
    assert (rule.scale, rule.offset) != (1.0, 0.0)
    moved = rule.offset + rule.scale * package.scores(test)[:, 0]
    assert package.predict(test).tolist() == pytest.approx(moved.tolist())
    answer = package.answer(test.row(0, named=True))
    assert (answer.prediction, answer.score) == pytest.approx((moved[0], package.scores(test)[0, 0]))
    worth = worth_of(spec.goal.value, frame, test)
    actual = test["demand"].to_numpy()
    plain = worth.values(actual, package.scores(test)[:, 0]).mean()
    ours = Candidate(package.folder, test, frame, worth).metric("value_per_decision")
    assert ours == pytest.approx(worth.values(actual, moved).mean())
    assert ours > plain + 1
    assert result.gate.answer == "passed"
    assert result.steps["train"].facts["value"]["estimate"] == pytest.approx(ours)


def test_segments_have_thresholds_and_share_a_capacity(tmp_path) -> None:
    result, package, test, _, spec = passed(tmp_path, SEGMENTS, "urgency", "demand", "asked_at")
    rule = package.manifest.decision
    assert rule.segment == "site"
    assert spec.goal.bounds["positive_rate"].limit == pytest.approx(0.3)
    thresholds = [rule.thresholds.get(site, package.manifest.threshold) for site in test["site"]]
    by_hand = np.where(package.scores(test)[:, 0] >= thresholds, "yes", "no").tolist()
    assert package.predict(test).tolist() == by_hand
    assert [answer.prediction for answer in package.answers(test.to_dicts())] == by_hand
    assert package.decide(package.scores(test), test.to_dicts()).tolist() == by_hand
    assert json.loads((package.folder / "parity.json").read_bytes())["passed"]
    names = {one["name"] for one in result.steps["train"].facts["requirements"]}
    assert "positive_rate" in names


def test_a_capacity_is_of_as_many_decisions_as_the_times_of_the_data_show(tmp_path) -> None:
    # 900 rows, one an hour: 24 a day, of which 6 may be positive.
    file = SEGMENTS.replace(
        "  volume: 1000 / day\n  capacity: 300 / day\n  segments: site\n", "  capacity: 6 / day\n"
    )
    assert "capacity: 6" in file
    rows().drop("urgency", "demand").write_csv(tmp_path / "rows.csv")
    timed = file.replace("target: bad", "target: bad, time: asked_at") + TAIL
    (tmp_path / "everloop.yaml").write_text(timed)
    with Workspace.open(
        load(tmp_path / "everloop.yaml"), clock=SimulatedClock(START + timedelta(days=60))
    ) as workspace:
        result = run_once(workspace)
    assert result.steps["frame"].facts["rows_per_day"] == pytest.approx(24.0)
    (bound,) = [one for one in result.steps["train"].facts["requirements"] if one["name"] == "positive_rate"]
    assert bound["bound"] == "<= 25.00% (6 / day)"
    assert result.steps["brief"].facts["decisions_per_month"] == pytest.approx(720)
    checks = {check["name"]: check for check in result.steps["gate"].facts["checks"]}
    assert any("positive_rate" in name for name in checks)


def test_a_capacity_of_unknown_many_decisions_is_refused(tmp_path) -> None:
    file = SEGMENTS.replace("  volume: 1000 / day\n", "")
    with pytest.raises(SpecFault, match="neither stated nor seen in the data"):
        passed(tmp_path, file, "urgency", "demand", "asked_at")


@pytest.mark.slow
def test_a_backtest_accounts_for_classes(tmp_path) -> None:
    rows(1500).drop("demand", "bad").write_csv(tmp_path / "rows.csv")
    file = CLASSES.replace("target: urgency", "target: urgency, time: asked_at") + TAIL.replace(
        "random", "time"
    )
    (tmp_path / "everloop.yaml").write_text(file.replace("'high' else", "'high' else"))
    clock = SimulatedClock(START + timedelta(days=70))
    with Workspace.open(load(tmp_path / "everloop.yaml"), clock=clock) as workspace:
        found = backtest(workspace, [], Rehearsal(START + timedelta(days=40), every=timedelta(days=10)))
    assert found.policies[0].value != 0
    assert found.decisions > 300


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{true_positive: 1}", "prices a binary decision, and the problem is multiclass"),
        ("{outcomes: {lo: {low: 1}}}", "prices 'lo'; the classes are"),
        ("{outcomes: {low: {low: site}}}", "A price is a number"),
    ],
)
def test_prices_of_another_problem_are_refused(tmp_path, value: str, said: str) -> None:
    rows(60).drop("demand", "bad", "asked_at").write_csv(tmp_path / "rows.csv")
    file = f"name: x\nproblem: {{target: urgency}}\ngoal: {{value: {value}}}"
    (tmp_path / "everloop.yaml").write_text(file + TAIL)
    with (
        Workspace.open(load(tmp_path / "everloop.yaml"), clock=SimulatedClock(START)) as workspace,
        pytest.raises(SpecFault, match=said),
    ):
        run_once(workspace)


@pytest.mark.parametrize("more", ["true_positive: 1", "over_prediction: predicted"])
def test_prices_of_two_kinds_are_refused(tmp_path, more: str) -> None:
    (tmp_path / "everloop.yaml").write_text(
        f"name: x\nproblem: {{target: y}}\ngoal: {{value: {{outcomes: {{a: {{b: 1}}}}, {more}}}}}" + TAIL
    )
    with pytest.raises(SpecFault, match="of one kind"):
        load(tmp_path / "everloop.yaml")
