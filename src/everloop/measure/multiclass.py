"""Metrics over two or more classes, given as indices from 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault
from everloop.measure.arrays import Floats, classes, matrix, weight_by
from everloop.measure.confusion import ratio
from everloop.measure.ranking import roc_auc
from everloop.measure.regression import mean


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


def f1_macro(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The mean F1 over the classes that occur as actual or as decision; NaN with no rows.

    Source:
        The unweighted mean of 2 TP / (2 TP + FP + FN): Opitz and Burst, arXiv 1911.03347, formula 1.
    """
    found, weight, chosen = _by_class(actual, predicted, weights)
    occurs = (weight > 0) | (chosen > 0)
    return float(np.mean(ratio(2 * found, weight + chosen)[occurs])) if occurs.any() else float("nan")


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
