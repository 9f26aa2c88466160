import numpy as np
from scipy import stats

from everloop.measure.normal_numbers import draw_normal


def test_numbers_are_those_of_the_normal_distribution():
    numbers = np.empty((200, 1000), dtype=np.float32)
    draw_normal(np.random.default_rng(3), numbers)
    assert stats.kstest(numbers.ravel(), "norm").pvalue > 0.01
    assert stats.kstest(numbers.sum(axis=1) / np.sqrt(1000), "norm").pvalue > 0.01


def test_quantiles_are_those_of_scipy():
    numbers = np.empty(1 << 22, dtype=np.float32)
    draw_normal(np.random.default_rng(4), numbers)
    every = np.unique(numbers)
    expected = stats.norm.ppf((np.arange(1 << 16) + 0.5) / (1 << 16))
    np.testing.assert_allclose(every, expected, atol=5e-5)
