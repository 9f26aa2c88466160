"""2,000 rollouts looked at after every request: promoted or sent back wrongly in at most 5 % of them."""

import numpy as np
import pytest

from benchmarks.rollout_simulation import bandit_errors, errors, guard_errors, guard_values, steps

RUNS = 2000
HALF = np.full(1500, 0.5)


@pytest.mark.slow
def test_error_rates_without_a_difference():
    drawn = errors(1, RUNS, HALF, 0.05, 1.0)
    better = guard_errors(drawn, margin=0.0)
    assert better.promoted <= 0.05
    assert better.rolled_back <= 0.05
    canary = guard_errors(errors(2, RUNS, steps((0.05, 0.25, 0.5), 20, 900), 0.05, 1.0), margin=0.0)
    assert canary.promoted <= 0.05
    assert canary.rolled_back <= 0.05


@pytest.mark.slow
def test_error_rates_at_the_margin_are_promoted_seldom():
    # 5 % in the mean, and the challenger a fifth worse: one point.
    assert guard_errors(errors(3, RUNS, HALF, 0.05, 1.2), margin=0.01).promoted <= 0.05


@pytest.mark.slow
def test_a_challenger_that_fails_twice_as_often_goes_back():
    found = guard_errors(errors(4, 400, np.full(3000, 0.5), 0.05, 2.0))
    assert found.promoted <= 0.01
    assert found.requests(0.5) < 1000
    assert found.requests(0.95) < 2800


def paired(seed, worse, runs=RUNS, rows=1500):
    """Versions that disagree on 8 % of rows, where one of them loses 10: the challenger more often."""
    random = np.random.default_rng(seed)
    return np.where(
        random.random((runs, rows)) < 0.08, np.where(random.random((runs, rows)) < worse, -10.0, 10.0), 0.0
    )


@pytest.mark.slow
def test_value_without_a_difference_and_at_the_margin():
    equal = guard_values(paired(5, 0.5), 10.0, margin=0.0)
    assert equal.promoted <= 0.05
    assert equal.rolled_back <= 0.05
    # The challenger loses 0.08 * 10 * (0.75 - 0.25) = 0.4 a decision, and no more than that is allowed.
    assert guard_values(paired(6, 0.75), 10.0, margin=0.4).promoted <= 0.05


@pytest.mark.slow
def test_a_challenger_that_loses_twice_as_often_goes_back():
    found = guard_values(paired(7, 2 / 3, runs=400, rows=3000), 10.0, margin=0.1)
    assert found.promoted <= 0.01
    assert found.requests(0.5) < 2000
    assert found.rolled_back > 0.85


@pytest.mark.slow
def test_a_bandit_whose_share_follows_what_it_saw_decides_as_rightly():
    equal = guard_errors(bandit_errors(8, RUNS, 1500, 0.05, 1.0), margin=0.0)
    assert equal.promoted <= 0.05
    assert equal.rolled_back <= 0.05
    assert guard_errors(bandit_errors(9, RUNS, 1500, 0.05, 1.2), margin=0.01).promoted <= 0.05
    worse = bandit_errors(10, 400, 3000, 0.05, 2.0)
    assert worse.second[:, -500:].mean() < 0.3, "it is asked less and less"
    found = guard_errors(worse)
    assert found.promoted <= 0.01
    assert found.rolled_back > 0.35, "what is asked seldom is known late"
