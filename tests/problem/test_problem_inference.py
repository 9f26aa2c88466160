"""What a problem is, inferred with a reason: told by check, run and new, and overridden by the file."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.cli import main
from everloop.problem.frame import build_frame
from everloop.problem.metric import price_growth
from everloop.spec import parse
from everloop.spec.frame import Frame
from everloop.spec.goal import ValueSpec

ROWS = 400


def orders():
    """Orders of customers who come again; whether one is returned is known some days later."""
    random = np.random.default_rng(0)
    asked = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=9 * place) for place in range(ROWS)]
    amount = random.gamma(3.0, 30.0, ROWS)
    late = random.exponential(3.0, ROWS)
    returned = np.where(amount + random.normal(0, 40, ROWS) > 130, "returned", "kept")
    known = np.arange(ROWS) < ROWS - 30
    return pl.DataFrame(
        {
            "order_id": [f"o{place:05d}" for place in random.permutation(ROWS)],
            "customer_id": [f"c{place}" for place in random.integers(0, 90, ROWS)],
            "asked_at": asked,
            "amount": amount,
            "items": random.integers(1, 9, ROWS),
            "closed_at": [
                at + timedelta(days=float(days)) if there else None
                for at, days, there in zip(asked, late, known, strict=True)
            ],
            "outcome": [str(told) if there else None for told, there in zip(returned, known, strict=True)],
        }
    )


def framed(problem, rest=""):
    spec = parse(f"name: x\nproblem: {problem}\ndata: {{sources: {{rows: {{file: a.csv}}}}}}\n{rest}")
    return build_frame(orders(), spec.problem, spec.data.clean, spec.goal.value)


INFERRED = {
    "task": "two classes",
    "positive": "'returned' reads as the event",
    "metric": "balanced enough|positives are rare",
    "entity": "come again",
    "time": "earliest of the complete time columns|only complete time column",
    "label_time": "known where the target is",
    "label_delay": "99 % of the actuals were known within",
}


def test_each_inference_has_a_reason():
    found = framed("{target: outcome}")
    assert (found.task, found.positive, found.entity, found.time, found.label_time) == (
        "binary",
        "returned",
        "customer_id",
        "asked_at",
        "closed_at",
    )
    assert set(found.reasons) == set(INFERRED)
    for what, words in INFERRED.items():
        assert any(word in found.reasons[what] for word in words.split("|")), found.reasons[what]
    rows = orders()
    delays = (rows["closed_at"] - rows["asked_at"]).drop_nulls().dt.total_seconds()
    assert found.label_delay_seconds == pytest.approx(delays.quantile(0.99), abs=7200)
    assert "identifier" in found.excluded["order_id"]
    assert found.excluded["closed_at"] == "known only after the outcome"


OVERRIDDEN = {
    "task": (
        "{target: items, task: regression}",
        "",
        lambda f: f.task == "regression" and "task" not in f.reasons,
    ),
    "positive": (
        "{target: outcome, positive: kept}",
        "",
        lambda f: f.positive == "kept" and f.classes[0] == "returned",
    ),
    "metric": ("{target: outcome, optimise: log_loss}", "", lambda f: f.metric == "log_loss"),
    "entity": ("{target: outcome, entity: order_id}", "", lambda f: f.entity == "order_id"),
    "no entity": (
        '{target: outcome, entity: ""}',
        "",
        lambda f: f.entity is None and "customer_id" in f.inputs,
    ),
    "time": ("{target: outcome, time: closed_at}", "", lambda f: f.time == "closed_at"),
    "no time": (
        '{target: outcome, time: ""}',
        "",
        lambda f: f.time is None and f.label_delay_seconds is None,
    ),
    "no label time": ('{target: outcome, label_time: ""}', "", lambda f: f.label_time is None),
    "label delay": ("{target: outcome, label_delay: 2d}", "", lambda f: f.label_delay_seconds == 172_800.0),
    "identifier": (
        "{target: outcome}",
        "data: {sources: {rows: {file: a.csv}}, clean: {columns: {order_id: {exclude: keep}}}}",
        lambda f: "order_id" in f.inputs,
    ),
    "an input": ("{target: outcome, exclude: [items]}", "", lambda f: "items" not in f.inputs),
}


@pytest.mark.parametrize(("problem", "data", "holds"), OVERRIDDEN.values(), ids=OVERRIDDEN)
def test_the_file_overrides_each_inference(problem, data, holds):
    sources = data or "data: {sources: {rows: {file: a.csv}}}"
    spec = parse(f"name: x\nproblem: {problem}\n{sources}")
    found: Frame = build_frame(orders(), spec.problem, spec.data.clean)
    assert holds(found), found.to_dict()
    if not data and "exclude" not in problem:
        (stated,) = [key for key in spec.problem.model_fields_set if key != "target"]
        assert {"optimise": "metric"}.get(stated, stated) not in found.reasons


@pytest.mark.slow
def test_check_run_and_new_tell_each_inference_with_its_reason(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    orders().write_parquet("orders.parquet")
    assert main(["new", "shop", "--data", "orders.parquet", "--target", "outcome"]) == 0
    told = capsys.readouterr().out
    reasons = framed("{target: outcome}").reasons
    assert all(why in told for why in reasons.values())
    # A file that leaves everything open: what is inferred is told again.
    (tmp_path / "everloop.yaml").write_text(
        "name: shop\nproblem: {target: outcome}\ndata: {sources: {rows: {file: orders.parquet}}}\n"
    )
    assert main(["check"]) in (0, 1)
    told = capsys.readouterr().out
    assert all(why in told for why in reasons.values())
    assert main(["run", "--until", "problem"]) == 0
    told = capsys.readouterr().out
    assert all(why in told for why in reasons.values())
    assert main(["run", "--until", "problem", "--json"]) == 0
    frame = json.loads(capsys.readouterr().out)["steps"]["frame"]["facts"]["frame"]
    assert frame["reasons"] == reasons


@pytest.mark.slow
def test_a_leak_suspect_is_told_and_may_be_waived(tmp_path, capsys, monkeypatch):
    random = np.random.default_rng(0)
    told = np.where(random.random(ROWS) < 0.4, "yes", "no")
    rows = pl.DataFrame(
        {"a": random.normal(size=ROWS), "copy": np.where(told == "yes", "si", "no"), "y": told}
    )
    monkeypatch.chdir(tmp_path)
    rows.write_csv("rows.csv")
    file = "name: odd\nproblem: {target: y}\ndata: {sources: {rows: {file: rows.csv}}%s}\n"
    (tmp_path / "everloop.yaml").write_text(file % "")
    assert main(["run", "--until", "data"]) == 1
    assert "target copy: copy" in capsys.readouterr().err
    waived = ', leaks: {waive: {"target copy: copy": "known at the desk"}}'
    (tmp_path / "everloop.yaml").write_text(file % waived)
    assert main(["run", "--until", "data"]) == 0
    assert "1 waived" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("over", "under", "metric", "growth"),
    [
        ("-1 * (predicted - actual)", "-3 * (actual - predicted)", "mae", 1.0),
        ("-1 * (predicted - actual) * (predicted - actual)", "0", "rmse", 2.0),
    ],
)
def test_prices_of_errors_choose_between_absolute_and_squared_ones(over, under, metric, growth):
    value = f'goal: {{value: {{over_prediction: "{over}", under_prediction: "{under}"}}}}'
    found = framed("{target: amount}", value)
    assert found.metric == metric
    assert "of twice the size costs" in found.reasons["metric"]
    spec = ValueSpec(over_prediction=over, under_prediction=under)
    assert price_growth(found, spec, orders()) == pytest.approx(growth)
    assert framed("{target: amount}").metric == "rmse"
    assert framed("{target: amount, optimise: rmse}", value).metric == "rmse"


def test_rare_events_are_judged_by_average_precision():
    rows = pl.DataFrame({"a": np.arange(200.0) % 17, "y": ["yes"] * 20 + ["no"] * 180})
    spec = parse("name: x\nproblem: {target: y}\ndata: {sources: {rows: {file: a.csv}}}").problem
    found = build_frame(rows, spec)
    assert found.metric == "average_precision"
    assert "positives are rare (10.0%)" in found.reasons["metric"]
    priced = build_frame(rows, spec, None, ValueSpec(true_positive="5", false_positive="-1"))
    assert "the threshold on the ranking is chosen by prices" in priced.reasons["metric"]
