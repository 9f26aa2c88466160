"""Metrics over two or more classes, given as indices from 0."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault
from everloop.measure.arrays import Floats, classes, matrix, weight_by
from everloop.measure.calibration import calibration_error as reliability_error
from everloop.measure.confusion import ratio
from everloop.measure.ranking import roc_auc
from everloop.measure.regression import mean

Measure = Callable[[ArrayLike, ArrayLike, Floats], float]


def accuracy(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The share of rows whose class is right; NaN with no weight."""
    right = classes(actual, "actuals") == classes(predicted, "decisions")
    return mean(right.astype(np.float64), weights)


def balanced_accuracy(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The mean recall over the classes that are there; NaN when fewer than two are.

    Source:
        Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010.
    """
    found, weight, _ = _by_class(actual, predicted, weights)
    present = weight > 0
    return float(np.mean(found[present] / weight[present])) if present.sum() > 1 else float("nan")


def averaged(name: str, average: str) -> Measure:
    """Gives precision, recall or F1 of many classes, averaged over them.

    A class with no denominator counts 0, so that a class that is never decided is no secret. Classes
    that occur neither as actual nor as decision are left out; NaN with no rows.

    Args:
        name: ``precision``, ``recall`` or ``f1``.
        average: ``macro``, each class alike; ``weighted``, by its actual rows; ``micro``, over all rows.

    Source:
        Sokolova and Lapalme, "A systematic analysis of performance measures" (2009).
    """

    def measure(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
        found, weight, chosen = _by_class(actual, predicted, weights)
        if average == "micro":
            found, weight, chosen = (np.array([each.sum()]) for each in (found, weight, chosen))
        occurs = (weight > 0) | (chosen > 0)
        if not occurs.any():
            return float("nan")
        below = {"precision": chosen, "recall": weight, "f1": weight + chosen}[name]
        values = np.nan_to_num(ratio((2 if name == "f1" else 1) * found, below)[occurs])
        return float(np.average(values, weights=weight[occurs] if average == "weighted" else None))

    return measure


def kappa(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """Cohen's kappa: the agreement beyond chance; NaN where chance gives all of it.

    Source:
        Cohen, "A coefficient of agreement for nominal scales" (1960).
    """
    found, weight, chosen = _by_class(actual, predicted, weights)
    total = weight.sum()
    expected = ratio(np.dot(weight, chosen), total**2)
    return float(ratio(ratio(found.sum(), total) - expected, 1 - expected))


def mcc(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """Matthews' correlation of actual and decided class; NaN with one actual class, 0 with one decided.

    Source:
        Gorodkin, "Comparing two K-category assignments by a K-category correlation" (2004).
    """
    found, weight, chosen = _by_class(actual, predicted, weights)
    total = weight.sum()
    if np.count_nonzero(weight) < 2:
        return float("nan")
    weight, chosen, right = weight / total, chosen / total, found.sum() / total
    spread = np.sqrt(1 - np.dot(weight, weight)) * np.sqrt(max(0.0, 1 - np.dot(chosen, chosen)))
    return float(np.nan_to_num(ratio(right - np.dot(weight, chosen), spread)))


def brier(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The mean over rows of the squared distance of chances and outcome, between 0 and 2.

    Source:
        Brier, Monthly Weather Review 78 (1950), in its first form.
    """
    chances = matrix(predicted, "probabilities")
    truth = _within(actual, chances)
    happened = np.zeros_like(chances)
    happened[np.arange(len(truth)), truth] = 1
    return mean(((chances - happened) ** 2).sum(axis=1), weights)


def top_accuracy(most: int) -> Measure:
    """Gives the share of rows whose class is among the likeliest; NaN where there are no more classes."""

    def measure(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
        chances = matrix(predicted, "probabilities")
        if chances.shape[1] <= most:
            return float("nan")
        truth = _within(actual, chances)
        own = chances[np.arange(len(truth)), truth][:, None]
        # Of equal chances the first class is decided for, so it stands before the others here too.
        before = (chances > own) | ((chances == own) & (np.arange(chances.shape[1]) < truth[:, None]))
        return mean((before.sum(axis=1) < most).astype(np.float64), weights)

    return measure


def calibration_error(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The expected calibration error of the decided class's chance.

    Source:
        Guo et al., "On calibration of modern neural networks", ICML 2017, with bins of equal weight.
    """
    chances = matrix(predicted, "probabilities")
    right = chances.argmax(axis=1) == _within(actual, chances)
    return reliability_error(chances.max(axis=1, initial=0.0), right, weights=weights)


def roc_auc_ovr(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The mean over classes of the ROC AUC of each against the rest.

    A class with no row is left out of the mean; NaN when fewer than two have rows.

    Source:
        Provost and Domingos (2000), unweighted by prevalence.
    """
    chances = matrix(predicted, "probabilities")
    truth = _within(actual, chances)
    areas = [roc_auc(truth == k, chances[:, k], weights) for k in range(chances.shape[1])]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def chance_of_actual(actual: ArrayLike, predicted: ArrayLike) -> Floats:
    """The chance that was given to each row's actual class, shape (n,)."""
    chances = matrix(predicted, "probabilities")
    truth = _within(actual, chances)
    chosen: Floats = chances[np.arange(len(truth)), truth]
    return chosen


def _within(actual: ArrayLike, chances: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    truth = classes(actual, "actuals")
    if truth.size and truth.max() >= chances.shape[1]:
        raise DataFault(
            f"An actual is of class {truth.max()}; the probabilities have {chances.shape[1]} columns."
        )
    return truth


def _by_class(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Sums weights by class: rightly found, actually there, chosen."""
    truth, decision = classes(actual, "actuals"), classes(predicted, "decisions")
    size = int(max(truth.max(initial=-1), decision.max(initial=-1))) + 1
    right = truth == decision
    return (
        weight_by(truth[right], weights[right], size),
        weight_by(truth, weights, size),
        weight_by(decision, weights, size),
    )
