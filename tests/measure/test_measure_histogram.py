import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.histogram import Bins, Histogram, build_bins, categorical_bins, count, merge

NUMBER = st.one_of(
    st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 2.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324])
)
NUMBERS = st.lists(NUMBER, max_size=60).map(lambda values: np.array(values, dtype=float))
TEXTS = st.lists(st.sampled_from(["a", "b", "c", "", "other", None, True]), max_size=40).map(
    lambda values: np.array(values, dtype=object)
)


def same(a, b):
    """Counts and extremes equal; sums to rounding."""
    assert replace(a, total=0.0, square=0.0) == replace(b, total=0.0, square=0.0)


@given(reference=NUMBERS, parts=st.lists(NUMBERS, min_size=1, max_size=5), size=st.integers(1, 20))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_merged_equals_whole_for_numbers(reference, parts, size):
    bins = build_bins(reference, size=size)
    whole = count(bins, np.concatenate(parts))
    merged = merge(*[count(bins, part) for part in parts])
    turned = merge(*[count(bins, part) for part in parts[::-1]])
    same(merged, whole)
    same(turned, whole)
    assert whole.rows == sum(len(part) for part in parts)


@given(reference=TEXTS, parts=st.lists(TEXTS, min_size=1, max_size=5), size=st.integers(1, 4))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_merged_equals_whole_for_categories(reference, parts, size):
    bins = build_bins(reference, size=size)
    assert merge(*[count(bins, part) for part in parts]) == count(bins, np.concatenate(parts))


@given(
    values=st.lists(st.floats(-1e6, 1e6) | st.just(np.nan), max_size=50).map(np.array),
    size=st.integers(1, 20),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_json_round_trip(values, size):
    histogram = count(build_bins(values.astype(float), size=size), values.astype(float))
    text = json.dumps(histogram.to_dict(), allow_nan=False)
    assert Histogram.from_dict(json.loads(text)) == histogram


def test_moments_equal_numpy():
    values = np.random.default_rng(0).normal(1e9, 2.0, 10_000)
    bins = build_bins(values)
    histogram = merge(*[count(bins, part) for part in np.array_split(values, 7)])
    assert histogram.mean == pytest.approx(values.mean(), rel=1e-14)
    assert histogram.deviation == pytest.approx(values.std(), rel=1e-9)
    assert (histogram.low, histogram.high) == (values.min(), values.max())


def test_a_discrete_column_has_a_bin_for_each_value():
    values = np.repeat([0.0, 1.0, 5.0], [10, 20, 30])
    histogram = count(build_bins(values), values)
    assert sorted(number for number in histogram.counts if number) == [10, 20, 30]
    between = count(histogram.bins, [0.5, 3.0, -1.0, 9.0])
    used = np.flatnonzero(histogram.counts)
    assert not np.asarray(between.counts)[used].any()


def test_a_peak_in_a_smooth_column_has_its_own_bin():
    values = np.concatenate((np.zeros(500), np.random.default_rng(1).normal(0, 1, 1500)))
    histogram = count(build_bins(values, size=20), values)
    assert 500 in histogram.counts


def test_bins_hold_about_equal_shares():
    values = np.random.default_rng(2).lognormal(size=50_000)
    assert count(build_bins(values, size=100), values).shares().max() < 0.0103


def test_missing_and_infinite_are_counted_beside():
    histogram = count(build_bins([1.0, 2.0, 3.0]), [np.nan, np.inf, -np.inf, 2.0])
    assert (histogram.missing, histogram.infinite, histogram.present, histogram.rows) == (1, 2, 3, 4)
    assert histogram.mean == 2.0
    assert histogram.counts[0] == 1
    assert histogram.counts[-1] == 1


def test_an_empty_reference_has_one_bin():
    histogram = count(build_bins(np.array([np.nan, np.inf])), [1.0, np.nan])
    assert histogram.counts == (1,)
    assert np.isnan(count(Bins("numeric"), []).mean)
    assert np.isnan(count(Bins("numeric"), []).shares()).all()


def test_categories_are_ordered_by_frequency_then_name():
    bins = build_bins(np.array(["b", "a", "c", "c", None], dtype=object), size=2)
    assert bins.categories == ("c", "a")
    assert count(bins, np.array(["c", "b", "zzz", None], dtype=object)).counts == (1, 0, 2)
    assert build_bins(np.array([True, False, True])).categories == ("true", "false")
    assert categorical_bins({"x": 1, None: 5}).categories == ("x",)


def test_the_input_is_not_changed():
    values = np.array([3.0, 1.0, np.nan])
    kept = values.copy()
    count(build_bins(values), values)
    np.testing.assert_array_equal(values, kept)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageFault, match="different bins"):
        merge(count(Bins("numeric", (1.0,)), [1.0]), count(Bins("numeric", (2.0,)), [1.0]))
    with pytest.raises(UsageFault, match="no histogram"):
        merge()
    with pytest.raises(DataFault, match="not numbers"):
        count(Bins("numeric"), ["a"])
    with pytest.raises(UsageFault, match="bins were asked"):
        build_bins([1.0], size=0)
    with pytest.raises(DataFault, match="damaged"):
        Histogram.from_dict(
            {"bins": {"kind": "numeric", "edges": [1.0], "centre": 0}, "counts": [1], "missing": 0}
        )
