"""What lists and what acting on clusters is worth: from the lifecycle file to the gate, the card and windows."""

import os
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.cli import main
from everloop.core.clock import SimulatedClock
from everloop.core.errors import SpecFault
from everloop.loop.hindsight import decision_by
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.support import refuse_unsupported
from everloop.loop.workspace import Workspace
from everloop.measure.acting import choose_acted
from everloop.record.rows import WindowRow
from everloop.runtime.http import Refusal
from everloop.runtime.log import ActualLine, PredictionLine, PredictionLog
from everloop.runtime.package import Package
from everloop.runtime.routing import read_routing
from everloop.runtime.service.arms import load_routing
from everloop.runtime.service.taking import actual_of
from everloop.spec import load, parse

os.environ.setdefault("OMP_NUM_THREADS", "1")

NOW = datetime(2024, 6, 1, tzinfo=UTC)
REST = """
data: {sources: {rows: {file: rows.csv}}, contract: contract.yaml}
deploy: {strategy: blue_green, serve: {port: 0}}
monitor: {window: {predictions: 60}}
"""
SHOP = (
    """
name: shop
goal:
  value: {currency: EUR, hit: 0.25 * price, shown: -0.02}
  require: {value_per_decision: ">= 0.1"}
  volume: 1000 / day
problem: {task: recommendation, target: item, entity: customer, time: at}
model: {budget: {trials: 4}}
"""
    + REST
)
CLUSTERS = (
    """
name: kinds
goal:
  value: {currency: EUR, kpi: 0.2 * later - 3}
  require: {value_per_decision: ">= 1"}
problem: {task: clustering}
model: {learners: [k_means], budget: {trials: 3}}
"""
    + REST
)


def purchases(count=3000, seed=0):
    """Sixty customers of three tastes buy among thirty items, mostly those of their taste."""
    random = np.random.default_rng(seed)
    customer = random.integers(0, 60, count)
    own = random.random(count) < 0.9
    item = np.where(own, customer % 3 * 10 + random.integers(0, 10, count), random.integers(0, 30, count))
    return pl.DataFrame(
        {
            "customer": customer,
            "item": [f"i{number:02d}" for number in item],
            "at": [
                datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * place) for place in range(count)
            ],
            "price": 2.0 + item % 7,
        }
    )


def visitors(count=600, seed=0):
    """Two kinds of customers; the one spends later what pays for acting on it, the other does not."""
    random = np.random.default_rng(seed)
    kind = random.choice(2, count, p=[0.6, 0.4])
    return pl.DataFrame(
        {
            "visits": random.normal(np.where(kind, 14.0, 4.0), 1.0),
            "age": random.normal(np.where(kind, 35.0, 60.0), 3.0),
            "later": random.gamma(4.0, np.where(kind, 10.0, 1.0)),
        }
    )


class Ran:
    """A lifecycle that was run once."""

    def __init__(self, folder, file, rows):
        self.folder, self.rows = folder, rows
        (folder / "everloop.yaml").write_text(file)
        rows.write_csv(folder / "rows.csv")
        with self.opened() as workspace:
            self.result = run_once(workspace)
            if self.result.release is not None:
                self.package = Package(read_routing(workspace.routing_path).champion.package)

    def opened(self):
        return Workspace.open(load(self.folder), clock=SimulatedClock(NOW))

    def facts(self, step):
        return dict(self.result.steps[step].facts)

    def held_out(self):
        with self.opened() as workspace:
            folder = workspace.store.open(self.result.steps["dataset"].key)
            return {
                part: pl.read_parquet(folder / f"{part}.parquet") for part in ("train", "validation", "test")
            }

    def window(self, rows, actual_of):
        """Answers rows, feeds back what came of them, and gives the facts of the window that judged them."""
        with self.opened() as workspace:
            log = PredictionLog(workspace.log_folder)
            start = int(NOW.timestamp() * 1e6)
            for place, row in enumerate(rows):
                answer = self.package.answer(row)
                at = start + place * 1_000_000
                said = (f"p{place}", at, 1, "champion", row, answer.score, answer.prediction, 9)
                log.append(PredictionLine(*said))
                log.append(ActualLine(f"p{place}", actual_of(place, row), at + 1000))
            log.close()
            workspace.clock.advance_to(NOW + timedelta(days=2))
            Loop(workspace).tick(act=False)
            (window,) = workspace.record.find(WindowRow, lifecycle=workspace.name)
        return window.facts


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return Ran(tmp_path_factory.mktemp("shop"), SHOP, purchases())


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    # The price reads a column that is known later only: no input.
    file = CLUSTERS.replace("{task: clustering}", "{task: clustering, exclude: [later]}")
    return Ran(tmp_path_factory.mktemp("kinds"), file, visitors())


def value_by_hand(package, test, lists=None):
    """The mean, over who had something later, of what the ten items of a list brought, less their showing."""
    found = []
    for (customer,), had in sorted(test.group_by("customer"), key=lambda pair: str(pair[0][0])):
        first = had.sort("at").unique("item", keep="first", maintain_order=True)
        money = {row["item"]: 0.25 * row["price"] for row in first.to_dicts()}
        said = lists or package.answer({"customer": customer}).prediction
        found.append(sum(money.get(item, 0.0) - 0.02 for item in said[:10]))
    return np.array(found)


def test_lists_are_worth_what_their_hits_bring_less_what_showing_costs(shop):
    test = shop.held_out()["test"]
    trained = shop.facts("train")
    expected = value_by_hand(shop.package, test)
    assert trained["value"]["estimate"] == pytest.approx(expected.mean())
    assert trained["value"]["low"] < expected.mean() < trained["value"]["high"]
    popular = value_by_hand(shop.package, test, shop.package.answer({}).prediction)
    assert trained["value_today"]["estimate"] == pytest.approx(popular.mean())
    assert trained["gain"]["estimate"] == pytest.approx((expected - popular).mean())
    assert trained["gain"]["low"] > 0
    assert trained["outlook"]["gain_per_month"]["estimate"] == pytest.approx(
        trained["gain"]["estimate"] * 30_000, rel=0.02
    )
    assert "value of a list" in trained["notes"][0]


def test_the_gate_prices_the_lists_of_the_package_and_those_of_what_most_have(shop):
    checks = {check["name"]: check for check in shop.facts("gate")["checks"]}
    trained = shop.facts("train")
    found = checks["goal.require.value_per_decision"]["evidence"]["found"]
    assert found == pytest.approx(trained["value"]["estimate"])
    assert checks["better than today"]["evidence"]["estimate"] == pytest.approx(trained["gain"]["estimate"])
    assert shop.result.version.status == "champion"


def test_the_brief_prices_todays_list_and_the_best_one(shop):
    brief = shop.facts("brief")
    assert brief["currency"] == "EUR"
    events = shop.rows.sort("at")
    cut = int(events.height * 0.8)
    counts = events[:cut].group_by("item").agg(pl.col("customer").n_unique().alias("n"), pl.len())
    popular = counts.sort(["n", "len", "item"], descending=[True, True, False])["item"].head(10).to_list()
    assert brief["today"]["estimate"] == pytest.approx(value_by_hand(None, events[cut:], popular).mean())
    assert brief["perfect"] > brief["today"]["estimate"]
    assert brief["room_per_month"] > 0
    assert brief["verdict"] == "go"


def test_a_value_that_no_list_can_reach_stops_before_training(tmp_path, capsys, monkeypatch):
    purchases(600).write_csv(tmp_path / "rows.csv")
    (tmp_path / "everloop.yaml").write_text(SHOP.replace(">= 0.1", ">= 100"))
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert "stop: even perfect decisions are worth" in said
    assert "EUR a decision today" in said


def test_a_window_of_lists_is_worth_what_was_taken_of_them(shop):
    asked = [{"customer": place % 60} for place in range(70)]
    lists = [shop.package.answer(row).prediction for row in asked]
    taken = [said[0] if place % 2 else "nothing" for place, said in enumerate(lists)]
    facts = shop.window(asked, lambda place, _: taken[place])
    parts = shop.held_out()
    events = pl.concat([parts["validation"], parts["test"]])
    usual = dict(events.group_by("item").agg(0.25 * pl.col("price").mean()).iter_rows())
    first = 60
    expected = [usual[taken[place]] * (place % 2) - 0.2 if place % 2 else -0.2 for place in range(first)]
    assert facts["value"]["status"] == "known"
    assert facts["value"]["interval"]["estimate"] == pytest.approx(np.mean(expected))
    popular = shop.package.answer({}).prediction[:10]
    theirs = [usual.get(taken[place], 0.0) * (taken[place] in popular) - 0.2 for place in range(first)]
    gain = np.mean(expected) - np.mean(theirs)
    assert facts["against_today"]["interval"]["estimate"] == pytest.approx(gain)


def test_clusters_that_pay_are_acted_on_and_priced_on_rows_held_out(kinds):
    trained, test = kinds.facts("train"), kinds.held_out()["test"]
    rule = kinds.package.manifest.decision
    assert len(rule.acted) == 1
    acted = np.isin(kinds.package.predict(test), rule.acted)
    money = 0.2 * test["later"].to_numpy() - 3
    assert trained["value"]["estimate"] == pytest.approx(np.where(acted, money, 0.0).mean())
    today = max(0.0, money.mean())  # nothing is stated: all rows are acted on, or none
    assert trained["value_today"]["estimate"] == pytest.approx(today)
    assert trained["gain"]["low"] > 0
    checks = {check["name"]: check for check in kinds.facts("gate")["checks"]}
    found = checks["goal.require.value_per_decision"]["evidence"]["found"]
    assert found == pytest.approx(trained["value"]["estimate"])
    assert kinds.result.version.status == "champion", kinds.facts("gate")["reason"]
    assert "later" not in [column.name for column in kinds.package.manifest.inputs]


def test_no_request_is_asked_for_what_is_known_only_afterwards(kinds):
    with kinds.opened() as workspace:
        path = workspace.routing_path
    arm = load_routing(read_routing(path), path.parent, None).champion
    row = {"visits": 14.0, "age": 35.0}
    assert arm.normalise(row) == (row, [])
    assert arm.normalise(row | {"later": 40.0}) == (row, [])


def test_a_version_decides_by_the_clusters_that_it_acts_on(kinds, shop):
    manifest = kinds.package.manifest
    said = [decision_by(manifest, name) for name in (*manifest.classes, None)]
    assert said == [*(float(name in manifest.decision.acted) for name in manifest.classes), None]
    assert sorted(said[:-1]) == [0.0, 1.0]
    assert decision_by(shop.package.manifest, ("i01",)) == ("i01",)


def test_the_card_says_what_acting_on_each_cluster_is_worth(kinds):
    html = (kinds.package.folder / "card.html").read_text()
    assert "acting on one of its held-out rows" in html
    assert "A decision is worth" in html
    assert "What its answers are worth in money is unknown" not in html


def test_a_window_of_clusters_is_worth_what_came_of_acting(kinds):
    rows = kinds.rows.head(70)
    asked = rows.select("visits", "age").to_dicts()
    brought = (0.2 * rows["later"] - 3).to_list()
    facts = kinds.window(asked, lambda place, _: brought[place])
    first = rows.head(60)
    acted = np.isin(kinds.package.predict(first), kinds.package.manifest.decision.acted)
    expected = np.where(acted, brought[:60], 0.0).mean()
    assert facts["value"]["interval"]["estimate"] == pytest.approx(expected)
    assert facts["against_today"]["status"] == "known"


def test_what_came_of_a_row_in_a_cluster_is_fed_back_as_a_number(kinds, shop):
    assert actual_of(kinds.package.manifest, 4.25, 0) == 4.25
    with pytest.raises(Refusal):
        actual_of(kinds.package.manifest, "1", 0)
    assert actual_of(shop.package.manifest, "nothing", 0) == "nothing"


def test_a_capacity_bounds_the_rows_that_are_acted_on(tmp_path):
    file = CLUSTERS.replace('require: {value_per_decision: ">= 1"}', 'require: {positive_rate: "<= 10%"}')
    ran = Ran(tmp_path, file, visitors(300))
    assert ran.facts("train")["decision"] is None
    checks = {check["name"]: check for check in ran.facts("gate")["checks"]}
    assert checks["goal.require.positive_rate"]["evidence"]["found"] == 0.0


def test_the_best_clusters_that_fit_are_chosen():
    money = [5.0] * 5 + [3.0] * 3 + [1.0] * 2 + [-1.0] * 10
    labels = [0] * 5 + [1] * 3 + [2] * 2 + [3] * 10
    assert choose_acted(money, labels, clusters=4) == (0, 1, 2)
    assert choose_acted(money, labels, clusters=4, most=0.25) == (0,)
    assert choose_acted(money, labels, clusters=4, most=0.2) == (1,)
    assert choose_acted(money, labels, clusters=5, most=0.0) == ()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (SHOP.replace("hit: 0.25 * price, shown: -0.02", "kpi: price"), "prices another task's decisions"),
        (CLUSTERS.replace("kpi: 0.2 * later - 3", "hit: later"), "prices another task's decisions"),
        (SHOP.replace("volume: 1000 / day", "today: {always: i01}"), "compares decisions by their price"),
    ],
)
def test_prices_of_another_task_are_refused(file, said):
    with pytest.raises(SpecFault, match=said):
        refuse_unsupported(parse(file))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("shown: -0.02", "shown: -0.01 * price"), "what showing an item costs is one number"),
        (("0.25 * price", "0.25 * prise"), "prise"),
        (("0.25 * price", "price > 1"), "A price is a number"),
    ],
)
def test_a_price_of_lists_that_cannot_be_read_is_named(tmp_path, capsys, monkeypatch, change, said):
    purchases(300).write_csv(tmp_path / "rows.csv")
    (tmp_path / "everloop.yaml").write_text(SHOP.replace(*change))
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_a_price_that_reads_what_clusters_are_made_of_is_told(tmp_path, capsys, monkeypatch):
    visitors(100).write_csv(tmp_path / "rows.csv")
    (tmp_path / "everloop.yaml").write_text(CLUSTERS)
    monkeypatch.chdir(tmp_path)
    main(["check"])
    assert "goal.value.kpi reads later, of which clusters are made as well" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        ("{always: none}", lambda m, v: 0 * m),
        ("{always: all}", lambda m, v: m),
        ("{rule: visits > 9}", lambda m, v: m * (v > 9)),
    ],
)
def test_what_is_acted_on_today_may_be_stated(tmp_path, today, expected):
    rows = visitors(200)
    rows.write_csv(tmp_path / "rows.csv")
    (tmp_path / "everloop.yaml").write_text(CLUSTERS.replace("goal:", f"goal:\n  today: {today}"))
    from everloop.goal.brief import write_brief
    from everloop.problem.frame import build_frame

    spec = load(tmp_path)
    refuse_unsupported(spec)
    brief = write_brief(spec.goal, rows, build_frame(rows, spec.problem))
    money = 0.2 * rows["later"].to_numpy() - 3
    assert brief.today.estimate == pytest.approx(expected(money, rows["visits"].to_numpy()).mean())
    assert brief.constants == pytest.approx({"acting on all": money.mean(), "acting on none": 0.0})


def test_a_window_of_lists_is_held_against_lists_of_which_one_item_is_taken(shop):
    parts = shop.held_out()
    events, test = pl.concat([parts["validation"], parts["test"]]), parts["test"]
    usual = dict(events.group_by("item").agg(0.25 * pl.col("price").mean()).iter_rows())

    def mean_of(listed):
        pairs = zip(listed, test["item"], strict=True)
        return np.mean([usual[item] * (item in said) - 0.02 * len(said) for said, item in pairs])

    ours = mean_of([shop.package.answer({"customer": who}).prediction[:10] for who in test["customer"]])
    popular = mean_of([shop.package.answer({}).prediction[:10]] * test.height)
    told = shop.facts("reference")
    assert told["value_per_decision"] == pytest.approx(ours)
    assert told["gain"] == pytest.approx(ours - popular)
