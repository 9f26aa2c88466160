"""Metrics of a predicted number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.arrays import Floats, numbers
from everloop.measure.weighted_mean import weighted_median


def mean(values: Floats, weights: Floats) -> float:
    """The weighted mean; NaN when the weights sum to zero."""
    total = weights.sum()
    return float(np.dot(values, weights) / total) if total > 0 else float("nan")


def rmse(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The root of the mean squared error, in the target's unit."""
    return float(np.sqrt(mean(_errors(actual, predicted) ** 2, weights)))


def mae(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The mean absolute error, in the target's unit."""
    return mean(np.abs(_errors(actual, predicted)), weights)


def median_absolute_error(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The median absolute error, in the target's unit.

    With weights it is that of `weighted_median`.
    """
    errors = np.abs(_errors(actual, predicted))
    return weighted_median(errors, weights) if (weights > 0).any() else float("nan")


def mape(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The mean absolute error relative to the actual, as a share (0.1 is 10 %).

    Rows whose actual is 0 have no relative error and are left out; NaN when no other row is there.
    """
    truth = numbers(actual, "actuals")
    used = truth != 0
    errors = np.abs(_errors(actual, predicted))[used] / np.abs(truth[used])
    return mean(errors, weights[used])


def smape(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The mean absolute error relative to the mean of actual and prediction, as a share up to 2.

    A row whose actual and prediction are both 0 has no error.

    Source:
        Makridakis, "Accuracy measures" (1993): 2 |a - p| / (|a| + |p|).
    """
    truth, guess = numbers(actual, "actuals"), numbers(predicted, "predictions")
    size = np.abs(truth) + np.abs(guess)
    return mean(np.divide(2 * np.abs(truth - guess), size, out=np.zeros_like(size), where=size > 0), weights)


def rmsle(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The root of the mean squared difference of log(1 + x); NaN where a number is -1 or less."""
    truth, guess = numbers(actual, "actuals"), numbers(predicted, "predictions")
    if (truth <= -1).any() or (guess <= -1).any():
        return float("nan")
    return float(np.sqrt(mean((np.log1p(truth) - np.log1p(guess)) ** 2, weights)))


def max_error(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The largest absolute error, in the target's unit."""
    errors = np.abs(_errors(actual, predicted))[weights > 0]
    return float(errors.max()) if errors.size else float("nan")


def pinball(share: float) -> Callable[[ArrayLike, ArrayLike, Floats], float]:
    """Gives the loss whose least mean is at a quantile: predicting too little costs ``share`` a unit.

    Source:
        Koenker and Bassett, Econometrica 46 (1978).
    """

    def measure(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
        errors = _errors(actual, predicted)
        return mean(np.maximum(share * errors, (share - 1) * errors), weights)

    return measure


def explained_variance(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """One minus the errors' variance over the actuals'; unlike `r2` it forgives a constant error.

    NaN when the actual is constant or has fewer than two rows.
    """
    truth = numbers(actual, "actuals")
    spread = _variance(truth, weights)
    constant = truth.size < 2 or bool(np.all(truth == truth[0]))
    if constant or not spread > 0:
        return float("nan")
    return 1 - _variance(_errors(actual, predicted), weights) / spread


def r2(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """One minus the squared error over the squared error of always predicting the mean.

    NaN when the actual is constant or has fewer than two rows.
    """
    truth = numbers(actual, "actuals")
    spread = _variance(truth, weights)
    constant = truth.size < 2 or bool(np.all(truth == truth[0]))
    return (
        float("nan")
        if constant or not spread > 0
        else 1 - mean(_errors(actual, predicted) ** 2, weights) / spread
    )


def _variance(values: Floats, weights: Floats) -> float:
    return mean((values - mean(values, weights)) ** 2, weights)


def _errors(actual: ArrayLike, predicted: ArrayLike) -> Floats:
    return numbers(actual, "actuals") - numbers(predicted, "predictions")
