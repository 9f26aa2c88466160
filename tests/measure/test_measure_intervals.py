import numpy as np
import pytest
from scipy import stats

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.intervals import (
    Interval,
    bootstrap_interval,
    mean_interval,
    paired_interval,
    proportion_interval,
)
from everloop.measure.metrics import compute

VALUES = np.random.default_rng(1).gamma(2.0, size=80)


def test_the_mean_equals_scipy():
    judge = stats.ttest_1samp(VALUES, 0).confidence_interval(0.9)
    found = mean_interval(VALUES, confidence=0.9)
    assert (found.low, found.estimate, found.high) == pytest.approx((judge.low, VALUES.mean(), judge.high))
    assert mean_interval(VALUES, confidence=0.9, weights=np.full(80, 7.0)).low == pytest.approx(judge.low)


def test_paired_is_b_less_a():
    other = VALUES + np.random.default_rng(2).normal(0.2, 0.1, VALUES.size)
    judge = stats.ttest_rel(other, VALUES).confidence_interval(0.95)
    found = paired_interval(VALUES, other)
    assert (found.low, found.high) == pytest.approx((judge.low, judge.high))
    assert found.estimate > 0


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (57, 1000)])
def test_the_share_equals_scipy(k, n):
    judge = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    found = proportion_interval(k, n)
    assert (found.low, found.estimate, found.high) == pytest.approx((judge.low, k / n, judge.high), abs=1e-12)


def test_few_rows_are_not_sure():
    assert not mean_interval([]).known
    assert mean_interval([3.0]) == Interval(-np.inf, 3.0, np.inf)
    assert not proportion_interval(0, 0).known
    assert not bootstrap_interval(np.mean, [], seed=0).known


def test_the_bootstrap_agrees_with_scipy_and_covers():
    found = bootstrap_interval(np.mean, VALUES, seed=3, repeats=4000)
    judge = stats.bootstrap((VALUES,), np.mean, method="percentile", n_resamples=4000, rng=4)
    assert found.low == pytest.approx(judge.confidence_interval.low, abs=0.03)
    assert found.high == pytest.approx(judge.confidence_interval.high, abs=0.03)
    assert found == bootstrap_interval(np.mean, VALUES, seed=3, repeats=4000)


def test_resamples_of_one_class_are_left_out():
    actual, score = [0] * 15 + [1], np.linspace(0, 1, 16)
    found = bootstrap_interval(lambda a, s: compute("roc_auc", a, s), actual, score, seed=0, repeats=200)
    assert found.known
    assert found.estimate == 1.0


def test_weighted_means_cover_the_truth():
    random = np.random.default_rng(5)
    inside = 0
    for _ in range(400):
        value = random.normal(1.0, 1.0, 2000)
        chance = np.clip(0.2 + 0.3 * value, 0.1, 0.9)  # large values are seen more often
        seen = random.random(2000) < chance
        inside += mean_interval(value[seen], weights=1 / chance[seen]).contains(1.0)
    assert 0.925 <= inside / 400 <= 0.975


def test_moving_and_scaling():
    assert Interval(1, 2, 4).scaled(-2) == Interval(-8, -4, -2)
    assert Interval(1, 2, 4).shifted(1) == Interval(2, 3, 5)
    assert str(Interval(1, 2, 4)) == "2 (1 to 4)"


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageFault, match="confidence"):
        mean_interval([1.0, 2.0], confidence=95)
    with pytest.raises(DataFault, match="missing"):
        mean_interval([1.0, np.nan])
    with pytest.raises(UsageFault, match="no share"):
        proportion_interval(5, 3)
    with pytest.raises(DataFault, match="1 values for 2 rows"):
        bootstrap_interval(np.mean, [1, 2], [1], seed=0)
