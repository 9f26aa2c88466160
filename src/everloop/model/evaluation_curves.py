"""The curves of an evaluation, as numbers that pictures are drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.calibration import reliability
from everloop.measure.intervals import mean_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

CURVE_POINTS = 101
BINS = 10
RESIDUAL_BARS = 24
Curve = dict[str, list[float]]


def binary_curves(
    scores: NDArray[np.float64], actual: NDArray[Any], counts: NDArray[np.float64] | None = None
) -> dict[str, Curve]:
    """Gives reliability, ROC, precision over recall, and gain and lift, by the names of `Evaluation`.

    Args:
        scores: Chances of the positive class, (n,).
        actual: 0/1, (n,).
        counts: What each row counts, (n,), more than 0; None where all count alike.
    """
    if not len(actual):
        return {}
    count = np.ones(len(actual)) if counts is None else counts
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    taken = np.concatenate([[0], np.cumsum(count[order])[last]])
    hits = np.concatenate([[0], np.cumsum((count * actual)[order])[last]])
    recall, false = (part / part[-1] if part[-1] > 0 else part for part in (hits, taken - hits))
    picked = np.unique(np.linspace(0, len(taken) - 1, CURVE_POINTS).astype(int))
    after = picked[picked > 0]
    share = taken / taken[-1]
    return {
        "reliability": _reliability(scores, actual, counts),
        "roc_curve": {
            "false_positive_rate": false[picked].tolist(),
            "true_positive_rate": recall[picked].tolist(),
        },
        "precision_curve": {
            "recall": recall[after].tolist(),
            "precision": (hits[after] / taken[after]).tolist(),
        },
        "gain_curve": {
            "share": share[picked].tolist(),
            "found": recall[picked].tolist(),
            "lift": np.divide(
                recall[picked], share[picked], out=np.ones(len(picked)), where=share[picked] > 0
            ).tolist(),
        },
    }


def class_curves(
    scores: NDArray[np.float64], actual: NDArray[Any], counts: NDArray[np.float64] | None = None
) -> dict[str, Curve]:
    """Gives the reliability of the likeliest of many classes: the chance it is given, how often it came.

    Args:
        scores: Chances, (n, classes).
        actual: Class indices, (n,).
        counts: What each row counts, (n,), more than 0; None where all count alike.
    """
    if not len(actual):
        return {}
    right = (scores.argmax(axis=1) == actual).astype(np.int64)
    return {"reliability": _reliability(scores.max(axis=1), right, counts)}


def _reliability(
    scores: NDArray[np.float64], came: NDArray[Any], counts: NDArray[np.float64] | None
) -> Curve:
    found = reliability(scores, came, weights=counts)
    return {"score": found.score.tolist(), "rate": found.rate.tolist(), "weight": found.weight.tolist()}


def residual_facts(scores: NDArray[np.float64], actual: NDArray[Any]) -> dict[str, Any]:
    """Gives what is left over of numbers: its histogram, and how it lies over what was predicted.

    Returns:
        ``edges`` and ``shares`` of the residuals (actual less predicted; the outermost 1 % is cut off);
        in bins of equal rows over the prediction: ``predicted`` (mean), ``low``, ``middle`` and ``high`` (the
        10 %, 50 % and 90 % quantiles of the residual); ``bias``, the mean residual with its interval.
    """
    residual = actual.astype(np.float64) - scores
    if not len(residual) or not np.isfinite(residual).all():
        return {}
    low, high = np.quantile(residual, (0.005, 0.995))
    if high - low <= 1e-9 * np.abs(residual).max():
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(residual, bins=RESIDUAL_BARS, range=(low, high))
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    quantiles = np.array([np.quantile(residual[part], (0.1, 0.5, 0.9)) for part in parts])
    return {
        "edges": edges.tolist(),
        "shares": (counts / len(residual)).tolist(),
        "predicted": [float(scores[part].mean()) for part in parts],
        "low": quantiles[:, 0].tolist(),
        "middle": quantiles[:, 1].tolist(),
        "high": quantiles[:, 2].tolist(),
        "bias": mean_interval(residual).to_dict(),
    }
