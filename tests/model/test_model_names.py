"""Columns may be called anything: from the search to the package, the contract and the profile."""

import numpy as np
import polars as pl
import pytest

from everloop import data
from everloop.core.units import Bound
from everloop.measure.fairness import FAIRNESS
from everloop.model import search
from everloop.model.evaluating import evaluate
from everloop.model.fairness import judge_groups
from everloop.model.judged import Judged
from everloop.monitor import drift
from everloop.runtime.package import Package
from everloop.spec.frame import Frame
from everloop.table.groups import groups_of

NAMES = (
    "count", "rows", "len", "index", "literal", "", "a b", "é", "score", "x", "value", "label", "position",
    "prediction", "row", "__index__", "field_0", "columns", "a.b", 'quote"d', "new\nline", "c:0", "0",
)  # fmt: skip


def table_of(names, rows: int = 240) -> pl.DataFrame:
    random = np.random.default_rng(3)
    columns = {}
    for index, name in enumerate(names):
        if index % 2:
            columns[name] = random.normal(size=rows).round(3)
        else:
            columns[name] = random.choice(["p", "q", "r"], rows)
    return pl.DataFrame(columns)


@pytest.mark.parametrize("target", ["count", "rows", "label", "", "score", "prediction"])
def test_hostile_names_go_the_whole_way(tmp_path, target):
    inputs = [name for name in NAMES if name != target]
    table = table_of(inputs)
    yes = (table[inputs[1]] + (table[inputs[0]] == "p").cast(pl.Float64)) > 0.3
    table = table.with_columns(
        pl.when(yes).then(pl.lit("yes")).otherwise(pl.lit("no")).alias(target),
        pl.Series(inputs[2], (["p", None, "q", "r"] * 60)),
    )
    model = search(table, target=target, learners=("linear",), budget={"trials": 1}, select_features=False)
    assert set(model.trained.plan.to_json() and (item.name for item in model.trained.plan.inputs)) == set(
        inputs
    )
    model.package(tmp_path / "package", sample=table, contract=data.learn(table))
    package = Package(tmp_path / "package")
    assert package.predict(table).tolist() == model.predict(table).tolist()
    rows = table.drop(target).to_dicts()
    assert package.predict(rows).tolist() == model.predict(table).tolist()
    assert package.explain(rows[0], 3)
    normalised = package.contract.only(inputs)
    assert data.check(table.drop(target), normalised).passed


@pytest.mark.parametrize("name", NAMES)
def test_one_column_of_each_name_is_looked_at(name):
    table = pl.DataFrame({name: ["p", "q", None, "n/a"] * 30})
    profile = data.profile(table)
    assert profile.columns[0].name == name
    assert dict(profile.columns[0].top) == {"p": 30, "q": 30, "n/a": 30}
    assert profile.columns[0].sentinels == {"n/a": 30}
    contract = data.learn(table)
    assert data.check(table, contract).passed
    assert data.diff(table, table.reverse()).to_dict()
    assert not drift(table, table).drifted


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_each_name_are_looked_at(name):
    table = pl.DataFrame({name: [0.5, 1.5, None, 3.0] * 30})
    assert sum(data.profile(table).columns[0].histogram) == 90
    assert data.check(table, data.learn(table)).passed
    assert data.diff(table, table.head(100)).to_dict()


def judged(names, **options) -> Judged:
    random = np.random.default_rng(0)
    groups = {name: random.choice(["a", "missing", ""], 900) for name in names}
    scores = random.random(900)
    return Judged(
        frame=Frame(
            task="binary",
            target="y",
            classes=("no", "yes"),
            positive="yes",
            metric="roc_auc",
            sensitive=names,
            inputs=names,
        ),
        table=pl.DataFrame(groups),
        scores=scores,
        actual=(random.random(900) < scores).astype(int),
        threshold=0.5,
        **options,
    )


@pytest.mark.parametrize("name", ["count", "rows", "", "é"])
def test_groups_fare_as_measure_says(name):
    one = judged((name,))
    (found,) = judge_groups(one)
    assert set(groups_of(one.table[name])) == {"a", "missing", ""}
    groups = one.table[name].replace({"": "(empty)"}).to_list()
    for key, function in FAIRNESS.items():
        expected = function(one.actual, one.decisions, groups)
        assert found.differences[key].estimate == pytest.approx(expected)
    of_empty = one.table[name] == ""
    empty = next(group for group in found.groups if group.name == "")
    assert empty.rows == of_empty.sum()
    assert empty.rates["positive_rate"].estimate == pytest.approx(one.decisions[of_empty.to_numpy()].mean())


def test_a_bound_on_fairness_holds_for_every_sensitive_column():
    bound = {"demographic_parity_difference": Bound.parse("<= 0.3")}
    one = judged(("unfair", "fair"), fairness=bound)
    unfair = np.where(one.decisions == 1, "a", "b")
    one = Judged(
        **{name: getattr(one, name) for name in one.__slots__}
        | {"table": one.table.with_columns(pl.Series("unfair", unfair))}
    )
    requirement = next(r for r in evaluate(one).requirements if r.name == "demographic_parity_difference")
    assert not requirement.holds
    assert requirement.number == 1.0
