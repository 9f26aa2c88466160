"""Gains row by row: the chance of one, and of many corrected for how many they are."""

import numpy as np
from scipy.stats import false_discovery_control, ttest_1samp

from everloop.measure.gains import false_share, gain_chances


def test_the_chance_of_a_gain_is_students() -> None:
    gains = np.random.default_rng(0).normal(0.1, 1, (40, 5))
    expected = ttest_1samp(gains, 0, alternative="greater").pvalue
    np.testing.assert_allclose(gain_chances(gains), expected)


def test_gains_that_never_vary_are_sure_and_no_gain_is_not() -> None:
    assert gain_chances([[0.0, 1.0, -1.0]] * 3).tolist() == [0.5, 0.0, 1.0]


def test_the_share_of_false_ones_is_benjaminis_and_hochbergs() -> None:
    chances = np.random.default_rng(0).beta(0.5, 2, 30)
    np.testing.assert_allclose(false_share(chances), false_discovery_control(chances))


def test_samples_that_say_the_same_twice_are_less_sure() -> None:
    gains = np.random.default_rng(0).normal(0.3, 1, (40, 1))
    twice = np.concatenate([gains, gains])
    assert gain_chances(twice, widened=2**0.5)[0] > gain_chances(twice)[0]
    np.testing.assert_allclose(gain_chances(twice, widened=2**0.5), gain_chances(gains), rtol=0.2)
