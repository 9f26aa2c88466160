import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import DataFault
from everloop.monitor import explain_change


def rows(n, seed, **moved):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "income": random.normal(5 + moved.get("income", 0), 1, n),
            "age": random.integers(20, 70, n) + moved.get("age", 0),
            "city": random.choice(
                ["Oslo", "Rome"], n, p=[1 - moved.get("rome", 0.3), moved.get("rome", 0.3)]
            ),
            "noise": random.normal(size=n),
        }
    )


def share(table):
    return (table["city"] == "Rome").to_numpy().mean()


def linear(table):
    return (
        3 * table["income"] - 0.1 * table["age"] + 4 * (table["city"] == "Rome").cast(pl.Float64)
    ).to_numpy()


def test_a_linear_outcome_is_taken_apart_as_its_closed_form():
    before, after = rows(4000, 0), rows(4000, 1, income=1, age=10, rome=0.5)
    found = explain_change(before, after, linear, pairs=4000)
    expected = {
        "income": 3 * (after["income"].mean() - before["income"].mean()),
        "age": -0.1 * (after["age"].mean() - before["age"].mean()),
        "city": 4 * (share(after) - share(before)),
        "noise": 0.0,
    }
    assert {one.column: one.amount for one in found.columns} == pytest.approx(expected, abs=1e-9)
    assert found.columns[0].column == "income"
    assert found.change == pytest.approx(found.measured, abs=1e-9)


@given(seed=st.integers(0, 50), pairs=st.integers(2, 60))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_the_parts_add_up_exactly_whatever_the_outcome(seed, pairs):
    before, after = rows(60, seed), rows(60, seed + 1, income=1, rome=0.8)

    def outcome(table):
        return (np.exp(table["income"] / 4) * (table["city"] == "Rome") - table["age"] % 7).to_numpy()

    found = explain_change(before, after, outcome, pairs=pairs, seed=seed)
    assert sum(one.amount for one in found.columns) == pytest.approx(found.change, abs=1e-9)
    whole = explain_change(before, after, outcome, pairs=60, seed=seed)
    assert whole.change == pytest.approx(whole.measured, abs=1e-9)
    assert {one.column: one.amount for one in whole.columns}["noise"] == 0.0


def test_what_two_columns_do_together_is_shared():
    before = pl.DataFrame({"a": [0.0] * 50, "b": [0.0] * 50})
    after = pl.DataFrame({"a": [1.0] * 50, "b": [1.0] * 50})
    found = explain_change(before, after, lambda table: (table["a"] * table["b"]).to_numpy())
    assert [one.amount for one in found.columns] == pytest.approx([0.5, 0.5])


def test_the_segment_that_lost_it_is_named():
    before, after = rows(3000, 0), rows(3000, 1)
    lost = lambda table: -10.0 * (table["city"] == "Rome").to_numpy()  # noqa: E731
    found = explain_change(before, after.with_columns(city=pl.lit("Rome")), lost)
    assert (found.segments[0].column, found.segments[0].value) == ("city", "Rome")
    assert found.segments[0].amount == pytest.approx(-7, abs=0.3)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["segments"][0]["share_after"] == 1.0


def test_nothing_to_compare_is_refused():
    with pytest.raises(DataFault, match="nothing to compare"):
        explain_change(rows(5, 0), rows(0, 0), linear)
    with pytest.raises(DataFault, match="nothing to compare"):
        explain_change(rows(5, 0), pl.DataFrame({"x": [1]}), linear)
