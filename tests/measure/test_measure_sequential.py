import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.betting import (
    log_capital,
    log_growth,
    mean_sequence,
    predictable_bets,
    rate_sequence,
)
from everloop.measure.sequential import (
    FEWEST,
    Moments,
    always_valid,
    answer_of,
    asymptotic_radius,
    bound_comparison,
    compare_moments,
    rate_comparison,
)

RUNS, LENGTH, ALPHA = 2000, 600, 0.05


def running(values):
    """Mean and variance (n - 1) after each column of (runs, n)."""
    n = np.arange(1, values.shape[1] + 1)
    mean = np.cumsum(values, axis=1) / n
    square = np.cumsum(values**2, axis=1) - n * mean**2
    return mean, np.maximum(square, 0) / np.maximum(n - 1, 1)


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_two_equal_arms_looked_at_after_every_row_are_told_apart_too_seldom_to_matter(draw):
    random = np.random.default_rng(31)
    a, b = (getattr(random, draw)(size=(RUNS, LENGTH)) for _ in "ab")
    (mean_a, variance_a), (mean_b, variance_b) = running(a), running(b)
    n = np.arange(1, LENGTH + 1)
    half = np.sqrt(2 * n * (variance_a / n + variance_b / n)) * asymptotic_radius(2 * n, ALPHA)
    wrong = (np.abs(mean_b - mean_a) > half)[:, FEWEST - 1 :].any(axis=1)
    assert wrong.mean() <= ALPHA
    # The same numbers through the front door.
    found = always_valid(a[0], b[0])
    assert found.high - found.difference == pytest.approx(half[0, -1])


def test_a_bounded_mean_looked_at_after_every_row_is_missed_too_seldom_to_matter():
    random = np.random.default_rng(32)
    for values in (random.beta(0.5, 2.0, (RUNS, LENGTH)), (random.random((RUNS, LENGTH)) < 0.2) * 1.0):
        up, down = log_growth(values, predictable_bets(values, ALPHA), 0.2)
        capital = log_capital(np.cumsum(up, axis=1), np.cumsum(down, axis=1))
        assert (capital >= np.log(1 / ALPHA)).any(axis=1).mean() <= ALPHA


def test_a_rate_looked_at_after_every_row_is_missed_too_seldom_to_matter():
    from scipy.special import betaln

    random = np.random.default_rng(33)
    hits = np.cumsum(random.random((RUNS, LENGTH)) < 0.03, axis=1)
    n = np.arange(1, LENGTH + 1)
    log_likelihood = hits * np.log(0.03) + (n - hits) * np.log(0.97)
    evidence = betaln(hits + 1, n - hits + 1) - log_likelihood
    assert (evidence >= np.log(1 / ALPHA)).any(axis=1).mean() <= ALPHA
    # The interval is where the evidence stays below: the same rule through the front door.
    for row in range(20):
        interval = rate_sequence(int(hits[row, -1]), LENGTH, ALPHA)
        assert interval.contains(0.03) == (evidence[row, -1] < np.log(1 / ALPHA))


def test_a_difference_that_is_there_is_found():
    random = np.random.default_rng(34)
    found = {"betting": 0, "asymptotic": 0, "paired": 0}
    for _ in range(60):
        a = random.beta(2, 5, 800)
        b = np.clip(a[random.permutation(800)] + 0.1, 0, 1)
        found["betting"] += always_valid(a, b, bound=(0, 1)).answer == "better"
        found["asymptotic"] += always_valid(a, b).answer == "better"
        near = np.clip(a - 0.02 + random.normal(0, 0.02, 800), 0, 1)
        found["paired"] += always_valid(a, near, bound=(0, 1), paired=True).answer == "harm"
    assert min(found.values()) >= 55


@pytest.mark.parametrize(
    ("low", "high", "margin", "greater", "answer"),
    [
        (0.1, 0.3, 0.0, True, "better"),
        (-0.1, 0.3, 0.0, True, "undecided"),
        (-0.1, 0.3, 0.2, True, "non_inferior"),
        (-0.3, -0.1, 0.0, True, "harm"),
        (-0.3, -0.1, 0.2, True, "undecided"),
        (-0.15, -0.1, 0.2, True, "non_inferior"),
        (0.1, 0.3, 0.0, False, "harm"),
        (-0.3, -0.1, 0.0, False, "better"),
    ],
)
def test_what_an_interval_says(low, high, margin, greater, answer):
    assert answer_of(low, high, margin, greater) == answer


def test_few_rows_are_undecided():
    assert always_valid([], []).answer == "undecided"
    assert always_valid([1.0] * 10, [9.0] * 10).answer == "undecided"
    assert always_valid([], [], bound=(0, 1)).answer == "undecided"
    assert always_valid([1.0], [2.0], paired=True).answer == "undecided"
    assert np.isnan(rate_comparison(0, 0, 1, 2).difference)


@given(parts=st.lists(st.lists(st.floats(-1e3, 1e3), max_size=20), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_moments_of_parts_add_up(parts):
    whole = Moments.of(np.concatenate([np.array(part, dtype=float) for part in parts]))
    total = Moments()
    for part in parts:
        total = total.plus(Moments.of(np.array(part, dtype=float)))
    total = Moments.from_dict(json.loads(json.dumps(total.to_dict())))
    assert total.rows == whole.rows
    assert total.mean == pytest.approx(whole.mean, abs=1e-6)
    assert total.square == pytest.approx(whole.square, rel=1e-6, abs=1e-6)


def test_a_comparison_may_be_kept_as_moments():
    random = np.random.default_rng(35)
    a, b = random.normal(size=200), random.normal(0.5, 1, 300)
    kept = compare_moments(Moments.of(a[:50]).plus(Moments.of(a[50:])), Moments.of(b))
    assert kept.low == pytest.approx(always_valid(a, b).low)


def test_rates():
    assert rate_comparison(10, 5000, 400, 5000).answer == "harm"
    assert rate_comparison(400, 5000, 10, 5000).answer == "better"
    assert rate_comparison(10, 5000, 10, 5000, margin=0.02).answer == "non_inferior"
    assert rate_comparison(1, 100, 2, 100).answer == "undecided"
    interval = rate_sequence(30, 1000)
    exact = stats.binomtest(30, 1000).proportion_ci(0.95)
    assert interval.low < exact.low < exact.high < interval.high
    assert rate_sequence(0, 10).low == 0.0
    assert rate_sequence(10, 10).high == 1.0


def test_a_bet_interval_shrinks_and_holds_its_mean():
    values = np.random.default_rng(36).random(20_000)
    wide, narrow = mean_sequence(values[:500]), mean_sequence(values)
    assert narrow.high - narrow.low < 0.03 < wide.high - wide.low
    assert narrow.contains(values.mean())
    assert mean_sequence(np.ones(500)).high == 1.0
    assert mean_sequence(np.full(50_000, 0.5005)).contains(0.5005)


def test_a_number_known_exactly():
    values = np.random.default_rng(37).normal(1.0, 1.0, 1000)
    assert bound_comparison(values, 0.5).answer == "better"
    assert bound_comparison(values, 1.5).answer == "harm"


def test_what_makes_no_sense_is_refused():
    with pytest.raises(DataFault, match="outside the stated bound"):
        always_valid([0.5], [1.5], bound=(0, 1))
    with pytest.raises(UsageFault, match="first must be below"):
        always_valid([0.5], [0.5], bound=(1, 0))
    with pytest.raises(UsageFault, match="alpha"):
        always_valid([0.5], [0.5], alpha=5)
    with pytest.raises(UsageFault, match="margin"):
        always_valid([0.5], [0.5], margin=-1)
    with pytest.raises(DataFault, match="for 1 rows"):
        always_valid([0.5], [0.5, 0.6], paired=True)
    with pytest.raises(UsageFault, match="make no rate"):
        rate_comparison(5, 3, 0, 1)
