"""The linear test of signal: its out-of-fold predictions against scikit-learn, its law under chance."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from everloop.measure.linear_signal import SHRINKAGE, _out_of_fold, _scaled, linear_p


@pytest.mark.parametrize("width", [4, 70])
def test_out_of_fold_predictions_are_ridge_regressions(width) -> None:
    random = np.random.default_rng(0)
    inputs, target, folds = random.normal(size=(60, width)), random.normal(size=60), np.arange(60) % 3
    scaled = _scaled(inputs)
    ours = _out_of_fold(scaled, target[:, np.newaxis], folds)[:, 0]
    for fold in range(3):
        learned, held_out = folds != fold, folds == fold
        model = Ridge(alpha=SHRINKAGE * learned.sum(), fit_intercept=False)
        model.fit(scaled[learned], target[learned] - target[learned].mean())
        assert ours[held_out] == pytest.approx(model.predict(scaled[held_out]))


def test_its_p_is_uniform_under_chance() -> None:
    random = np.random.default_rng(1)
    found = []
    for seed in range(200):
        inputs, folds = random.normal(size=(40, 3)), random.permutation(40) % 3
        found.append(linear_p(inputs, random.normal(size=(40, 1)), folds, seed=seed, draws=99))
    assert np.mean(np.array(found) <= 0.1) < 0.17
    assert np.mean(np.array(found) <= 0.5) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("shape", [lambda a: a, lambda a: a**2])
def test_a_weak_signal_is_found(shape) -> None:
    random = np.random.default_rng(2)
    inputs, folds = random.normal(size=(300, 5)), random.permutation(300) % 3
    target = (0.4 * shape(inputs[:, 0]) + random.normal(size=300))[:, np.newaxis]
    assert linear_p(inputs, target, folds, seed=0) < 0.01


def test_inputs_without_a_difference_tell_nothing() -> None:
    assert linear_p(np.full((20, 2), np.nan), np.ones((20, 1)), np.arange(20) % 3, seed=0) == 1.0
