import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.monitor import explain_change
from everloop.monitor.causes import ChangeCauses, ColumnCause
from everloop.monitor.ranking import rank_moved


def test_the_dearest_stands_first_though_another_moved_further():
    random = np.random.default_rng(0)
    before = pl.DataFrame({name: random.normal(size=3000) for name in ("cheap", "dear", "helps")})
    after = before.with_columns(pl.col("cheap") + 5, pl.col("dear") + 1, pl.col("helps") + 1)
    worth = lambda rows: (-0.1 * rows["cheap"] - 3 * rows["dear"] + 2 * rows["helps"]).to_numpy()  # noqa: E731
    causes = explain_change(before, after, worth, pairs=3000)
    moved = {"cheap": 50.0, "helps": 11.0, "dear": 10.0, "(score)": 40.0}
    ranking = rank_moved(moved, causes, predictions=3000, currency="EUR")
    assert [one.column for one in ranking.columns] == ["dear", "cheap", "helps", "(score)"]
    assert [one.loss for one in ranking.columns] == pytest.approx([3.0, 0.5, -2.0, None], abs=1e-6)
    assert ranking.loss == pytest.approx(1.5 * 3000)
    told = ranking.sentence()
    assert told.startswith("dear costs 3 EUR a decision (9,000 EUR in this window), cheap costs 0.5 EUR")
    assert "helps gains 2 EUR" in told
    assert json.loads(json.dumps(ranking.to_dict(), allow_nan=False))["loss"] == pytest.approx(4500)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(1, 100), min_size=1),
    st.dictionaries(st.sampled_from("abcdef"), st.floats(-50, 50)),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_every_moved_column_is_ranked_once_by_falling_loss(moved, amounts):
    causes = ChangeCauses(0.0, 0.0, tuple(ColumnCause(name, part, 0.1) for name, part in amounts.items()), ())
    ranking = rank_moved(moved, causes, predictions=10)
    assert sorted(one.column for one in ranking.columns) == sorted(moved)
    losses = [one.loss for one in ranking.columns]
    known = [loss for loss in losses if loss is not None]
    assert losses[: len(known)] == sorted(known, reverse=True)
    assert all(one.loss == pytest.approx(-amounts[one.column]) for one in ranking.columns[: len(known)])
    assert ranking.loss == (pytest.approx(10 * sum(known)) if known else None)


def test_without_an_estimate_columns_are_ranked_by_how_far_they_moved_and_the_reason_is_said():
    causes = ChangeCauses(0.2, 0.2, (ColumnCause("a", 0.2, 0.1),), ())
    ranking = rank_moved({"a": 3.0, "b": 7.0}, causes, predictions=10, reason="goal.value states no price")
    assert [one.column for one in ranking.columns] == ["b", "a"]
    assert ranking.loss is None
    assert ranking.sentence() == "no loss is estimated: goal.value states no price"
    alone = rank_moved({"(score)": 3.0}, causes, predictions=10)
    assert alone.sentence() == "no loss is estimated: what moved is no input of its own"
    assert rank_moved({}, causes, predictions=10).sentence() == ""
