"""Bounds on fairness in the gate: every column, every pair, no verdict from a handful of rows."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from everloop.core.units import Bound
from everloop.deploy.fairness import MEASURES, disparities
from everloop.deploy.gate import _fairness
from everloop.measure.fairness import FAIRNESS
from everloop.measure.metrics import METRICS, compute
from everloop.spec.frame import Frame

ROWS = 2000


def candidate(task="binary", **columns):
    random = np.random.default_rng(0)
    table = pl.DataFrame({"sex": random.choice(["f", "m"], ROWS), "old": random.random(ROWS) < 0.4} | columns)
    actual = (random.random(ROWS) < 0.4).astype(float)
    favoured = (table["sex"] == "f").to_numpy()
    decisions = np.where(favoured, random.random(ROWS) < 0.7, random.random(ROWS) < 0.3).astype(float)
    metric = {"binary": "accuracy", "regression": "mae"}[task]
    frame = Frame(task=task, target="y", classes=("0", "1"), metric=metric, sensitive=tuple(table.columns))
    return SimpleNamespace(
        rows=table,
        frame=frame,
        actual=actual,
        decisions=decisions,
        counts=None,
        predicted_for=lambda name: decisions if METRICS[name].needs in ("decision", "number") else None,
    )


def checks(one, **bounds):
    fairness = {name: Bound.parse(text) for name, text in bounds.items()}
    spec = SimpleNamespace(model=SimpleNamespace(fairness=fairness))
    return list(_fairness(SimpleNamespace(candidate=one, spec=spec)))


def test_each_column_and_each_pair_is_checked():
    found = checks(candidate(), demographic_parity_difference="<= 0.2")
    assert [check.name.partition(" by ")[2] for check in found] == ["sex", "old", "sex and old"]
    assert [check.passed for check in found] == [False, True, False]
    one = candidate()
    expected = FAIRNESS["demographic_parity_difference"](one.actual, one.decisions, one.rows["sex"].to_list())
    assert found[0].evidence["found"] == pytest.approx(expected)
    assert found[0].evidence["low"] < expected < found[0].evidence["high"]


def test_a_group_of_a_handful_decides_nothing():
    rare = np.array(["common"] * (ROWS - 3) + ["rare"] * 3)
    one = candidate(kind=rare)
    one.decisions[-3:] = 1 - one.actual[-3:]
    (kind,) = [each for each in disparities(one, "equalized_odds_difference") if each.columns == ("kind",)]
    assert kind.too_small == {"rare": 3}
    assert kind.interval.estimate == 0
    assert kind.groups == 1


def test_a_ratio_is_bounded_from_below():
    found = checks(candidate(), demographic_parity_ratio=">= 0.8")
    assert [check.passed for check in found] == [False, True, False]


def test_a_pair_is_refused_only_beyond_chance():
    one = candidate()
    gap = next(each for each in disparities(one, "metric_difference") if each.columns == ("sex", "old"))
    assert gap.interval.low < gap.interval.estimate
    between = (gap.interval.low + gap.interval.estimate) / 2
    *_, pair = checks(one, metric_difference=f"<= {between}")
    assert pair.passed


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_has_an_answer(name):
    for found in disparities(candidate(), name):
        assert found.interval.low <= found.interval.estimate <= found.interval.high


def test_a_number_is_compared_by_its_metric_alone():
    one = candidate("regression")
    gap = next(disparities(one, "metric_difference"))
    women = (one.rows["sex"] == "f").to_numpy()
    errors = [compute("mae", one.actual[mask], one.decisions[mask]) for mask in (women, ~women)]
    assert gap.interval.estimate == pytest.approx(abs(errors[0] - errors[1]))
    assert not checks(one, equalized_odds_difference="<= 1")[0].passed
