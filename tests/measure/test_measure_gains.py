"""Gains row by row: the chance of one, and of many corrected for how many they are."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from everloop.measure.gains import gain_chances, holm


def test_the_chance_of_a_gain_is_students() -> None:
    gains = np.random.default_rng(0).normal(0.1, 1, (40, 5))
    expected = ttest_1samp(gains, 0, alternative="greater").pvalue
    np.testing.assert_allclose(gain_chances(gains), expected)


def test_gains_that_never_vary_are_sure_and_no_gain_is_not() -> None:
    assert gain_chances([[0.0, 1.0, -1.0]] * 3).tolist() == [0.5, 0.0, 1.0]


def test_corrected_chances_are_holms() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_of_many_that_gain_nothing_one_passes_as_often_as_is_stated() -> None:
    random = np.random.default_rng(0)
    passed = [bool((holm(gain_chances(random.normal(size=(60, 20)))) <= 0.05).any()) for _ in range(1_000)]
    assert 0.03 <= np.mean(passed) <= 0.07
