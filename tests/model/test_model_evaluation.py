"""Evaluations against sklearn and brute force, and the step that the engine runs."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from everloop.core.units import Bound
from everloop.measure.value import decision_values
from everloop.measure.worth import Worth
from everloop.model.decision import Choosing, calibration_that_pays, choose_decision
from everloop.model.evaluating import evaluate
from everloop.model.evaluation import Evaluation
from everloop.model.judged import Judged
from everloop.spec.frame import Frame


def judged(rows: int = 600, **options) -> Judged:
    random = np.random.default_rng(0)
    group = random.choice(["a", "b"], rows)
    chance = random.random(rows)
    actual = (random.random(rows) < chance).astype(int)
    # In group b the scores are noise: the worst slice by construction.
    scores = np.where(group == "a", chance, random.random(rows))
    table = pl.DataFrame({"group": group, "x": random.normal(size=rows)})
    frame = Frame(
        task="binary",
        target="y",
        classes=("no", "yes"),
        positive="yes",
        metric="roc_auc",
        sensitive=("group",),
        inputs=("group", "x"),
    )
    return Judged(frame=frame, table=table, scores=scores, actual=actual, threshold=0.5, **options)


def test_metrics_agree_with_sklearn_and_lie_in_their_intervals() -> None:
    one = judged()
    found = evaluate(one)
    decided = one.scores >= 0.5
    expected = {
        "roc_auc": metrics.roc_auc_score(one.actual, one.scores),
        "average_precision": metrics.average_precision_score(one.actual, one.scores),
        "log_loss": metrics.log_loss(one.actual, one.scores),
        "f1": metrics.f1_score(one.actual, decided),
        "recall": metrics.recall_score(one.actual, decided),
    }
    for name, number in expected.items():
        assert found.metrics[name].estimate == pytest.approx(number)
        assert found.metrics[name].low < number < found.metrics[name].high
    assert found.score == found.metrics["roc_auc"]
    assert np.array_equal(found.confusion, metrics.confusion_matrix(one.actual, decided))
    false, true, _ = metrics.roc_curve(one.actual, one.scores)
    ours = np.interp(false, found.roc_curve["false_positive_rate"], found.roc_curve["true_positive_rate"])
    assert np.abs(ours - true).max() < 0.05


def test_the_interval_of_many_rows_is_as_wide_as_theory_says() -> None:
    rows = 40_000
    random = np.random.default_rng(1)
    actual = (random.random(rows) < 0.3).astype(int)
    one = replace(
        judged(), table=pl.DataFrame({"x": np.zeros(rows)}), scores=random.random(rows), actual=actual
    )
    interval = evaluate(one).metrics["positive_rate"]
    error = np.sqrt(0.25 / rows)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.25)


def test_what_nobody_looks_at_is_left_out_and_changes_no_other_number() -> None:
    prices = np.tile([5.0, -2.0, -4.0, 1.0], (600, 1))
    one = judged(worth=Worth("binary", prices=prices, size=600), today=np.arange(600) % 2 == 0)
    whole, plain = evaluate(one), evaluate(one, shown=False)
    assert whole.slices_looked_at
    assert whole.against_today
    left = {"slices": (), "slices_looked_at": 0, "against_today": {}}
    assert replace(whole, **left).to_dict() == plain.to_dict()


def test_value_and_gain_are_those_of_the_decisions() -> None:
    prices = np.tile([5.0, -2.0, -4.0, 1.0], (600, 1))
    today = np.zeros(600, dtype=bool)
    required = {"value_per_decision": Bound.parse(">= 100"), "recall": Bound.parse(">= 0.1")}
    one = judged(worth=Worth("binary", prices=prices, size=600), today=today, required=required)
    found = evaluate(one)
    ours, theirs = (decision_values(one.actual, d, prices) for d in (one.decisions, today))
    assert found.value.estimate == pytest.approx(ours.mean())
    assert found.gain.estimate == pytest.approx((ours - theirs).mean())
    assert found.best_possible == pytest.approx(np.where(one.actual == 1, 5.0, 1.0).mean())
    assert [requirement.holds for requirement in found.requirements] == [False, True]


def test_curves_say_what_each_of_their_points_would_earn_and_find() -> None:
    prices = np.tile([5.0, -2.0, -4.0, 1.0], (600, 1))
    one = judged(worth=Worth("binary", prices=prices, size=600))
    found = evaluate(one)
    curve = found.value_curve
    for threshold, value, rate in zip(
        curve["thresholds"], curve["values"], curve["positive_rates"], strict=True
    ):
        decided = one.scores >= threshold
        assert value == pytest.approx(decision_values(one.actual, decided, prices).mean())
        assert rate == pytest.approx(decided.mean())
    precision, recall, _ = metrics.precision_recall_curve(one.actual, one.scores)
    theirs = {(round(a, 9), round(b, 9)) for a, b in zip(precision, recall, strict=True)}
    shown = zip(found.precision_curve["precision"], found.precision_curve["recall"], strict=True)
    assert {(round(a, 9), round(b, 9)) for a, b in shown} <= theirs
    order = one.actual[np.argsort(-one.scores)]
    gain = found.gain_curve
    for share, part, lift in list(zip(gain["share"], gain["found"], gain["lift"], strict=True))[1:]:
        first = order[: round(share * 600)]
        assert part == pytest.approx(first.sum() / order.sum())
        assert lift == pytest.approx(first.mean() / order.mean())


def test_the_worst_slice_and_the_groups_are_found() -> None:
    one = judged(rows=3000, fairness={"equal_opportunity_difference": Bound.parse("<= 0.01")})
    found = evaluate(one)
    assert found.slices[0].conditions == (("group", "b"),)
    assert found.slices[0].score.estimate < found.slices[0].rest - 0.2
    (fairness,) = found.fairness
    rates = [
        metrics.recall_score(one.actual[mask], one.decisions[mask])
        for mask in (one.table["group"].to_numpy() == name for name in "ab")
    ]
    gap = fairness.differences["equal_opportunity_difference"]
    assert gap.estimate == pytest.approx(abs(rates[0] - rates[1]))
    assert gap.low < gap.estimate < gap.high
    assert not found.requirements[0].holds


def test_an_evaluation_goes_through_json() -> None:
    found = evaluate(judged(worth=Worth("binary", prices=(5.0, -2.0, -4.0, 1.0), size=600)))
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_one_class_alone_gives_no_number_and_no_error() -> None:
    one = judged()
    found = evaluate(replace(one, actual=np.zeros(600, dtype=int)))
    assert np.isnan(found.metrics["roc_auc"].estimate)


def test_regression_and_many_classes() -> None:
    random = np.random.default_rng(0)
    actual = random.normal(size=300)
    frame = Frame(task="regression", target="y", metric="rmse", inputs=("x",))
    one = Judged(frame=frame, table=pl.DataFrame({"x": actual}), scores=actual + 0.1, actual=actual)
    found = evaluate(one)
    assert found.metrics["rmse"].estimate == pytest.approx(0.1)
    assert len(found.predicted["actual"]) == 300
    chances = random.dirichlet(np.ones(3), 300)
    frame = Frame(task="multiclass", target="y", classes=("a", "b", "c"), metric="log_loss", inputs=("x",))
    labels = random.integers(0, 3, 300)
    found = evaluate(Judged(frame=frame, table=pl.DataFrame({"x": actual}), scores=chances, actual=labels))
    assert found.metrics["log_loss"].estimate == pytest.approx(metrics.log_loss(labels, chances))
    assert np.array_equal(found.confusion, metrics.confusion_matrix(labels, chances.argmax(axis=1)))
    score, rate, weight = (np.array(found.reliability[name]) for name in ("score", "rate", "weight"))
    assert weight @ rate == pytest.approx(np.sum(chances.argmax(axis=1) == labels))
    assert weight @ score == pytest.approx(chances.max(axis=1).sum())
    assert np.all(np.diff(score) > 0)


def test_calibration_is_kept_where_it_pays() -> None:
    random = np.random.default_rng(0)
    chance = random.random(4000)
    actual = (random.random(4000) < chance).astype(int)
    assert (
        calibration_that_pays(chance, actual) is None
        or abs(calibration_that_pays(chance, actual).slope - 1) < 0.1
    )
    squeezed = 0.4 + 0.2 * chance
    sigmoid = calibration_that_pays(squeezed, actual)
    assert sigmoid is not None
    assert metrics.log_loss(actual, sigmoid.apply(squeezed)) < metrics.log_loss(actual, squeezed) - 0.05
    assert calibration_that_pays(chance[:10], actual[:10]) is None


def test_a_calibration_must_help_in_later_stretches_of_time() -> None:
    random = np.random.default_rng(0)
    stretches, chance = np.repeat(np.arange(8), 500), random.random(4000)

    def drawn(levels):
        odds = np.log(chance / (1 - chance)) + np.asarray(levels)[stretches]
        return (random.random(4000) < 1 / (1 + np.exp(-odds))).astype(int)

    for once in ([2, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 2], [1, -1, 1, -1, 1, -1, 1, -1]):
        assert calibration_that_pays(chance, drawn(once), stretches) is None
    lasting = calibration_that_pays(chance, drawn([-1.0] * 8), stretches)
    assert lasting is not None
    assert lasting.intercept == pytest.approx(-1.0, abs=0.15)


def test_thresholds_without_prices_keep_their_bounds() -> None:
    one = judged(rows=2000)
    chosen = choose_decision(
        Choosing(one.frame, one.scores, one.actual, required={"recall": Bound.parse(">= 0.95")})
    )
    assert metrics.recall_score(one.actual, one.scores >= chosen.threshold) >= 0.95
    free = choose_decision(Choosing(one.frame, one.scores, one.actual, required={}))
    best = max(metrics.f1_score(one.actual, one.scores >= cut) for cut in np.linspace(0, 1, 101))
    assert metrics.f1_score(one.actual, one.scores >= free.threshold) == pytest.approx(best, abs=0.01)
    never = choose_decision(
        Choosing(one.frame, one.scores, one.actual, required={"precision": Bound.parse(">= 1.5")})
    )
    assert not never.satisfied


def test_the_step_writes_a_model_and_says_what_it_did(tmp_path) -> None:
    from everloop.model import Trained, search
    from everloop.model.steps import train_step
    from everloop.table.dataset import Dataset

    random = np.random.default_rng(0)
    x = random.normal(size=600)
    table = pl.DataFrame(
        {"x": x, "z": random.normal(size=600), "late": random.random(600) < 1 / (1 + np.exp(-2 * x))}
    )
    Dataset.save(
        tmp_path / "dataset", {"train": table[:300], "validation": table[300:400], "test": table[400:]}
    )
    frame = Frame(
        task="binary",
        target="late",
        classes=("false", "true"),
        positive="true",
        metric="roc_auc",
        inputs=("x", "z"),
    )
    frame.save(tmp_path / "frame")
    settings = {
        "goal": {
            "statement": "s",
            "today": {"always": "false"},
            "value": {
                "currency": "EUR",
                "true_positive": "8 + 0 * x",
                "false_positive": "-2",
                "false_negative": "-10",
                "true_negative": "0",
            },
        },
        "problem": {"target": "late"},
        "data": {"sources": {"t": {"file": "t.csv"}}},
        "model": {"learners": ["linear", "extra_trees"], "budget": {"trials": 2}},
    }
    inputs = {"dataset": tmp_path / "dataset", "frame": tmp_path / "frame"}
    facts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        facts.append(train_step(tmp_path / name, settings, inputs))
    assert facts[0] == facts[1]
    assert json.loads(json.dumps(facts[0])) == facts[0]
    assert facts[0]["evaluated_on"] == "test"
    assert facts[0]["gain"]["low"] > 0
    assert facts[0]["trials"] == 2
    for file in (tmp_path / "one").iterdir():
        if file.name != "timings.json":
            assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    model = search(Dataset.load(tmp_path / "dataset"), frame=frame, budget={"trials": 1}, learners=["linear"])
    assert (model.evaluation.part, model.evaluation.rows) == ("test", 200)
    loaded = Trained.load(tmp_path / "one")
    assert loaded.evaluation.rows == 200
    assert not (tmp_path / "one" / "trials.jsonl").exists()
