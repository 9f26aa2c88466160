"""Groups are treated alike where the file asks for it, in what serves as in what was trained, at a known price."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from everloop.console import page_for
from everloop.core.clock import SimulatedClock
from everloop.core.errors import DataFault, ModelFault
from everloop.loop.run import run_once
from everloop.loop.steps import held_out
from everloop.loop.support import refusals
from everloop.loop.workspace import Workspace
from everloop.measure.fairness import FAIRNESS
from everloop.measure.pricing import decision_values
from everloop.model.budget import Budget
from everloop.model.learners.registry import learner
from everloop.model.mitigation import mitigable
from everloop.model.reweighing import independence_weights
from everloop.model.trained import Trained
from everloop.model.training_inputs import TrainingSettings
from everloop.report import render
from everloop.runtime.package import Package
from everloop.runtime.routing import read_routing
from everloop.spec import load, parse
from everloop.table.dataset import Dataset

NOW = datetime(2024, 6, 1, tzinfo=UTC)
FILE = """
name: loans
goal:
  today: {always: "no"}
  value: {currency: EUR, true_positive: 10, false_positive: -6}
  volume: 1000 / month
problem: {target: repaid, positive: "yes", sensitive: [who]}
data: {sources: {rows: {file: rows.csv}}, contract: contract.yaml, split: {by: random, test: 40%, validation: 20%}}
model:
  learners: [linear]
  budget: {trials: 1}
  select_features: false
  fairness: {equal_opportunity_difference: "<= 0.1"}
  mitigate: thresholds
"""


def rows(count=4000):
    random = np.random.default_rng(0)
    who = random.choice(["f", "m"], count)
    skill = random.normal(size=count)
    seen = skill + np.where(who == "f", -0.8, 0.8) + random.normal(0, 0.6, count)
    repaid = skill + random.normal(0, 0.7, count) > np.where(who == "f", 0.5, -0.3)
    return pl.DataFrame({"who": who, "seen": seen, "repaid": np.where(repaid, "yes", "no")})


@pytest.fixture(scope="module")
def passed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mitigation")
    rows().write_csv(folder / "rows.csv")
    (folder / "everloop.yaml").write_text(FILE)
    with Workspace.open(load(folder / "everloop.yaml"), clock=SimulatedClock(NOW)) as workspace:
        result = run_once(workspace)
        package = Package(read_routing(workspace.routing_path).champion.package)
        page = render(page_for(workspace))
        test = held_out(Dataset.load(result.steps["dataset"].path))
    return result, package, test, page


def test_what_serves_keeps_the_bound_and_the_gate_says_so(passed):
    result, package, test, _ = passed
    decided = package.predict(test) == "yes"
    actual = test["repaid"].to_numpy() == "yes"
    name = "equal_opportunity_difference"
    assert FAIRNESS[name](actual, decided, test["who"].to_numpy()) <= 0.1
    plain = package.scores(test)[:, 0] >= package.manifest.threshold
    assert FAIRNESS[name](actual, plain, test["who"].to_numpy()) > 0.15
    (check,) = [one for one in result.steps["gate"].facts["checks"] if one["name"].startswith("fairness.")]
    assert check["passed"]
    assert result.gate.answer == "passed"
    answers = [answer.prediction for answer in package.answers(test.to_dicts())]
    assert (np.array(answers) == "yes").tolist() == decided.tolist()
    assert json.loads((package.folder / "parity.json").read_bytes())["passed"]


def test_the_price_is_what_the_same_model_earns_less(passed):
    result, package, test, page = passed
    actual = test["repaid"].to_numpy() == "yes"
    plain, ours = (
        decision_values(actual, decision, (10.0, -6.0, 0.0, 0.0))
        for decision in (
            package.scores(test)[:, 0] >= package.manifest.threshold,
            package.predict(test) == "yes",
        )
    )
    price = result.steps["train"].facts["mitigation"]["price"]
    assert price["estimate"] == pytest.approx((plain - ours).mean())
    assert price["low"] < price["estimate"] < price["high"]
    card = (package.folder / "card.html").read_text()
    for document in (card, page):
        assert "Groups are treated alike by thresholds" in document
        text = re.sub(r"<[^>]+>", "", document).replace("\u202f", " ").replace("\xa0", " ")
        assert f"{price['estimate']:.2f} EUR less than without" in text
        assert "a month" in document


def test_a_group_that_a_row_does_not_show_is_refused_before_the_search(tmp_path):
    rows(600).with_columns(who=pl.Series(np.random.default_rng(1).normal(40, 10, 600))).write_csv(
        tmp_path / "rows.csv"
    )
    (tmp_path / "everloop.yaml").write_text(FILE)
    with (
        Workspace.open(load(tmp_path / "everloop.yaml"), clock=SimulatedClock(NOW)) as workspace,
        pytest.raises(DataFault, match="'who' a threshold of its own; it holds numbers of"),
    ):
        run_once(workspace, until="model")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("sensitive: [who]", "sensitive: [who, seen]"), "treats the groups of one column alike"),
        (
            ('equal_opportunity_difference: "<= 0.1"', 'metric_difference: "<= 0.1"'),
            "needs bounds on decisions",
        ),
        (('"<= 0.1"', '">= 0.1"'), "needs bounds on decisions"),
        (("today:", "segments: who\n  today:"), "both give thresholds"),
        (("target: repaid", "task: regression, target: repaid"), "the task is regression"),
    ],
)
def test_what_cannot_be_reached_is_refused_by_name(changed, said):
    found = [error.message for error in refusals(parse(FILE.replace(*changed)))]
    assert any(said in message for message in found), found
    assert not refusals(parse(FILE))


def test_without_prices_the_threshold_of_all_prices_the_decisions(tmp_path):
    rows(2500).write_csv(tmp_path / "rows.csv")
    (tmp_path / "everloop.yaml").write_text(
        FILE.replace("  value: {currency: EUR, true_positive: 10, false_positive: -6}\n", "").replace(
            "  volume: 1000 / month\n", ""
        )
    )
    with Workspace.open(load(tmp_path / "everloop.yaml"), clock=SimulatedClock(NOW)) as workspace:
        result = run_once(workspace)
    found = result.steps["train"].facts["mitigation"]
    assert found["price"] is None
    assert found["changes"]["recall"]["low"] < found["changes"]["recall"]["high"]
    before = found["without"]["who"]["equal_opportunity_difference"]["estimate"]
    (check,) = [one for one in result.steps["gate"].facts["checks"] if one["name"].startswith("fairness.")]
    assert check["evidence"]["found"] < before - 0.1


def test_reweighing_brings_groups_nearer_and_is_priced_against_the_same_model_without(tmp_path):
    rows(3000).write_csv(tmp_path / "rows.csv")
    file = FILE.replace("mitigate: thresholds", "mitigate: reweighing").replace(
        'fairness: {equal_opportunity_difference: "<= 0.1"}', ""
    )
    (tmp_path / "everloop.yaml").write_text(file)
    with Workspace.open(load(tmp_path / "everloop.yaml"), clock=SimulatedClock(NOW)) as workspace:
        result = run_once(workspace)
        trained = Trained.load(result.steps["train"].path)
        dataset = Dataset.load(result.steps["dataset"].path)
    assert result.gate.answer == "passed"
    found = result.steps["train"].facts["mitigation"]
    name = "demographic_parity_difference"
    after = next(one for one in trained.evaluation.fairness if one.columns == ("who",)).differences[name]
    assert after.estimate < found["without"]["who"][name]["estimate"] - 0.1
    # The price is what the same learner, fitted on rows that all weigh the same, earns more.
    test = held_out(dataset)
    learned = pl.concat([dataset.table("train"), dataset.table("validation")])
    actual = (learned["repaid"] == "yes").to_numpy().astype(int)
    plain = learner("linear").fit(
        trained.encode(learned), actual, task="binary", configuration=trained.configuration
    )
    earned = found["value_without"]
    scores = plain.predict_proba(trained.encode(test))[:, 1]
    truth = (test["repaid"] == "yes").to_numpy()
    by_hand = [
        decision_values(truth, scores >= cut, (10.0, -6.0, 0.0, 0.0)).mean() for cut in (0.3, 0.375, 0.45)
    ]
    assert min(by_hand) - 0.1 <= earned["estimate"] <= max(by_hand) + 0.1
    ours = decision_values(truth, trained.predict(test) == "yes", (10.0, -6.0, 0.0, 0.0)).mean()
    assert found["price"]["estimate"] == pytest.approx(earned["estimate"] - ours)
    assert found["price"]["low"] < found["price"]["estimate"] < found["price"]["high"]


def test_weights_make_groups_and_classes_independent():
    random = np.random.default_rng(0)
    groups = random.choice(["a", "b", "c"], 500).astype(object)
    actual = (random.random(500) < np.where(groups == "a", 0.2, 0.6)).astype(int)
    weights = independence_weights(groups, actual)
    shares = [np.average(actual[groups == name], weights=weights[groups == name]) for name in "abc"]
    assert shares == pytest.approx([actual.mean()] * 3)
    assert weights.mean() == pytest.approx(1.0)
    for name in "abc":
        assert weights[groups == name].sum() == pytest.approx((groups == name).sum())


def test_reweighing_without_groups_or_with_a_learner_that_cannot_is_refused():
    file = FILE.replace("mitigate: thresholds", "mitigate: reweighing").replace(", sensitive: [who]", "")
    assert any("no sensitive column" in error.message for error in refusals(parse(file)))
    unable = replace(learner("linear").capabilities, takes_weights=False)
    other = type("Other", (), {"name": "other", "capabilities": unable})()
    with pytest.raises(ModelFault, match="weighs rows, which other cannot"):
        mitigable((other,), TrainingSettings(mitigate="reweighing"))
    able, budget = mitigable(
        (other, learner("linear")), TrainingSettings(mitigate="reweighing", budget=Budget(seconds=100.0))
    )
    assert [one.name for one in able] == ["linear"]
    assert budget.seconds == 65.0
