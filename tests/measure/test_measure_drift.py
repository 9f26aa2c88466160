from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from everloop.core.errors import UsageFault
from everloop.measure.distances import BATCHED, Pairs
from everloop.measure.drift import (
    DISTANCES,
    chi_square,
    cramer_von_mises,
    fine_chi_square,
    fine_jensen_shannon,
    jensen_shannon,
    kolmogorov_smirnov,
    kolmogorov_smirnov_error,
    missing_shift,
    psi,
    unseen_share,
    wasserstein,
)
from everloop.measure.histogram import build_bins, count

RANDOM = np.random.default_rng(11)
PAIRS = {
    "shifted": (RANDOM.normal(0, 1, 20_000), RANDOM.normal(0.3, 1, 5000)),
    "wider": (RANDOM.normal(0, 1, 20_000), RANDOM.normal(0, 2, 5000)),
    "skewed": (RANDOM.lognormal(0, 1, 20_000), RANDOM.lognormal(0.2, 1, 5000)),
    "discrete": (RANDOM.poisson(3, 20_000) * 1.0, RANDOM.poisson(4, 5000) * 1.0),
    "peaked": (
        np.where(RANDOM.random(20_000) < 0.4, 0, RANDOM.normal(0, 1, 20_000)),
        np.where(RANDOM.random(5000) < 0.6, 0, RANDOM.normal(0, 1, 5000)),
    ),
}


def histograms(pair, size=None):
    reference, current = PAIRS[pair]
    bins = build_bins(reference, size=size)
    return count(bins, reference), count(bins, current)


@pytest.mark.parametrize("size", [20, 256])
@pytest.mark.parametrize("pair", PAIRS)
def test_kolmogorov_smirnov_is_within_its_stated_error_of_the_exact_one(pair, size):
    a, b = histograms(pair, size)
    exact = stats.ks_2samp(*PAIRS[pair]).statistic
    found = kolmogorov_smirnov(a, b)
    assert found <= exact + 1e-12
    assert exact - found <= kolmogorov_smirnov_error(a, b) + 1e-12
    if pair == "discrete":
        # New values lie above all of the reference's, so no bin of the grid hides a step.
        assert found == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("pair", PAIRS)
def test_wasserstein_is_near_the_exact_one(pair):
    a, b = histograms(pair)
    exact = stats.wasserstein_distance(*PAIRS[pair]) / PAIRS[pair][0].std()
    assert wasserstein(a, b) == pytest.approx(exact, rel=0.03)


@pytest.mark.parametrize("pair", PAIRS)
def test_grouped_distances_find_the_shift_and_are_bounded(pair):
    a, b = histograms(pair)
    assert psi(a, b) > 0.02
    assert 0.05 < jensen_shannon(a, b) < 1
    assert 0.05 < chi_square(a, b) < 1


def test_categories_equal_scipy():
    reference = np.repeat(np.array(["a", "b", "c"], dtype=object), [50, 30, 20])
    current = np.repeat(np.array(["a", "b", "c", "new"], dtype=object), [20, 30, 40, 10])
    bins = build_bins(reference)
    a, b = count(bins, reference), count(bins, current)
    p, q = np.array([0.5, 0.3, 0.2, 0]), np.array([0.2, 0.3, 0.4, 0.1])
    assert jensen_shannon(a, b) == pytest.approx(jensenshannon(p, q, base=2))
    assert kolmogorov_smirnov(a, b) == pytest.approx(np.abs(p - q).sum() / 2)
    assert chi_square(a, b) == pytest.approx(
        stats.contingency.association((np.array([p, q]) * 100).round().astype(int), method="cramer")
    )
    raised_p, raised_q = (p * 100 + 0.5) / 102, (q * 100 + 0.5) / 102
    assert psi(a, b) == pytest.approx(np.sum((raised_q - raised_p) * np.log(raised_q / raised_p)))
    assert np.isnan(wasserstein(a, b))


SAMPLES = st.lists(
    st.sampled_from([0.0, 1.0, 2.5, -3.0, np.nan, np.inf, -np.inf]) | st.floats(-50, 50), min_size=1
)


@given(values=SAMPLES, times=st.integers(1, 3))
@settings(max_examples=150, deadline=None, derandomize=True)
@pytest.mark.parametrize("name", DISTANCES)
def test_a_sample_does_not_drift_from_itself(name, values, times):
    bins = build_bins(np.array(values))
    once, more = count(bins, np.array(values)), count(bins, np.array(values * times))
    distance = DISTANCES[name](once, more)
    assert np.isnan(distance) or distance == pytest.approx(0.0, abs=1e-7)


def test_missing_values_shift():
    bins = build_bins([1.0, 2.0])
    a, b = count(bins, [1.0, 2.0, np.nan, 1.0]), count(bins, [np.nan, np.nan, 1.0, 1.0])
    assert missing_shift(a, b) == 0.25
    assert np.isnan(missing_shift(a, count(bins, [])))


@pytest.mark.parametrize("name", DISTANCES)
def test_nothing_to_compare_is_not_known(name):
    bins = build_bins([1.0, 2.0])
    assert np.isnan(DISTANCES[name](count(bins, [1.0]), count(bins, [])))


def test_values_never_seen_are_counted_exactly():
    numbers = np.random.default_rng(3).normal(size=3000)
    bins = build_bins(numbers)
    current = np.concatenate((numbers[:90], [numbers.max() + 1e-9, numbers.max(), -50.0, np.inf]))
    assert unseen_share(count(bins, numbers), count(bins, current)) == pytest.approx(3 / 94)
    texts = np.array(["a", "b", "b", None], dtype=object)
    kept = count(build_bins(texts), texts)
    assert unseen_share(kept, count(kept.bins, np.array(["a", "new", "other", None]))) == pytest.approx(2 / 3)
    with_others = count(build_bins(texts, size=1), texts)
    assert unseen_share(with_others, count(with_others.bins, np.array(["a", "b"]))) == pytest.approx(
        0.5 - 1 / 3
    )


@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_a_batch_of_pairs_is_each_pair_alone(kind):
    random = np.random.default_rng(4)
    draw = (
        (lambda n: random.normal(size=n))
        if kind == "numbers"
        else (lambda n: random.choice(list("abcdefg"), n))
    )
    whole = draw(4000)
    bins = build_bins(whole)
    reference, parts = count(bins, whole), [count(bins, draw(300)) for _ in range(5)]
    alone = [Pairs.of(reference, part) for part in parts]
    low, high = min(pair.low for pair in alone), max(pair.high for pair in alone)
    together = replace(
        alone[0],
        after=np.concatenate([pair.after for pair in alone]),
        after_missing=np.concatenate([pair.after_missing for pair in alone]),
        low=low,
        high=high,
    )
    for distance in BATCHED.values():
        expected = [distance(replace(pair, low=low, high=high))[0] for pair in alone]
        np.testing.assert_allclose(distance(together), expected, rtol=1e-12, equal_nan=True)


def test_distances_over_every_bin_equal_scipy():
    before, after = PAIRS["discrete"]
    bins = build_bins(before)
    pair = count(bins, before), count(bins, after)
    table = np.array([np.bincount(values.astype(int), minlength=20) for values in (before, after)])
    table = table[:, table.any(axis=0)]
    p, q = table / table.sum(axis=1, keepdims=True)
    chi = stats.chi2_contingency(table, correction=False).statistic
    assert fine_chi_square(*pair) == pytest.approx(np.sqrt(chi * (1 / 20_000 + 1 / 5000)))
    assert fine_jensen_shannon(*pair) == pytest.approx(jensenshannon(p, q, base=2))
    # Of values with many ties, at each of which both distributions jump.
    ahead = (np.cumsum(p) - np.cumsum(q)) ** 2
    assert cramer_von_mises(*pair) == pytest.approx(np.sqrt(np.sum(ahead * table.sum(axis=0) / table.sum())))


def test_cramer_von_mises_is_near_the_exact_one_and_knows_no_outliers():
    pair = before, after = PAIRS["shifted"]
    histograms_of = lambda one, two: (count(build_bins(one), one), count(build_bins(one), two))  # noqa: E731
    statistic = stats.cramervonmises_2samp(before, after).statistic
    # scipy's is n m / (n + m) of the mean square, less what ranks alone make of it.
    n, m = len(before), len(after)
    exact = np.sqrt(
        (statistic + (4 * n * m - 1) / (6 * (n + m)) - n * m / (1.5 * (n + m))) / (n * m / (n + m))
    )
    found = cramer_von_mises(*histograms_of(*pair))
    assert found == pytest.approx(exact, rel=0.03)
    far = np.where(np.arange(after.size) < 5, 1e6, after)
    assert cramer_von_mises(*histograms_of(before, far)) == pytest.approx(found, rel=0.02)


def test_values_between_those_of_the_reference_are_seen_over_every_bin():
    before, random = PAIRS["discrete"][0], np.random.default_rng(1)
    window = before[:1000]
    noisy = np.where(np.arange(1000) % 10 == 0, window + random.normal(0, 0.3, 1000), window)
    bins = build_bins(before)
    reference, quiet, moved = (count(bins, values) for values in (before, window, noisy))
    assert fine_chi_square(reference, moved) > 10 * fine_chi_square(reference, quiet)


def test_psi_is_the_plain_sum_where_no_group_is_empty():
    p, q = np.repeat(["a", "b", "c"], [50, 30, 20]), np.repeat(["a", "b", "c"], [20, 40, 40])
    bins = build_bins(p)
    shares = np.array([[0.5, 0.3, 0.2], [0.2, 0.4, 0.4]])
    expected = np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0]))
    assert psi(count(bins, p), count(bins, q)) == pytest.approx(expected, rel=1e-12)


def test_other_bins_are_refused():
    with pytest.raises(UsageFault, match="different bins"):
        psi(count(build_bins([1.0]), [1.0]), count(build_bins([2.0]), [1.0]))


def test_values_further_apart_than_the_largest_number_have_a_distance():
    numbers = np.array([-1.7e308, 1.7e308] * 100)
    bins = build_bins(numbers)
    assert np.isfinite(wasserstein(count(bins, numbers), count(bins, numbers[:101])))
