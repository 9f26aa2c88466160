"""Scores that mean what they say: a score of 0.3 is positive three times in ten.

Example:
    >>> sigmoid = Sigmoid(slope=1.0, intercept=0.0)
    >>> round(float(sigmoid.apply([0.3])[0]), 6)
    0.3
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.arrays import Floats, binary, numbers, same_length, weight_by, weights_for

SCORE_CLIP = 1e-12
"""How near to 0 and 1 a score may come before its logit is taken."""


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """A calibration: chance = 1 / (1 + exp(-(slope * logit(score) + intercept)))."""

    slope: float
    intercept: float

    def apply(self, scores: ArrayLike) -> Floats:
        """Calibrates scores between 0 and 1, shape (n,)."""
        return logistic(self.slope * logit(scores) + self.intercept)

    def to_dict(self) -> dict[str, float]:
        """Gives the two numbers by name."""
        return {"slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often rows of about the same score are positive, for a picture.

    Attributes:
        score: The mean score of each bin, shape (bins,).
        rate: The share of positives in it.
        weight: The rows' weight in it.
    """

    score: Floats
    rate: Floats
    weight: Floats


def logit(scores: ArrayLike) -> Floats:
    """The log-odds of scores between 0 and 1, which are first clipped by `SCORE_CLIP`."""
    p = np.clip(_chances(scores), SCORE_CLIP, 1 - SCORE_CLIP)
    return np.log(p) - np.log1p(-p)


def logistic(odds: Floats) -> Floats:
    """The chance of given log-odds, without overflow at either end."""
    small = np.exp(-np.abs(odds))
    return np.where(odds >= 0, 1 / (1 + small), small / (1 + small))


def fit_sigmoid(scores: ArrayLike, actual: ArrayLike, weights: ArrayLike | None = None) -> Sigmoid:
    """Fits Platt's sigmoid on the log-odds of scores.

    On log-odds the identity (slope 1, intercept 0) is among the candidates, so scores that are already
    calibrated stay as they are. The targets are Platt's, (N+ + 1) / (N+ + 2) and 1 / (N- + 2), so a
    perfect separation does not run to infinity.

    Args:
        scores: Scores between 0 and 1 on rows that the model did not learn from, shape (n,).
        actual: 0/1, shape (n,).
        weights: Shape (n,).

    Returns:
        The sigmoid. With one class only or a single distinct score the slope cannot be known: it is 1,
        and the intercept moves the mean score to the rate of positives.

    Raises:
        DataFault: When there is no row, or a score is not between 0 and 1.

    Source:
        Platt, "Probabilistic outputs for support vector machines" (1999); Newton's method with
        backtracking after Lin, Lin and Weng, Machine Learning 68 (2007).
    """
    x, truth = logit(scores), binary(actual, "actuals")
    same_length(x.size, actuals=truth)
    weight = weights_for(weights, x.size)
    if not weight.sum() > 0:
        raise DataFault("There is no row to calibrate on; give scores with their actuals.")
    positives, negatives = weight[truth].sum(), weight[~truth].sum()
    target = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    fixed = positives == 0 or negatives == 0 or bool(np.all(x == x[0]))
    design = np.column_stack((np.zeros_like(x) if fixed else x, np.ones_like(x)))
    offset = x if fixed else np.zeros_like(x)
    start = np.array([0.0 if fixed else 1.0, 0.0])
    slope, intercept = _newton(design, offset, target, weight, start)
    return Sigmoid(1.0 if fixed else float(slope), float(intercept))


def _newton(design: Floats, offset: Floats, target: Floats, weight: Floats, start: Floats) -> Floats:
    """Minimises the cross-entropy of logistic(offset + design @ parameters) against soft targets."""

    def loss(parameters: Floats) -> float:
        odds = offset + design @ parameters
        return float(np.dot(weight, np.logaddexp(0.0, odds) - target * odds))

    parameters, current = start, loss(start)
    for _ in range(100):
        chance = logistic(offset + design @ parameters)
        gradient = design.T @ (weight * (chance - target))
        if np.abs(gradient).max() <= 1e-10 * weight.sum():
            break
        curvature = (design * (weight * chance * (1 - chance))[:, None]).T @ design
        step = np.linalg.solve(curvature + 1e-12 * (1 + np.trace(curvature)) * np.eye(2), gradient)
        length = 1.0
        while (tried := loss(parameters - length * step)) > current and length > 1e-10:
            length /= 2
        if tried >= current:
            break
        parameters, current = parameters - length * step, tried
    return parameters


def calibration_error(
    scores: ArrayLike, actual: ArrayLike, *, bins: int = 10, weights: ArrayLike | None = None
) -> float:
    """The expected calibration error: the mean distance of score and rate over bins of equal weight.

    Returns:
        A number between 0 and 1; NaN with no rows.

    Source:
        Naeini et al., AAAI 2015; equal-mass bins after Roelofs et al., arXiv 2012.08668, whose bias is
        lower than that of bins of equal width.
    """
    found = reliability(scores, actual, bins=bins, weights=weights)
    total = found.weight.sum()
    return (
        float(np.dot(found.weight, np.abs(found.rate - found.score)) / total) if total > 0 else float("nan")
    )


def reliability(
    scores: ArrayLike, actual: ArrayLike, *, bins: int = 10, weights: ArrayLike | None = None
) -> Reliability:
    """Compares mean score and rate of positives in bins of equal weight; tied scores share a bin.

    Raises:
        DataFault: When a score is not between 0 and 1.
    """
    if bins < 1:
        raise UsageFault(f"{bins} bins were asked for; at least 1 was expected.")
    score, truth = _chances(scores), binary(actual, "actuals")
    same_length(score.size, actuals=truth)
    weight = weights_for(weights, score.size)
    order = np.argsort(score, kind="stable")
    score, truth, weight = score[order], truth[order], weight[order]
    score, truth, weight = score[weight > 0], truth[weight > 0], weight[weight > 0]
    if not score.size:
        empty = np.empty(0)
        return Reliability(empty, empty, empty)
    reached = np.concatenate(([0.0], np.cumsum(weight)))
    ends = (np.searchsorted(score, score, side=side) for side in ("left", "right"))
    middle = sum(reached[end] for end in ends) / (2 * reached[-1])
    number = np.minimum((middle * bins).astype(np.int64), bins - 1)
    size = weight_by(number, weight, bins)
    kept = size > 0
    mean_score = weight_by(number, weight * score, bins)[kept] / size[kept]
    rate = weight_by(number, weight * truth, bins)[kept] / size[kept]
    return Reliability(mean_score, rate, size[kept])


def _chances(scores: ArrayLike) -> Floats:
    array = numbers(scores, "scores")
    wrong = (array < 0) | (array > 1)
    if wrong.any():
        raise DataFault(f"A score is {array[wrong][0]:g}; a chance between 0 and 1 was expected.")
    return array
