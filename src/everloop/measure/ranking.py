"""Measures of how well scores rank the positive rows before the negative ones; ties are exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from everloop.measure.arrays import Booleans, Floats


def steps_down(scores: Floats, actual: Booleans, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Sums the weights of positive and negative rows at each distinct score, highest score first.

    Args:
        scores: Shape (n,).
        actual: True where the row is positive, shape (n,).
        weights: Shape (n,).

    Returns:
        The distinct scores, and the weights of the positive and of the negative rows at each.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    positive = np.add.reduceat(np.where(actual[order], weights[order], 0.0), first)
    negative = np.add.reduceat(np.where(actual[order], 0.0, weights[order]), first)
    return ordered[first], positive, negative


def roc_auc(actual: Booleans, scores: Floats, weights: Floats) -> float:
    """The chance that a positive row scores above a negative one, a tie counting half.

    NaN when only one class has weight.

    Source:
        Hanley and McNeil, Radiology 143 (1982): equal to the Mann-Whitney statistic.
    """
    return _by_steps(_area, actual, scores, weights)


def _area(positive: Floats, negative: Floats) -> float:
    all_positive, all_negative = positive.sum(), negative.sum()
    if all_positive == 0 or all_negative == 0:
        return float("nan")
    below = all_negative - np.cumsum(negative)
    return float(np.sum(positive * (below + negative / 2)) / (all_positive * all_negative))


def average_precision(actual: Booleans, scores: Floats, weights: Floats) -> float:
    """The precision at each distinct score, weighted by the recall gained there.

    NaN when no positive row has weight.

    Source:
        Sum of (R_n - R_{n-1}) P_n over the thresholds, without interpolation: Zhu, "Recall,
        precision and average precision" (2004), as scikit-learn computes it.
    """
    return _by_steps(_mean_precision, actual, scores, weights)


def _mean_precision(positive: Floats, negative: Floats) -> float:
    all_positive = positive.sum()
    if all_positive == 0:
        return float("nan")
    found, taken = np.cumsum(positive), np.cumsum(positive + negative)
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    return float(np.sum(positive * precision) / all_positive)


def kolmogorov_smirnov(actual: Booleans, scores: Floats, weights: Floats) -> float:
    """The largest distance between the scores' distributions of the two classes.

    It is the best difference of true and false positive rate that any threshold reaches. NaN when only
    one class has weight.

    Source:
        The two-sample statistic of Smirnov (1939), as credit scoring uses it.
    """
    return _by_steps(_widest_distance, actual, scores, weights)


def _widest_distance(positive: Floats, negative: Floats) -> float:
    all_positive, all_negative = positive.sum(), negative.sum()
    if all_positive == 0 or all_negative == 0:
        return float("nan")
    return float(np.abs(np.cumsum(positive) / all_positive - np.cumsum(negative) / all_negative).max())


def _by_steps(
    measure: Callable[[Floats, Floats], float], actual: Booleans, scores: Floats, weights: Floats
) -> float:
    if not scores.size:
        return float("nan")
    _, positive, negative = steps_down(scores, actual, weights)
    return measure(positive, negative)


STEP_MEASURES: dict[str, Callable[[Floats, Floats], float]] = {
    "roc_auc": _area,
    "average_precision": _mean_precision,
    "kolmogorov_smirnov": _widest_distance,
}
"""The same from the weights of positive and negative rows at each distinct score, highest first."""
