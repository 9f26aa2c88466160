"""Metrics of a predicted number."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.arrays import Floats, numbers


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

    With weights it is the value that splits the weight in half, the mean of two where the split falls
    between them: whole weights give the median of the rows repeated that often.
    """
    errors = np.abs(_errors(actual, predicted))
    errors, weights = errors[weights > 0], weights[weights > 0]
    if not errors.size:
        return float("nan")
    order = np.argsort(errors)
    reached = np.cumsum(weights[order])
    half = reached[-1] / 2
    lower = np.searchsorted(reached, half, side="left")
    upper = np.searchsorted(reached, half, side="right")
    return float((errors[order[lower]] + errors[order[upper]]) / 2)


def mape(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The mean absolute error relative to the actual, as a share (0.1 is 10 %).

    Rows whose actual is 0 have no relative error and are left out; NaN when no other row is there.
    """
    truth = numbers(actual, "actuals")
    used = truth != 0
    errors = np.abs(_errors(actual, predicted))[used] / np.abs(truth[used])
    return mean(errors, weights[used])


def r2(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """One minus the squared error over the squared error of always predicting the mean.

    NaN when the actual is constant or has fewer than two rows.
    """
    truth = numbers(actual, "actuals")
    spread = mean((truth - mean(truth, weights)) ** 2, weights)
    constant = truth.size < 2 or bool(np.all(truth == truth[0]))
    return (
        float("nan")
        if constant or not spread > 0
        else 1 - mean(_errors(actual, predicted) ** 2, weights) / spread
    )


def _errors(actual: ArrayLike, predicted: ArrayLike) -> Floats:
    return numbers(actual, "actuals") - numbers(predicted, "predictions")
