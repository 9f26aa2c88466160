"""A rollout of recommendations is judged by what was taken of each arm's own lists; their past is replayed."""

import json
import os
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import SpecFault
from everloop.deploy.guards.listed import listed_values
from everloop.deploy.versions import champion, open_rollout
from everloop.loop.backtest import Rehearsal, backtest
from everloop.loop.loop import Loop
from everloop.loop.rolling import LOOKED
from everloop.loop.run import run_once
from everloop.loop.support import refuse_unsupported
from everloop.loop.workspace import Workspace
from everloop.runtime.log import ActualLine, PredictionLine, PredictionLog, read_log
from everloop.runtime.package import Package
from everloop.runtime.routing import chance_of, choose_arm, read_routing
from everloop.spec import load, parse

os.environ.setdefault("OMP_NUM_THREADS", "1")

NOW = datetime(2024, 6, 1, tzinfo=UTC)
CUSTOMERS, TASTES = 240, 6
FILE = """
name: shop
goal: {value: {currency: EUR, hit: price, shown: -0.01}}
problem: {task: recommendation, target: item, entity: customer, time: at}
data: {sources: {rows: {file: rows.csv}}, contract: contract.yaml}
model: {learners: [item_item], budget: {trials: 3}}
deploy:
  strategy: canary
  steps: [50%, 100%]
  hold: {requests: 50}
  guard: {recall_at_10: not worse by 30%, value_per_decision: not worse by 50%}
  undecided: wait
monitor: {window: {predictions: 100000}}
"""


def purchases(count: int = 6000) -> pl.DataFrame:
    """Customers of six tastes buy among sixty items, mostly those of their taste."""
    random = np.random.default_rng(0)
    customer = random.integers(0, CUSTOMERS, count)
    own = random.random(count) < 0.9
    item = np.where(
        own, customer % TASTES * 10 + random.integers(0, 10, count), random.integers(0, 60, count)
    )
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "customer": customer,
            "item": [f"i{number:02d}" for number in item],
            "at": [start + timedelta(minutes=20 * place) for place in range(count)],
            "price": 1.0 + random.random(count),
        }
    )


def serve(workspace: Workspace, count: int) -> dict:
    """Answers customers, each of whom takes an item of its taste, and lets the loop look."""
    routing, random = read_routing(workspace.routing_path), np.random.default_rng(1)
    arms = {"champion": routing.champion, "challenger": routing.challenger}
    packages = {name: Package(arm.package) for name, arm in arms.items() if arm is not None}
    now = workspace.clock.now()
    with PredictionLog(workspace.log_folder) as log:
        for place in range(count):
            now += timedelta(seconds=1)
            who = place % CUSTOMERS
            row, moment = {"customer": who}, int(now.timestamp() * 1e6)
            arm = choose_arm(routing, str(who))
            answer = packages[arm].answer(row)
            log.append(
                PredictionLine(
                    f"p{place}", moment, arms[arm].version, arm, row, answer.score, answer.prediction, 90,
                    chance_of(routing, arm),
                )
            )  # fmt: skip
            taken = f"i{who % TASTES * 10 + random.integers(0, 10):02d}"
            log.append(ActualLine(f"p{place}", taken, moment))
        log.flush()
    workspace.clock.advance_to(now + timedelta(seconds=1))
    Loop(workspace).tick()
    looked = workspace.record.state(workspace.name, LOOKED) or {}
    return {one["name"]: one for one in looked.get("guards", ())}


@pytest.mark.slow
def test_a_challenger_whose_lists_are_taken_from_goes_on(tmp_path) -> None:
    """The champion knows half of the customers, the challenger all."""
    (tmp_path / "everloop.yaml").write_text(FILE)
    clock = SimulatedClock(NOW)
    versions = []
    for known in (CUSTOMERS // 2, CUSTOMERS):
        purchases().filter(pl.col("customer") < known).write_csv(tmp_path / "rows.csv")
        with Workspace.open(load(tmp_path), clock=clock) as workspace:
            versions.append(run_once(workspace).version)
    with Workspace.open(load(tmp_path), clock=clock) as workspace:
        assert open_rollout(workspace.record, "shop") is not None
        Loop(workspace).tick()
        guards = serve(workspace, CUSTOMERS)
        recall, value = guards["recall_at_10"], guards["value_per_decision"]
        assert (recall["answer"], value["answer"]) == ("fine", "fine"), guards
        assert recall["evidence"]["difference"] > 0.25
        assert value["evidence"]["difference"] > 0.25
        assert recall["evidence"]["rows"] == CUSTOMERS
        usual = 0.9 * 1.5 - 0.1  # its recall, the mean price, ten items shown
        margin = float(re.search(r"at most ([\d.]+) a decision", value["required"])[1])
        assert margin == pytest.approx(0.5 * usual, rel=0.05)
        assert champion(workspace.record, "shop").number == versions[1].number


def test_a_list_has_what_was_taken_of_it() -> None:
    found = listed_values([["a", "b", "c"], ["a", "b", "c"], ["a"]], ["a", "c", "none"])
    assert found["recall_at_10"].tolist() == [1.0, 1.0, 0.0]
    assert found["ndcg_at_10"] == pytest.approx([1.0, 1 / np.log2(4), 0.0])
    assert found["map_at_10"] == pytest.approx([1.0, 1 / 3, 0.0])
    late = listed_values([[str(k) for k in range(20)]], ["10"])
    assert [one.tolist() for one in late.values()] == [[0.0]] * 3
    assert all(one.size == 0 for one in listed_values([], []).values())
    named = listed_values([["a", "b", "c"]] * 2, ["b", "none"], ["recall_at_2", "recall_at_1", "error_rate"])
    assert named["recall_at_2"].tolist() == [1.0, 0.0]
    assert named["recall_at_1"].tolist() == [0.0, 0.0]
    assert "error_rate" not in named


def test_lists_that_are_not_drawn_by_chance_are_not_compared() -> None:
    text = FILE.replace("canary", "blue_green")
    with pytest.raises(SpecFault, match="recall_at_10 compares arms"):
        refuse_unsupported(parse(text))
    with pytest.raises(SpecFault, match="value_per_decision compares what came of each arm's own"):
        refuse_unsupported(parse(text.replace("recall_at_10: not worse by 30%, ", "")))


@pytest.mark.slow
def test_a_recommenders_past_is_lived_again(tmp_path) -> None:
    """Half of the customers come when others have been there for weeks: whoever retrains comes to know them."""
    rows = purchases()
    late = pl.col("customer") >= CUSTOMERS // 2
    rows = rows.filter(~late | (pl.col("at") >= datetime(2024, 2, 10, tzinfo=UTC)))
    rows.write_csv(tmp_path / "rows.csv")
    text = FILE.replace("strategy: canary", "strategy: blue_green")
    text = "\n".join(line for line in text.splitlines() if "guard:" not in line)
    (tmp_path / "everloop.yaml").write_text(text)
    since = datetime(2024, 2, 1, tzinfo=UTC)
    with Workspace.open(load(tmp_path)) as workspace:
        result = backtest(workspace, ["monthly"], Rehearsal(since, every=timedelta(days=3)))
    never, monthly = result.policies
    assert (never.retrains, monthly.retrains, monthly.promoted) == (0, 1, 1)
    asked = rows.with_columns(pl.col("at").dt.replace_time_zone("UTC")).filter(pl.col("at") >= since)
    assert result.decisions == asked.height
    for policy in (never, monthly):
        log = read_log(tmp_path / ".everloop" / "backtest" / policy.name / "log").predictions
        both = log.sort("time").with_columns(asked.select("item", "price").get_columns())
        lists = [json.loads(said)[:10] for said in both["prediction"]]
        hits = np.array([item in said for item, said in zip(both["item"], lists, strict=True)])
        worth = hits * both["price"].to_numpy() - 0.01 * np.array([len(said) for said in lists])
        assert policy.value == pytest.approx(worth.sum())
    assert monthly.value > never.value
