"""The interval of a metric on held-out rows: in closed form where there is one, else by the bootstrap.

Example:
    >>> metric_interval("accuracy", [0, 1, 1, 0], [0, 1, 0, 0]).estimate
    0.75
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everloop.measure.arrays import Floats, binary, numbers
from everloop.measure.confusion import DECISION_MEASURES, Confusion, confusion_of
from everloop.measure.intervals import (
    Interval,
    bootstrap_interval,
    mean_interval,
    normal_quantile,
    paired_interval,
    proportion_interval,
)
from everloop.measure.metrics import METRICS, compute
from everloop.measure.multiclass import chance_of_actual
from everloop.measure.resampling import resampled_metric

BOOTSTRAP_ROWS = 4_000
REPEATS = 200
OUTCOME_REPEATS = 2_000

Arrays = tuple[NDArray[Any], NDArray[Any]]


def metric_interval(
    name: str,
    actual: ArrayLike,
    predicted: ArrayLike,
    *,
    seed: int = 0,
    confidence: float = 0.95,
    weights: ArrayLike | None = None,
) -> Interval:
    """Gives a metric with its interval.

    Shares of rows get Wilson's interval, means of rows Student's, the ROC AUC DeLong's; what is made of
    the four outcomes of binary decisions is resampled as these. All others are resampled by rows; many
    rows by a part of them, and the spread is scaled by the square root of the share (m out of n: Bickel,
    Götze and van Zwet, Statistica Sinica 1997).

    Args:
        name: A key of `METRICS`.
        actual: As `compute` takes it, (n,).
        predicted: As `compute` takes it, (n,) or (n, classes).
        seed: Of the resampling.
        confidence: Such as 0.95.
        weights: The rows' weights, (n,). What is a mean of rows gets the interval of a ratio estimate, all
            others are resampled with their weights; weights are no evidence, which is of the rows there are.

    Returns:
        The interval; NaN where the metric is not defined.
    """
    truth, given = np.asarray(actual), np.asarray(predicted)
    whole = compute(name, truth, given, weights)
    if np.isnan(whole):
        return Interval(float("nan"), whole, float("nan"))
    if weights is not None:
        return _weighted(name, truth, given, np.asarray(weights, np.float64), whole, seed, confidence)
    if name in DECISION_MEASURES and name not in _SHARES and _decided(given).max() <= 1 >= truth.max():
        return _of_outcomes(name, truth, _decided(given), seed, confidence)
    found = _closed_form(name, truth, given, whole, confidence)
    return found if found is not None else _resampled(name, truth, given, whole, seed, confidence)


def _closed_form(
    name: str, actual: NDArray[Any], predicted: NDArray[Any], whole: float, confidence: float
) -> Interval | None:
    if name in _SHARES:
        part, of = _SHARES[name](actual, _decided(predicted))
        return proportion_interval(float(part), float(of), confidence=confidence)
    if name in _TOP:
        return proportion_interval(whole * len(actual), len(actual), confidence=confidence)
    if name in _MEANS:
        return mean_interval(_MEANS[name](actual, predicted), confidence=confidence)
    if name == "rmse":
        return _rooted(mean_interval((actual - predicted) ** 2, confidence=confidence))
    return area_interval(actual, predicted, confidence=confidence) if name == "roc_auc" else None


def _of_outcomes(
    name: str, actual: NDArray[Any], decision: NDArray[Any], seed: int, confidence: float
) -> Interval:
    """Resamples the four outcomes of binary decisions, which are all that such a metric is made of."""
    counts = confusion_of(actual == 1, decision == 1, np.ones(len(actual)))
    outcomes = np.array(
        [counts.true_positive, counts.false_positive, counts.false_negative, counts.true_negative]
    )
    measure = DECISION_MEASURES[name]
    drawn = np.random.default_rng(seed).multinomial(len(actual), outcomes / len(actual), size=OUTCOME_REPEATS)
    found = measure(Confusion(*drawn.T.astype(np.float64)))
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(found, (tail, 1 - tail))
    return Interval(float(low), float(measure(counts)), float(high))


def area_interval(actual: ArrayLike, scores: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """The area under the ROC curve with DeLong's interval, made on the logit so that it stays within 0 and 1.

    Source:
        DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); computed by ranks after Sun and Xu, IEEE
        Signal Processing Letters 21 (2014).
    """
    positive, negative = _placements(actual, scores)
    area = float(positive.mean())
    variance = _variance(positive) / positive.size + _variance(negative) / negative.size
    if not 0 < area < 1:
        return _edge_area(area, positive.size, negative.size, confidence)
    z = normal_quantile(1 - (1 - confidence) / 2)
    half = z * np.sqrt(variance) / (area * (1 - area))
    odds = np.log(area / (1 - area))
    return Interval(float(1 / (1 + np.exp(half - odds))), area, float(1 / (1 + np.exp(-half - odds))))


def area_difference(
    actual: ArrayLike, first: ArrayLike, second: ArrayLike, *, confidence: float = 0.95
) -> Interval:
    """The area of the second scores less that of the first on the same rows, by DeLong's paired test."""
    parts = [_placements(actual, scores) for scores in (first, second)]
    positive, negative = (parts[1][side] - parts[0][side] for side in (0, 1))
    error = np.sqrt(_variance(positive) / positive.size + _variance(negative) / negative.size)
    half = normal_quantile(1 - (1 - confidence) / 2) * float(error)
    difference = float(positive.mean())
    return Interval(difference - half, difference, difference + half)


def metric_difference(
    name: str,
    actual: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    seed: int = 0,
    weights: ArrayLike | None = None,
) -> Interval:
    """Compares two models' answers to the same rows: the second's metric less the first's, with its interval.

    Means and shares of rows are compared row by row (Student), ROC AUCs by DeLong's paired test, all others
    by resampling rows together.

    Args:
        name: A key of `METRICS`.
        actual: As `compute` takes it, (n,).
        first: What the one says, as `compute` takes it.
        second: What the other says.
        seed: Of the resampling.
        weights: As `metric_interval` takes them.
    """
    truth = np.asarray(actual)
    one, two = (_taken(name, np.asarray(given)) for given in (first, second))
    difference = compute(name, truth, two, weights) - compute(name, truth, one, weights)
    if np.isnan(difference):
        return Interval(float("nan"), difference, float("nan"))
    each = _by_row(name, weights)
    if each is not None:
        return paired_interval(each(truth, one), each(truth, two), weights=weights)
    if name == "roc_auc" and weights is None:
        return area_difference(truth, one, two)
    picked = _sample(len(truth), seed)
    counts = np.ones(len(truth)) if weights is None else np.asarray(weights, np.float64)
    found = bootstrap_interval(
        lambda a, f, s, w: compute(name, a, s, w) - compute(name, a, f, w),
        *(array[picked] for array in (truth, one, two, counts)), seed=seed, repeats=REPEATS,
    )  # fmt: skip
    return _widened(found, difference, len(truth))


def _by_row(
    name: str, weights: ArrayLike | None
) -> Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]] | None:
    """Gives what a metric is the mean of; None where it is no mean of all rows."""
    if name == "accuracy":
        return lambda actual, decided: (decided == actual) * 1.0
    return None if weights is not None and name in _OF_SOME_ROWS else _MEANS.get(name)


def _weighted(
    name: str,
    actual: NDArray[Any],
    predicted: NDArray[Any],
    weights: Floats,
    whole: float,
    seed: int,
    confidence: float,
) -> Interval:
    each, given = _by_row(name, weights), _taken(name, predicted)
    if name == "rmse":
        return _rooted(mean_interval((actual - given) ** 2, confidence=confidence, weights=weights))
    if each is not None:
        found = mean_interval(each(actual, given), confidence=confidence, weights=weights)
        if name != "accuracy":
            return found
        return Interval(max(0.0, found.low), found.estimate, min(1.0, found.high))
    return _resampled(name, actual, predicted, whole, seed, confidence, weights)


def _resampled(
    name: str,
    actual: NDArray[Any],
    predicted: NDArray[Any],
    whole: float,
    seed: int,
    confidence: float,
    weights: Floats | None = None,
) -> Interval:
    picked = _sample(len(actual), seed)
    given = _taken(name, predicted)
    counts = np.ones(len(actual)) if weights is None else weights
    found = resampled_metric(
        name, actual[picked], given[picked], counts[picked],
        seed=seed, repeats=REPEATS, confidence=confidence,
    )  # fmt: skip
    return _widened(found, whole, len(actual))


def _sample(size: int, seed: int) -> NDArray[np.int64]:
    if size <= BOOTSTRAP_ROWS:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).choice(size, BOOTSTRAP_ROWS, replace=False))


def _widened(found: Interval, whole: float, size: int) -> Interval:
    """Puts the spread of a part of the rows around the number of all of them."""
    shrink = float(np.sqrt(min(1.0, BOOTSTRAP_ROWS / max(size, 1))))
    low, high = (whole + shrink * (end - found.estimate) for end in (found.low, found.high))
    # Of a number that resampling drives one way (a calibration error) both ends may lie beyond it.
    return Interval(min(low, whole), whole, max(high, whole))


def _taken(name: str, predicted: NDArray[Any]) -> NDArray[Any]:
    return _decided(predicted) if METRICS[name].needs == "decision" else predicted


def _decided(predicted: NDArray[Any]) -> NDArray[Any]:
    return predicted.argmax(axis=1) if predicted.ndim == 2 else predicted


def _rooted(squared: Interval) -> Interval:
    return Interval(
        float(np.sqrt(max(0.0, squared.low))), float(np.sqrt(squared.estimate)), float(np.sqrt(squared.high))
    )


def _placements(actual: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """Gives each positive row's share of negatives below it, each negative one's of positives above it."""
    truth, score = binary(actual, "actuals"), numbers(scores, "scores")
    positive, negative = np.sort(score[truth]), np.sort(score[~truth])

    def below(values: Floats, among: Floats) -> Floats:
        left, right = np.searchsorted(among, values, "left"), np.searchsorted(among, values, "right")
        share: Floats = (left + right) / (2 * among.size)
        return share

    return below(score[truth], negative), 1 - below(score[~truth], positive)


def _edge_area(area: float, positives: int, negatives: int, confidence: float) -> Interval:
    """A perfect order shows no variance: as many trials as the smaller class has rows, all won (Wilson)."""
    found = proportion_interval(
        area * min(positives, negatives), min(positives, negatives), confidence=confidence
    )
    return Interval(found.low, area, found.high)


def _variance(values: Floats) -> float:
    return float(values.var(ddof=1)) if values.size > 1 else 0.0


def _log_losses(actual: NDArray[Any], predicted: NDArray[Any]) -> Floats:
    given = (
        chance_of_actual(actual, predicted)
        if predicted.ndim == 2
        else np.where(actual == 1, predicted, 1 - predicted)
    )
    epsilon = np.finfo(np.float64).eps
    losses: Floats = -np.log(np.clip(given, epsilon, 1 - epsilon))
    return losses


def _briers(actual: NDArray[Any], predicted: NDArray[Any]) -> Floats:
    if predicted.ndim == 1:
        return np.asarray((predicted - actual) ** 2, dtype=np.float64)
    happened = np.eye(predicted.shape[1])[actual.astype(np.int64)]
    return np.asarray(((predicted - happened) ** 2).sum(axis=1), dtype=np.float64)


def _relative(actual: NDArray[Any], predicted: NDArray[Any]) -> Floats:
    used = actual != 0
    return np.asarray(np.abs(predicted - actual)[used] / np.abs(actual[used]), dtype=np.float64)


def _pinballs(share: float) -> Callable[[NDArray[Any], NDArray[Any]], Floats]:
    def each(actual: NDArray[Any], predicted: NDArray[Any]) -> Floats:
        errors = actual - predicted
        return np.asarray(np.maximum(share * errors, (share - 1) * errors), dtype=np.float64)

    return each


_SHARES: dict[str, Callable[[NDArray[Any], NDArray[Any]], tuple[float, float]]] = {
    "accuracy": lambda a, d: ((a == d).sum(), len(a)),
    "precision": lambda a, d: (((a == 1) & (d == 1)).sum(), (d == 1).sum()),
    "recall": lambda a, d: (((a == 1) & (d == 1)).sum(), (a == 1).sum()),
    "specificity": lambda a, d: (((a == 0) & (d == 0)).sum(), (a == 0).sum()),
    "positive_rate": lambda a, d: ((d == 1).sum(), len(a)),
    "precision_micro": lambda a, d: ((a == d).sum(), len(a)),
    "recall_micro": lambda a, d: ((a == d).sum(), len(a)),
    "f1_micro": lambda a, d: ((a == d).sum(), len(a)),
}
"""Metrics that are a share of rows: how many, of how many."""

_TOP = ("top_3_accuracy", "top_5_accuracy")

_MEANS: dict[str, Callable[[NDArray[Any], NDArray[Any]], Floats]] = {
    "log_loss": _log_losses,
    "brier": _briers,
    "mae": lambda a, p: np.asarray(np.abs(p - a), dtype=np.float64),
    "mape": _relative,
    "pinball_10": _pinballs(0.1),
    "pinball_90": _pinballs(0.9),
}
"""Metrics that are a mean over rows: what each row has."""

_OF_SOME_ROWS = ("mape",)
"""Of which rows are left out, so that what is left no longer lies beside the weights."""
