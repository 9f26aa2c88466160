import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import DataFault, UsageFault
from everloop.monitor import ReferenceRules, WindowState, count_window, judge_state, reference
from everloop.monitor.state import ACTUAL, SCORE, thinned

RULES = ReferenceRules(window_rows=300)


def rows(n, seed=0, shift=0.0):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "heat": np.where(random.random(n) < 0.1, np.nan, random.normal(shift, 1, n)),
            "steps": random.poisson(3, n),
            "kind": random.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
        }
    )


def scored(n, seed):
    random = np.random.default_rng(seed)
    scores = random.random(n)
    actuals = (random.random(n) < scores).astype(float)
    return scores, np.where(random.random(n) < 0.2, np.nan, actuals)


BEFORE = rows(2000)
SCORES, ACTUALS = scored(2000, 1)
REFERENCE = reference(BEFORE, scores=SCORES, actuals=ACTUALS, rules=RULES)


def same(a, b):
    """Counts and extremes equal; sums to rounding."""
    assert a.rows == b.rows
    for name, histogram in a.histograms.items():
        other = b.histograms[name]
        assert replace(histogram, total=0.0, square=0.0) == replace(other, total=0.0, square=0.0)
        assert histogram.mean == pytest.approx(other.mean, nan_ok=True)


@given(cuts=st.lists(st.integers(0, 500), min_size=2, max_size=4), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_parts_add_up_to_the_whole_in_any_order_and_grouping(cuts, seed):
    table, (scores, actuals) = rows(500, seed + 10), scored(500, seed)
    ends = [0, *sorted(cuts), 500]
    parts = [
        count_window(table[a:b], REFERENCE, scores=scores[a:b], actuals=actuals[a:b])
        for a, b in pairwise(ends)
    ]
    whole = count_window(table, REFERENCE, scores=scores, actuals=actuals)
    first, *others = parts
    same(first.merge(*others), whole)
    same(parts[-1].merge(*parts[-2::-1]), whole)
    same(parts[0].merge(parts[1].merge(*parts[2:])), parts[0].merge(parts[1]).merge(*parts[2:]))


def test_a_state_does_not_grow_with_its_rows():
    small, large = (count_window(rows(n, 3), REFERENCE) for n in (100, 50_000))
    assert len(json.dumps(large.to_dict())) < 1.2 * len(json.dumps(small.to_dict()))


def test_a_state_survives_json():
    scores, actuals = scored(200, 4)
    state = count_window(rows(200, 4), REFERENCE, scores=scores, actuals=actuals)
    text = json.dumps(state.to_dict(), allow_nan=False)
    assert WindowState.from_dict(json.loads(text)) == state
    with pytest.raises(DataFault, match="damaged"):
        WindowState.from_dict({"rows": 1})


def test_days_that_were_counted_apart_are_judged_as_one():
    days = [count_window(rows(400, seed, shift=0.5), REFERENCE) for seed in (5, 6, 7)]
    finding = judge_state(days[0].merge(*days[1:]), REFERENCE)
    assert finding.status == "drift"
    assert finding.moved() == ("heat",)
    assert finding.distances["heat"].keys() >= {"psi", "chi_square", "jensen_shannon", "unseen_share"}


def test_actuals_are_compared_once_most_of_them_are_known():
    scores, actuals = scored(600, 8)
    moved = np.where(np.isnan(actuals), np.nan, 1.0)
    table = rows(600, 8)
    early = judge_state(count_window(table, REFERENCE, scores=scores, actuals=moved), REFERENCE)
    assert not early.exceeded
    assert ACTUAL not in early.distances
    late = judge_state(count_window(table, REFERENCE, scores=scores, actuals=np.ones(600)), REFERENCE)
    assert late.moved() == (ACTUAL,)
    few = np.where(np.arange(600) < 570, 1.0, np.nan)
    assert judge_state(count_window(table, REFERENCE, scores=scores, actuals=few), REFERENCE).exceeded


def test_a_score_that_moved_is_found():
    scores, _ = scored(600, 9)
    finding = judge_state(count_window(rows(600, 9), REFERENCE, scores=scores**2), REFERENCE)
    assert finding.moved() == (SCORE,)


@pytest.mark.parametrize("n", [0, 1, 29])
def test_windows_of_few_rows_are_not_judged(n):
    scores, actuals = scored(n, 2)
    finding = judge_state(count_window(rows(n, 2), REFERENCE, scores=scores, actuals=actuals), REFERENCE)
    assert finding.status == "too few"
    assert not finding.exceeded


def test_a_column_that_is_not_there_is_said():
    finding = judge_state(count_window(rows(400, 3).drop("steps"), REFERENCE), REFERENCE)
    assert finding.status == "none"
    assert finding.absent == ("steps", SCORE)
    assert "steps" in finding.reason


def test_one_value_alone_is_drift_and_not_a_fault():
    table = rows(400, 3).with_columns(heat=pl.lit(0.0), kind=pl.lit("a"), steps=pl.lit(None, dtype=pl.Int64))
    scores = np.zeros(400)
    finding = judge_state(count_window(table, REFERENCE, scores=scores, actuals=scores), REFERENCE)
    assert set(finding.moved()) == {"heat", "kind", "steps", SCORE, ACTUAL}


def test_parts_of_other_columns_or_references_are_refused():
    whole = count_window(rows(50), REFERENCE)
    with pytest.raises(UsageFault, match="steps"):
        whole.merge(count_window(rows(50).drop("steps"), REFERENCE))
    other = reference(rows(500, 9), rules=RULES)
    with pytest.raises(UsageFault, match="different bins"):
        whole.merge(count_window(rows(50), other))
    with pytest.raises(DataFault, match="one each"):
        count_window(rows(50), REFERENCE, scores=[0.5])


def test_thinning_keeps_the_shares():
    whole = count_window(rows(30_000, 5), REFERENCE).histograms["kind"]
    drawn = thinned(whole, 3000, np.random.default_rng(0))
    assert drawn.rows == 3000
    np.testing.assert_allclose(drawn.shares(), whole.shares(), atol=0.04)
    assert thinned(whole, 10**6, np.random.default_rng(0)) is whole
