"""The bootstrap of one metric over rows: what can be counted is counted, not computed anew each time.

A resample of rows only changes how often each counts. So a measure of decisions is made of the weights of
its four outcomes, a measure of ranks of those at each distinct score, which are sorted once.

Source:
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.

Example:
    >>> resampled_metric("precision", [1, 0, 1, 1], [1, 1, 1, 0], seed=0, repeats=200).estimate
    0.6666666666666666
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everloop.measure.arrays import Floats, binary, numbers, weights_for
from everloop.measure.confusion import DECISION_MEASURES, Confusion
from everloop.measure.intervals import UNKNOWN, Interval, bootstrap_interval, interval_of_resamples
from everloop.measure.metrics import compute
from everloop.measure.ranking import STEP_MEASURES

Rows = NDArray[np.int64]


def resampled_metric(
    name: str,
    actual: ArrayLike,
    predicted: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    seed: int,
    repeats: int,
    confidence: float = 0.95,
) -> Interval:
    """The percentile bootstrap of a metric over rows.

    Args:
        name: A key of `METRICS`.
        actual: As `compute` takes it, (n,).
        predicted: As `compute` takes it, (n,) or (n, classes).
        weights: The rows' weights, (n,); all 1 when left out.
        seed: Of the resampling.
        repeats: How many resamples.
        confidence: Such as 0.95.

    Returns:
        The metric on all rows, with the interval that `bootstrap_interval` gives it.

    Raises:
        SpecFault: When there is no metric of that name.
        DataFault: When the arrays do not fit each other or hold missing values.
    """
    truth, given = np.asarray(actual), np.asarray(predicted)
    counts = weights_for(weights, len(truth))
    if not len(truth):
        return UNKNOWN
    of_rows = _counted(name, truth, given, counts)
    if of_rows is None:
        return bootstrap_interval(
            lambda a, p, w: compute(name, a, p, w), truth, given, counts,
            seed=seed, repeats=repeats, confidence=confidence,
        )  # fmt: skip
    estimate = compute(name, truth, given, counts)
    return interval_of_resamples(
        of_rows, len(truth), estimate, seed=seed, repeats=repeats, confidence=confidence
    )


def _counted(
    name: str, actual: NDArray[Any], predicted: NDArray[Any], weights: Floats
) -> Callable[[Rows], float] | None:
    """Gives the metric of rows by their places; None where it is not made of counts."""
    if predicted.ndim == 1 and name in DECISION_MEASURES and max(actual.max(), predicted.max()) <= 1:
        return _of_outcomes(name, actual, predicted, weights)
    return _of_steps(name, actual, predicted, weights) if name in STEP_MEASURES else None


def _of_outcomes(
    name: str, actual: NDArray[Any], decided: NDArray[Any], weights: Floats
) -> Callable[[Rows], float]:
    outcomes = 2 * binary(actual, "actuals").astype(np.intp) + binary(decided, "decisions")
    measure = DECISION_MEASURES[name]

    def of_rows(rows: Rows) -> float:
        negative, false_positive, false_negative, positive = np.bincount(outcomes[rows], weights[rows], 4)
        return float(measure(Confusion(positive, false_positive, false_negative, negative)))

    return of_rows


def _of_steps(
    name: str, actual: NDArray[Any], predicted: NDArray[Any], weights: Floats
) -> Callable[[Rows], float]:
    distinct, steps = np.unique(-numbers(predicted, "scores"), return_inverse=True)
    places = 2 * steps.astype(np.intp) + binary(actual, "actuals")
    measure = STEP_MEASURES[name]

    def of_rows(rows: Rows) -> float:
        counts: Floats = np.bincount(places[rows], weights[rows], 2 * distinct.size).astype(np.float64)
        return measure(counts[1::2], counts[::2])

    return of_rows
