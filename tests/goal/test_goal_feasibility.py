"""Is it worth doing: the verdict on tables whose truth is known, and the evidence behind it."""

import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from everloop.goal import brief
from everloop.measure.intervals import Interval
from everloop.measure.payback import outlook
from everloop.measure.permutation import combined_p, permutation_p
from everloop.problem import frame, sufficiency
from everloop.problem.quick_look import look_quickly
from everloop.spec import GoalSpec, ProblemSpec

PRICES = {"true_positive": "5", "false_positive": "-2", "false_negative": "-5", "true_negative": "1"}


def table(rows: int = 1200, seed: int = 0, signal: float = 1.5, classes: int = 2) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=rows), random.normal(size=rows)
    site = random.choice(["east", "west", "north"], rows)
    level = signal * (a + (site == "east")) + random.logistic(size=rows)
    cuts = np.quantile(level, np.linspace(0, 1, classes + 1)[1:-1])
    label = np.array(["c0", "c1", "c2", "c3"])[np.digitize(level, cuts)]
    return pl.DataFrame({"a": a, "b": b, "site": site, "y": label, "number": level})


def judged(
    rows: pl.DataFrame, target: str = "y", goal: GoalSpec | None = None, forecast: bool = False, **stated
):
    if target == "y" and set(rows["y"].unique()) == {"c0", "c1"}:
        stated = {"positive": "c1", **stated}
    found = frame(rows, spec=ProblemSpec(target=target, **stated))
    look = look_quickly(rows, found)
    labels = sufficiency(rows, spec=ProblemSpec(target=target, **stated)) if forecast else None
    return brief(goal or GoalSpec(), rows, found, look=look, labels=labels)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_labels_that_are_noise_give_stop(classes: int) -> None:
    """At most one table in twenty passes for signal; of 25 tables no more than 4 do with 97 %."""
    verdicts = [
        judged(table(400, seed, signal=0.0, classes=classes).drop("number")).verdict for seed in range(25)
    ]
    assert set(verdicts) <= {"go", "stop"}
    assert verdicts.count("go") <= 4


def test_a_number_that_is_noise_gives_stop() -> None:
    rows = table(600).with_columns(number=pl.Series(np.random.default_rng(1).normal(size=600))).drop("y")
    found = judged(rows, "number")
    assert found.verdict == "stop"
    assert "tell nothing" in found.reasons[0]


@pytest.mark.parametrize(("target", "drop"), [("y", "number"), ("number", "y")])
def test_signal_gives_go(target: str, drop: str) -> None:
    found = judged(table().drop(drop), target)
    assert found.verdict == "go"
    assert found.signal["p_value"] < 0.05


def test_text_that_never_repeats_is_read() -> None:
    random = np.random.default_rng(2)
    label = random.choice(["ham", "spam"], 500)
    words = [f"{'win a prize' if y == 'spam' else 'see you'} {random.integers(1e9)} soon" for y in label]
    assert judged(pl.DataFrame({"text": words, "label": label}), "label").verdict == "go"


def test_few_labels_are_not_given_up() -> None:
    found = judged(table(80, signal=0.0).drop("number"))
    assert found.verdict == "more labels"
    assert "get 120 more" in found.reasons[0]
    assert judged(table(20).drop("number")).verdict == "more labels"


def test_rows_of_one_entity_are_not_learned_from_and_judged() -> None:
    """Labels that hang on the customer alone tell nothing of another customer."""
    random = np.random.default_rng(3)
    customer = np.repeat(np.arange(60), 15)
    trait, label = random.normal(size=60), random.choice(["no", "yes"], 60)
    rows = pl.DataFrame({"customer": customer, "trait": trait[customer], "y": label[customer]})
    assert judged(rows, entity="customer").verdict == "stop"
    assert judged(rows).verdict == "go"


@pytest.mark.parametrize("entities", [4, 40, 300])
def test_rows_of_few_entities_show_what_there_is(entities: int) -> None:
    rows = table(500).drop("number")
    whose = np.random.default_rng(3).integers(0, entities, 500)
    rows = rows.with_columns(customer=pl.Series([f"c{number}" for number in whose]))
    found = judged(rows, entity="customer")
    assert (found.verdict, found.signal["p_value"] < 0.05) == ("go", True)


@pytest.mark.slow
@pytest.mark.parametrize("entities", [4, 40])
def test_noise_of_few_entities_gives_no_go(entities: int) -> None:
    verdicts = []
    for seed in range(15):
        rows = table(400, seed, signal=0.0).drop("number")
        whose = np.random.default_rng(seed).integers(0, entities, 400)
        verdicts.append(
            judged(rows.with_columns(customer=pl.Series(whose).cast(pl.String)), entity="customer").verdict
        )
    assert verdicts.count("go") <= 3


def test_what_prices_rule_out_is_stopped() -> None:
    rows = table().drop("number")
    beyond = GoalSpec(value=PRICES, require={"value_per_decision": ">= 4"})
    assert "even perfect decisions" in judged(rows, goal=beyond).reasons[0]
    dear = GoalSpec(
        value=PRICES, today={"always": "c1"}, volume="100 / month", costs={"per_1000_predictions": 9e9}
    )
    assert judged(rows, goal=dear).verdict == "stop"


EUR = {"currency": "EUR", **PRICES}


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        ({"require": {"value_per_decision": ">= 4"}}, r"worth \d\.\d\d EUR each; the goal requires >= 4 EUR"),
        (
            {"volume": "100 / month", "costs": {"per_1000_predictions": 9e9}},
            r"would add [\d,]+ EUR a month, predictions cost 900,000,000 EUR",
        ),
        ({"volume": "100 / month"}, r"would add [\d,]+ EUR a month \("),
        ({}, r"would add [\d.]+ EUR \([\d.]+ to [\d.]+\) each"),
    ],
)
def test_a_verdict_gives_money_with_its_currency(goal: dict, said: str) -> None:
    found = judged(table().drop("number"), goal=GoalSpec(value=EUR, today={"always": "c1"}, **goal))
    assert re.search(said, found.reasons[0])


def test_a_value_out_of_reach_asks_for_something_else() -> None:
    rows = table(signal=0.5).drop("number")
    today = {"always": "c1"}
    found = judged(rows, goal=GoalSpec(value=PRICES, today=today, require={"value_per_decision": ">= 2.9"}))
    assert found.verdict == "rephrase"
    assert "the goal requires >= 2.9" in found.reasons[0]
    reached = judged(rows, goal=GoalSpec(value=PRICES, today=today, require={"value_per_decision": ">= 1.5"}))
    assert reached.verdict == "go"


def test_decisions_that_nothing_changes_are_told() -> None:
    always = GoalSpec(value=PRICES | {"false_positive": "4.9", "true_negative": "-90"})
    found = judged(table().drop("number"), goal=always)
    assert found.verdict == "rephrase"
    assert "add 0 (0 to 0) to always c1" in found.reasons[0]


def test_the_first_estimate_is_a_months_money() -> None:
    rows = table(2000).drop("number")
    goal = GoalSpec(
        value=PRICES,
        today={"always": "c1"},
        volume="1000 / month",
        costs={"label": 3.0, "training_hour": 60.0, "per_1000_predictions": 7.0},
    )
    found = frame(rows, "y")
    look = look_quickly(rows, found)
    first = brief(goal, rows, found, look=look)
    assert first.labels == 6000
    month, gain = first.outlook.gain_per_month, first.expected.gain
    assert month.estimate == pytest.approx(1000 * gain.estimate - 7)
    assert month.low < month.estimate < month.high
    by_hand = first.expected.value.estimate - first.today.estimate
    assert gain.estimate == pytest.approx(by_hand, abs=0.02)
    assert first.today.estimate < first.expected.value.estimate < first.perfect


def test_the_gain_of_a_rule_is_told_where_a_model_adds_nothing() -> None:
    random = np.random.default_rng(4)
    a = random.normal(size=900)
    rows = pl.DataFrame({"a": a, "b": random.normal(size=900), "y": np.where(a > 0.3, "yes", "no")})
    look = look_quickly(rows, frame(rows, "y"))
    assert look.rule.startswith("a > 0.")
    said = [reason for reason in judged(rows).reasons if "the rule a > " in reason and "alone has" in reason]
    way = (look.rule_score - look.chance_score) / (look.score - look.chance_score)
    assert [one.partition(", ")[2] for one in said] == [
        f"a quick model {'no' if way >= 1 else 'hardly'} better"
    ]


def test_wrong_labels_are_pointed_at() -> None:
    rows = table(900, signal=8.0).drop("number")
    wrong = np.random.default_rng(5).choice(900, 90, replace=False)
    turned = rows["y"].to_numpy().copy()
    turned[wrong] = np.where(turned[wrong] == "c0", "c1", "c0")
    look = look_quickly(rows.with_columns(y=turned), frame(rows, "y"))
    assert look.noise == pytest.approx(0.12, abs=0.06)
    assert np.isin(look.suspects, wrong).mean() > 0.8


def test_a_required_metric_asks_for_labels() -> None:
    rows = table(500, seed=6, signal=2.5).drop("number")
    reached = judged(rows, forecast=True, require={"roc_auc": ">= 0.6"}, optimise="roc_auc")
    assert reached.verdict == "go"
    never = judged(rows, forecast=True, require={"roc_auc": ">= 0.999"}, optimise="roc_auc")
    assert never.verdict == "rephrase"


@pytest.mark.slow
def test_a_metric_that_labels_can_reach_asks_for_that_many_and_says_what_they_cost() -> None:
    """What is required lies between what is expected now and with eight times the labels."""
    random = np.random.default_rng(0)
    x = random.normal(size=(700, 8))
    level = x[:, :4].sum(axis=1) + 2 * x[:, 4] * x[:, 5] + random.logistic(size=700)
    rows = pl.DataFrame({f"x{i}": x[:, i] for i in range(8)}).with_columns(y=np.where(level > 0, "c1", "c0"))
    free = sufficiency(rows, spec=ProblemSpec(target="y", positive="c1", optimise="roc_auc"))
    assert free.now is not None, free.reason
    wanted = (free.now.estimate + free.ahead[-1].score.estimate) / 2
    assert free.ahead[-1].score.estimate > free.now.estimate + 0.01, free
    goal = GoalSpec.model_validate({"costs": {"label": 2}})
    stated = {"require": {"roc_auc": f">= {wanted:.4f}"}, "optimise": "roc_auc"}
    found = judged(rows, goal=goal, forecast=True, **stated)
    assert found.verdict == "more labels", found.reasons
    number = int(
        re.search(r"about ([\d,]+) more labels \(([\d,]+)\) reach it", found.reasons[0])[1].replace(",", "")
    )
    assert f"({2 * number:,})" in found.reasons[0]
    assert 0 < number <= 7 * 700
    assert re.search(r"with [\d,]+ more [\d.]+ \([\d.]+ to [\d.]+\)", found.reasons[0])


def test_a_permutation_test_is_exact() -> None:
    """Under chance p is uniform: as many small ones as there should be."""
    random = np.random.default_rng(7)
    found = [
        permutation_p("roc_auc", random.integers(0, 2, 40), random.random(40), seed=seed, draws=99)
        for seed in range(300)
    ]
    assert np.mean(np.array(found) <= 0.1) < 0.15
    assert np.mean(np.array(found) <= 0.5) == pytest.approx(0.5, abs=0.1)
    assert permutation_p("roc_auc", [0] * 5 + [1] * 5, np.arange(10) / 10, seed=0) < 0.02
    assert permutation_p("roc_auc", [0, 0], [0.1, 0.2], seed=0) == 1.0
    assert combined_p([0.01, 0.03]) == pytest.approx(0.04)


def test_payback_by_hand() -> None:
    found = outlook(Interval(-1.0, 2.0, 4.0), per_month=30, cost_per_month=0, upfront=120)
    assert (found.payback_days, found.payback_days_at_worst) == (60.0, None)
    assert outlook(found.gain, per_month=None, cost_per_month=0, upfront=1).gain_per_month is None


def test_a_look_is_saved_whole(tmp_path) -> None:
    rows = table(300).drop("number")
    look = look_quickly(rows, frame(rows, "y"))
    look.save(tmp_path)
    again = type(look).load(tmp_path)
    assert again == look
    assert np.array_equal(again.scores, look.scores)
    assert replace(look, p_value=1.0) != look
