"""The rising curve nearest to what was seen: from a score to the chance of the outcome.

Example:
    >>> curve = fit_isotonic([0.1, 0.2, 0.6, 0.9], [0, 1, 0, 1])
    >>> curve.apply([0.0, 0.4, 0.75, 1.0]).tolist()
    [0.0, 0.5, 0.75, 1.0]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault
from everloop.measure.arrays import Floats, binary, numbers, same_length, weights_for


@dataclass(frozen=True)
class Isotonic:
    """A rising curve, straight between its knots and flat beyond them.

    Attributes:
        scores: The knots, rising, shape (knots,).
        chances: The curve there, shape (knots,).
    """

    scores: Floats
    chances: Floats

    def apply(self, scores: ArrayLike) -> Floats:
        """Gives the chance at each score, shape (n,). Fastest where the scores are sorted."""
        return np.interp(numbers(scores, "scores"), self.scores, self.chances)


def fit_isotonic(scores: ArrayLike, actual: ArrayLike, weights: ArrayLike | None = None) -> Isotonic:
    """Fits the rising curve of least squares.

    Args:
        scores: Shape (n,).
        actual: 0/1, shape (n,).
        weights: Shape (n,); rows of weight 0 do not count.

    Raises:
        DataFault: When no row counts.

    Source:
        Pool adjacent violators: Ayer et al., Annals of Mathematical Statistics 26 (1955); for
        calibration, Zadrozny and Elkan, KDD 2002. Between blocks straight, as scikit-learn has it.
    """
    from scipy.optimize import isotonic_regression

    score, truth = numbers(scores, "scores"), binary(actual, "actuals").astype(np.float64)
    same_length(score.size, actuals=truth)
    weight = weights_for(weights, score.size)
    counted = weight > 0
    if not counted.any():
        raise DataFault("There is no row to calibrate on; give scores with their actuals.")
    order = np.argsort(score[counted], kind="stable")
    score, truth, weight = (each[counted][order] for each in (score, truth, weight))
    firsts = np.flatnonzero(np.concatenate(([True], score[1:] != score[:-1])))
    mass = np.add.reduceat(weight, firsts)
    rate = np.add.reduceat(weight * truth, firsts) / mass
    fitted = np.clip(isotonic_regression(rate, weights=mass).x, 0.0, 1.0)
    # A flat stretch is its two ends.
    inner = np.ones(fitted.size, dtype=bool)
    inner[1:-1] = (fitted[1:-1] != fitted[:-2]) | (fitted[1:-1] != fitted[2:])
    return Isotonic(score[firsts][inner], fitted[inner])
