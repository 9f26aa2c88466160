import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.calibration import Sigmoid, calibration_error, fit_sigmoid, logit, reliability


def sample(n=4000, slope=0.6, intercept=-0.8, seed=0):
    random = np.random.default_rng(seed)
    scores = random.random(n)
    return scores, random.random(n) < expit(slope * logit(scores) + intercept)


def test_the_gradient_is_zero_at_the_fit():
    scores, actual = sample()
    sigmoid = fit_sigmoid(scores, actual)
    positives = actual.sum()
    target = np.where(actual, (positives + 1) / (positives + 2), 1 / (len(actual) - positives + 2))
    rest = sigmoid.apply(scores) - target
    assert abs(rest.mean()) < 1e-9
    assert abs((rest * logit(scores)).mean()) < 1e-9


def test_it_equals_a_logistic_regression():
    # With many rows Platt's targets differ from 0 and 1 by less than the tolerance.
    scores, actual = sample(100_000)
    judge = LogisticRegression(C=np.inf, tol=1e-8).fit(logit(scores)[:, None], actual)
    found = fit_sigmoid(scores, actual)
    assert found.slope == pytest.approx(judge.coef_[0, 0], abs=1e-3)
    assert found.intercept == pytest.approx(judge.intercept_[0], abs=1e-3)
    assert found.slope == pytest.approx(0.6, abs=0.02)


def test_whole_weights_are_repeated_rows():
    scores, actual = sample(300)
    weights = np.random.default_rng(1).integers(0, 4, 300)
    a = fit_sigmoid(scores, actual, weights)
    b = fit_sigmoid(np.repeat(scores, weights), np.repeat(actual, weights))
    assert (a.slope, a.intercept) == pytest.approx((b.slope, b.intercept), rel=1e-6)


def test_perfect_separation_stays_finite():
    sigmoid = fit_sigmoid([0.0, 0.1, 0.9, 1.0], [0, 0, 1, 1])
    assert np.isfinite([sigmoid.slope, sigmoid.intercept]).all()
    assert (np.diff(sigmoid.apply([0.0, 0.1, 0.9, 1.0])) > 0).all()


def test_one_class_or_one_score_moves_the_mean_alone():
    one = fit_sigmoid([0.2, 0.4, 0.9], [0, 0, 0])
    assert one.slope == 1.0
    assert one.apply([0.2, 0.4, 0.9]).mean() == pytest.approx(1 / 5)
    same = fit_sigmoid([0.3] * 100, [1] * 10 + [0] * 90)
    assert same.slope == 1.0
    assert same.apply([0.3])[0] == pytest.approx((10 * 11 / 12 + 90 / 92) / 100)


def test_the_ends_do_not_overflow():
    assert Sigmoid(1000.0, 0.0).apply([0.0, 0.5, 1.0]).tolist() == [0.0, 0.5, 1.0]


def test_calibration_error_by_hand():
    scores, actual = [0.1, 0.1, 0.8, 0.8], [0, 0, 1, 0]
    assert calibration_error(scores, actual, bins=2) == pytest.approx((0.1 + 0.3) / 2)
    assert calibration_error(scores, actual, bins=1) == pytest.approx(0.2)
    assert np.isnan(calibration_error([], []))


def test_calibrated_scores_have_a_small_error_and_tied_scores_share_a_bin():
    scores, actual = sample(50_000, slope=1.0, intercept=0.0)
    assert calibration_error(scores, actual) < 0.012
    assert calibration_error(*sample(50_000, slope=0.3, intercept=1.0)) > 0.1
    found = reliability(np.full(10, 0.4), [1] * 4 + [0] * 6, bins=5)
    assert found.score == pytest.approx([0.4])
    assert found.rate == pytest.approx([0.4])


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataFault, match=r"A score is 1\.5"):
        fit_sigmoid([1.5, 0.2], [0, 1])
    with pytest.raises(DataFault, match="no row"):
        fit_sigmoid([], [])
    with pytest.raises(UsageFault, match="0 bins"):
        reliability([0.1], [0], bins=0)
