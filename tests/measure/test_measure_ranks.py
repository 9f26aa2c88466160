import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.core.errors import DataFault
from everloop.measure.cells import Scratch
from everloop.measure.histogram import build_bins, count, count_numbers, numeric_bins
from everloop.measure.ranks import Ranked

MANY = 70_000
"""More than are sorted whole."""


def drawn(kind):
    random = np.random.default_rng(3)
    normal = random.normal(size=MANY)
    return {
        "normal": normal,
        "heavy tails": np.exp(4 * normal),
        "few values": random.integers(0, 9, MANY).astype(float),
        "many whole numbers": random.integers(-4000, 4000, MANY).astype(float),
        "a peak": np.where(random.random(MANY) < 0.3, 0.0, normal),
        "seconds": 1.7e9 + random.integers(0, 10**6, MANY),
        "rising": np.sort(normal),
        "one value": np.full(MANY, 2.5),
        "one value and few others": np.append(np.full(MANY, 2.5), [-1e300, 1e300, 2.0]),
        "beyond the doubles": np.append(normal, [-1.7e308, 1.7e308]),
        "tiny": 5e-324 * random.integers(0, 5000, MANY),
    }[kind]


KINDS = (
    "normal",
    "heavy tails",
    "few values",
    "many whole numbers",
    "a peak",
    "seconds",
    "rising",
    "one value",
    "one value and few others",
    "beyond the doubles",
    "tiny",
)


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_are_those_of_sorted_numbers(kind):
    values = drawn(kind)
    ranked, rising = Ranked.of(values), np.sort(values)
    places = np.unique(np.linspace(0, values.size - 1, 300).astype(int))
    standing, equal = ranked.at(places)
    assert standing.tolist() == rising[places].tolist()
    assert equal.tolist() == [np.count_nonzero(values == number) for number in standing]
    edges = np.concatenate(
        (rising[places], np.nextafter(rising[places], np.inf), [-np.inf, -1e308, 1e308, np.inf])
    )
    assert ranked.below(edges).tolist() == np.searchsorted(rising, edges).tolist()
    assert ranked.ends == (rising[0], rising[-1])
    few = np.unique(values)
    found = ranked.distinct(256)
    assert (found is None) == (few.size > 256)
    assert found is None or found.tolist() == few.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_are_numpys_and_counts_are_those_of_a_search(kind):
    values = drawn(kind)
    bins = build_bins(values)
    if np.unique(values).size > 256:
        quantiles = np.quantile(values, np.linspace(0, 1, 257), method="inverted_cdf")
        assert set(quantiles.tolist()) <= set(bins.edges)
    counts = np.bincount(np.searchsorted(bins.edges, values, side="right"), minlength=bins.size)
    assert count(bins, values).counts == tuple(counts.tolist())


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True)), st.lists(st.floats(allow_nan=False)))
def test_few_numbers_whatever_they_are(values, edges):
    array, asked = np.array(values, dtype=float), np.array(edges, dtype=float)
    ranked = Ranked.of(array)
    finite = np.sort(array[np.isfinite(array)])
    assert ranked.below(asked).tolist() == np.searchsorted(finite, asked).tolist()
    assert ranked.missing == np.isnan(array).sum()
    assert (ranked.lowest, ranked.highest) == ((array == -np.inf).sum(), (array == np.inf).sum())


def test_missing_and_infinite_numbers_among_many():
    values = drawn("normal")
    values[::7], values[1::700], values[2::900] = np.nan, np.inf, -np.inf
    found = count(build_bins(values), values)
    assert (found.missing, found.infinite) == (np.isnan(values).sum(), np.isinf(values).sum())
    assert found.present == values.size - found.missing
    assert found.counts[0] == np.count_nonzero(values == -np.inf)


def test_numbers_at_both_ends_of_the_doubles():
    ranked = Ranked.of([1e308, -1e308, 1e308])
    assert ranked.distinct(2).tolist() == [-1e308, 1e308]
    assert ranked.distinct(1) is None
    assert Ranked.of([]).distinct(1).size == 0


def test_what_is_no_number_is_refused():
    with pytest.raises(DataFault, match="not numbers"):
        Ranked.of(["a"])


@pytest.mark.parametrize("kind", ["normal", "seconds", "a peak", "few values"])
def test_moments_are_the_sums_of_deviations(kind):
    values = drawn(kind)
    centre = float(np.median(values)) + 0.5
    moved = [float(each) - centre for each in values]
    total, square = Ranked.of(values).moments(centre)
    assert total == pytest.approx(math.fsum(moved), rel=1e-9, abs=1e-6)
    assert square == pytest.approx(math.fsum(each * each for each in moved), rel=1e-11)


def test_what_was_written_for_one_column_does_not_reach_the_next():
    scratch = Scratch()
    for kind in ("normal", "seconds", "a peak", "rising", "heavy tails", "normal"):
        values = drawn(kind)
        bins = numeric_bins(Ranked.of(values, scratch))
        assert bins == build_bins(values)
        assert count_numbers(bins, Ranked.of(values[::-1], scratch)).counts == count(bins, values).counts
        known = Ranked.of(values, scratch, np.asarray(bins.edges))
        assert count_numbers(bins, known) == count(bins, values)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_foreseen_can_be_asked_too(kind):
    values = drawn(kind)
    ranked, rising = Ranked.of(values, edges=np.array([0.0, 1.0])), np.sort(values)
    edges = np.concatenate((rising[::7000], [-np.inf, 0.0, 1.0, 1e308, np.inf]))
    assert ranked.below(edges).tolist() == np.searchsorted(rising, edges).tolist()
    assert ranked.below([0.0, 1.0]).tolist() == np.searchsorted(rising, [0.0, 1.0]).tolist()
    assert ranked.at([0, 69_999])[0].tolist() == [rising[0], rising[69_999]]
    assert ranked.ends == (rising[0], rising[-1])
