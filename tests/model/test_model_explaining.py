"""What moves the scores: Shapley values by their definition, dependence and robustness by hand."""

import json
from itertools import combinations
from math import factorial

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from everloop.model import explain, search
from everloop.model.explaining import explain as explain_judged
from everloop.model.explaining import explained_rows
from everloop.model.explanation import Explanation
from everloop.model.judged import Judged
from everloop.model.shapley import shapley_values
from everloop.spec.frame import Frame

RANDOM = np.random.default_rng(5)


def by_definition(score, row, background, columns):
    """Sums over all coalitions of the other columns, over all background rows."""

    def worth(own):
        places = np.tile(np.array(background)[:, None], (1, columns))
        places[:, list(own)] = row
        return score(places).mean()

    values = np.zeros(columns)
    for column in range(columns):
        others = [k for k in range(columns) if k != column]
        for size in range(columns):
            share = factorial(size) * factorial(columns - size - 1) / factorial(columns)
            for own in combinations(others, size):
                values[column] += share * (worth((*own, column)) - worth(own))
    return values


def test_shapley_values_are_those_of_the_definition():
    table = RANDOM.normal(size=(30, 4))

    def score(places):
        a, b, c, d = (table[places[:, k], k] for k in range(4))
        return a * b + np.sin(c) + 0.0 * d

    rows, background = np.array([0, 1, 2]), np.arange(3, 30)
    found = shapley_values(score, rows, background, 4, orders=3000, seed=0)
    for position, row in enumerate(rows):
        expected = by_definition(score, row, background, 4)
        assert np.all(np.abs(found.values[position] - expected) < 5 * found.errors[position] + 1e-12)
    assert np.all(found.values[:, 3] == 0)
    assert found.errors.max() < 0.05


def test_what_the_columns_add_sums_to_the_score():
    table = RANDOM.normal(size=(20, 3))

    def score(places):
        return table[places, np.arange(3)].prod(axis=1)

    found = shapley_values(score, np.arange(5), np.arange(5, 20), 3, orders=7, seed=1)
    assert found.values.sum(axis=1) + found.base == pytest.approx(table[:5].prod(axis=1))


def test_an_additive_model_needs_one_order():
    table = RANDOM.normal(size=(20, 3))
    weights = np.array([2.0, -1.0, 0.5])

    def score(places):
        return table[places, np.arange(3)] @ weights

    found = shapley_values(score, np.arange(5), np.array([9]), 3, orders=1, seed=1)
    assert found.values == pytest.approx((table[:5] - table[9]) * weights)


def judged(task, scores_of, actual, table, **options):
    frame = Frame(task=task, target="y", inputs=tuple(table.columns), **options)
    return Judged(frame=frame, table=table, scores=scores_of(table), actual=actual, threshold=0.5)


def test_a_number_is_explained():
    size = 400
    table = pl.DataFrame(
        {
            "x": RANDOM.normal(size=size),
            "kind": RANDOM.choice(["a", "b"], size),
            "idle": RANDOM.normal(size=size),
        }
    )

    def scores(rows):
        return (
            3 * rows["x"].fill_null(0) + 2 * (rows["kind"] == "b").fill_null(value=False).cast(pl.Float64)
        ).to_numpy()

    found = explain_judged(
        judged("regression", scores, scores(table), table, metric="mae"), scores, ("x", "kind", "idle")
    )
    assert [one.column for one in found.effects] == ["x", "kind", "idle"]
    assert found.effects[2].size.high == 0
    x = next(one for one in found.dependence if one.column == "x")
    base = 2 * (table["kind"] == "b").mean()
    assert np.array(x.mean) == pytest.approx(3 * np.array(x.at) + base, abs=0.15)
    kind = next(one for one in found.dependence if one.column == "kind")
    means = dict(zip(kind.at, kind.mean, strict=True))
    assert means["b"] - means["a"] == pytest.approx(2)
    costs = {(one.column, one.kind): one.loss for one in found.robustness}
    assert costs["x", "missing"].estimate == pytest.approx(3 * np.abs(table["x"].to_numpy()).mean())
    assert costs["kind", "unknown"].estimate == pytest.approx(base)
    assert costs["idle", "noise"].estimate == 0
    assert 0 < costs["x", "noise"].estimate < costs["x", "missing"].estimate
    assert ("", "missing") in costs
    lost = {one.column: one.loss for one in found.permuted}
    # Shuffled, |3 (x - x')| of two independent normals is 3 * 2 / sqrt(pi) on average.
    assert lost["x"].estimate == pytest.approx(6 / np.sqrt(np.pi), rel=0.15)
    assert lost["kind"].estimate == pytest.approx(1.0, abs=0.2)
    assert lost["idle"].low == lost["idle"].high == 0
    assert [one.column for one in found.permuted] == ["x", "kind", "idle"]
    assert Explanation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize("classes", [2, 3])
def test_a_searched_model_is_explained(classes):
    size = 600
    x, z = RANDOM.normal(size=size), RANDOM.normal(size=size)
    noisy = x + 0.3 * RANDOM.normal(size=size)
    label = np.digitize(noisy, [0.0] if classes == 2 else [-0.5, 0.5])
    table = pl.DataFrame(
        {"x": x, "z": z, "kind": RANDOM.choice(["a", "b"], size), "y": [f"class {k}" for k in label]}
    )
    model = search(
        table, target="y", learners=["linear"], budget={"trials": 1}, seed=0, select_features=False
    )
    found = explain(model, table)
    assert found == explain(model, table)
    assert found.effects[0].column == "x"
    assert found.effects[0].size.low > 10 * found.effects[-1].size.estimate
    worst = found.robustness[[bool(one.column) for one in found.robustness].index(True)]
    assert (worst.column, worst.kind) == ("x", "missing")
    assert worst.loss.low > 0
    assert 0 < worst.changed <= 1


def test_what_is_lost_by_shuffling_is_that_of_scikit_learn():
    from sklearn.inspection import permutation_importance
    from sklearn.linear_model import LogisticRegression

    # Intervals miss now and then: its rows are the same in whatever order tests run.
    random = np.random.default_rng(0)
    X = random.normal(size=(2_000, 3))
    actual = (X[:, 0] + 0.5 * X[:, 1] + random.normal(size=2_000) > 0).astype(int)
    model = LogisticRegression().fit(X, actual)
    table = pl.DataFrame({name: X[:, k] for k, name in enumerate("abc")})

    def scores(rows):
        return model.predict_proba(rows.select("a", "b", "c").fill_null(0).to_numpy())[:, 1]

    one = judged("binary", scores, actual, table, metric="roc_auc", classes=("0", "1"), positive="1")
    found = {each.column: each.loss for each in explain_judged(one, scores, ("a", "b", "c")).permuted}
    theirs = permutation_importance(model, X, actual, scoring="roc_auc", n_repeats=20, random_state=0)
    for k, name in enumerate("abc"):
        assert found[name].low <= theirs.importances_mean[k] <= found[name].high


def test_the_loss_is_that_of_the_metric_when_a_field_is_missing():
    size = 500
    chance = RANDOM.random(size)
    table = pl.DataFrame({"chance": chance, "side": RANDOM.random(size)})
    actual = (RANDOM.random(size) < chance).astype(int)

    def scores(rows):
        return (0.8 * rows["chance"].fill_null(0.5) + 0.2 * rows["side"].fill_null(0.5)).to_numpy()

    one = judged("binary", scores, actual, table, metric="roc_auc", classes=("0", "1"), positive="1")
    found = explain_judged(one, scores, ("chance", "side"))
    loss = next(each.loss for each in found.robustness if (each.column, each.kind) == ("chance", "missing"))
    expected = metrics.roc_auc_score(actual, scores(table)) - metrics.roc_auc_score(actual, table["side"])
    assert loss.estimate == pytest.approx(expected)
    assert loss.low > 0


def test_fewer_rows_are_explained_where_there_are_thousands_of_columns():
    assert explained_rows(500, 20) == 64
    assert explained_rows(5, 20) == 5
    for columns in (2_000, 5_000, 50_000):
        rows = explained_rows(500, columns)
        assert rows >= 1
        assert rows == 1 or 2 * (columns + 1) * columns * rows <= 100_000_000
