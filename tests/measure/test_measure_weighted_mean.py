"""Sums of parts give the mean of the whole, with its interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.measure.intervals import interval_of, mean_interval
from everloop.measure.maturity import MaturedSums, matured_mean, matured_sums
from everloop.measure.weighted_mean import WeightedMean, effective_rows, weighted_mean, weighted_median

sizes = st.lists(st.integers(0, 30), min_size=1, max_size=6)


def test_the_interval_is_the_textbooks():
    random = np.random.default_rng(1)
    values, weights = 1e6 + random.normal(size=50), random.uniform(0.5, 3, 50)
    share, mean = weights / weights.sum(), np.average(values, weights=weights)
    found = weighted_mean(values, weights)
    assert found.estimate == pytest.approx(mean, rel=1e-15)
    assert found.error == pytest.approx(np.sqrt(50 / 49 * np.sum((share * (values - mean)) ** 2)), rel=1e-9)
    assert weighted_mean(values).error == pytest.approx(values.std(ddof=1) / np.sqrt(50), rel=1e-9)


@given(sizes=sizes, seed=st.integers(0, 1000), centre=st.sampled_from([0.0, 1e6]))
@settings(max_examples=60, deadline=None)
def test_parts_add_up_to_the_whole(sizes, seed, centre):
    random = np.random.default_rng(seed)
    values = [centre + random.normal(size=size) for size in sizes]
    weights = [random.uniform(0, 3, size) for size in sizes]
    total = WeightedMean()
    for part in zip(values, weights, strict=True):
        total = total.merge(weighted_mean(*part))
    whole = mean_interval(np.concatenate(values), weights=np.concatenate(weights))
    found = interval_of(total)
    assert np.allclose(
        list(found.to_dict().values()), list(whole.to_dict().values()), rtol=1e-9, equal_nan=True
    )
    assert found.high - found.low == pytest.approx(whole.high - whole.low, rel=1e-6, nan_ok=True)


@given(sizes=sizes, seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_matured_parts_add_up_to_the_whole(sizes, seed):
    random, total, rows = np.random.default_rng(seed), MaturedSums(), ([], [])
    for size in sizes:
        values = np.where(random.random(size) < 0.7, random.normal(size=size), np.nan)
        chances = random.uniform(0, 1, size)
        total = total.merge(matured_sums(values, chances))
        rows[0].append(values)
        rows[1].append(chances)
    found, whole = total.mean(), matured_mean(*(np.concatenate(each) for each in rows))
    assert (found.status, found.known) == (whole.status, whole.known)
    assert found.maturity == pytest.approx(whole.maturity)
    assert np.allclose(
        list(found.interval.to_dict().values()), list(whole.interval.to_dict().values()), equal_nan=True
    )


@given(rows=st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 4)), min_size=1, max_size=30))
@settings(max_examples=80, deadline=None)
def test_the_weighted_median_is_that_of_repeated_rows(rows):
    values, counts = np.array(rows, dtype=float).T
    if counts.sum():
        repeated = np.repeat(values, counts.astype(int))
        assert weighted_median(values, counts) == pytest.approx(np.median(repeated), abs=1e-12)


def test_rows_of_unlike_weight_tell_as_much_as_fewer_alike():
    assert effective_rows(None, 7) == 7.0
    assert effective_rows(np.full(7, 0.3), 7) == pytest.approx(7)
    assert effective_rows([1.0, 1.0, 0.0], 3) == pytest.approx(2)
    assert effective_rows([3.0, 1.0], 2) == pytest.approx(1.6)
