"""Measures of a yes-or-no decision, from the four counts of its confusion matrix.

Every formula works on arrays of counts, so one pass judges a single decision or every threshold at
once. A measure whose denominator is zero is NaN: it is not known, neither good nor bad.

Source:
    Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006); for `mcc`
    Chicco and Jurman, BMC Genomics 21:6 (2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from everloop.measure.arrays import Booleans, Floats


@dataclass(frozen=True, slots=True)
class Confusion:
    """Weights (or counts) of the four outcomes; scalars or arrays of one shape."""

    true_positive: Floats
    false_positive: Floats
    false_negative: Floats
    true_negative: Floats

    @property
    def total(self) -> Floats:
        """The weight of all rows."""
        return self.true_positive + self.false_positive + self.false_negative + self.true_negative


def confusion_of(actual: Booleans, decision: Booleans, weights: Floats) -> Confusion:
    """Sums the rows' weights by outcome."""
    return Confusion(
        np.asarray(weights[actual & decision].sum()),
        np.asarray(weights[~actual & decision].sum()),
        np.asarray(weights[actual & ~decision].sum()),
        np.asarray(weights[~actual & ~decision].sum()),
    )


def ratio(part: Floats, whole: Floats) -> Floats:
    """Divides; NaN where the whole is zero."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    unknown = np.full(np.broadcast(part, whole).shape, np.nan)
    quotient: Floats = np.divide(part, whole, out=unknown, where=whole != 0)
    return quotient


def accuracy(c: Confusion) -> Floats:
    """The share of right decisions: (TP + TN) / all."""
    return ratio(c.true_positive + c.true_negative, c.total)


def precision(c: Confusion) -> Floats:
    """The share of positive decisions that are right: TP / (TP + FP); NaN with no positive decision."""
    return ratio(c.true_positive, c.true_positive + c.false_positive)


def recall(c: Confusion) -> Floats:
    """The share of actual positives that are found: TP / (TP + FN); NaN with no actual positive."""
    return ratio(c.true_positive, c.true_positive + c.false_negative)


def specificity(c: Confusion) -> Floats:
    """The share of actual negatives that are left alone: TN / (TN + FP); NaN with no actual negative."""
    return ratio(c.true_negative, c.true_negative + c.false_positive)


def f1(c: Confusion) -> Floats:
    """The harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
    return ratio(2 * c.true_positive, 2 * c.true_positive + c.false_positive + c.false_negative)


def balanced_accuracy(c: Confusion) -> Floats:
    """The mean of recall and specificity; NaN when only one class is there."""
    return (recall(c) + specificity(c)) / 2


def positive_rate(c: Confusion) -> Floats:
    """The share of positive decisions: (TP + FP) / all."""
    return ratio(c.true_positive + c.false_positive, c.total)


def mcc(c: Confusion) -> Floats:
    """Matthews' correlation of actual and decision.

    NaN when only one class is there; 0, the limit, when every decision is the same.
    """
    positive = c.true_positive + c.false_negative
    negative = c.true_negative + c.false_positive
    chosen = c.true_positive + c.false_positive
    left = c.true_negative + c.false_negative
    agreement = c.true_positive * c.true_negative - c.false_positive * c.false_negative
    # Roots before products: four counts of a million each would leave the range of exact integers.
    scale = np.sqrt(positive) * np.sqrt(negative) * np.sqrt(chosen) * np.sqrt(left)
    value = np.nan_to_num(ratio(agreement, scale), nan=0.0)
    return np.where((positive == 0) | (negative == 0), np.nan, value)


def kappa(c: Confusion) -> Floats:
    """Cohen's kappa: the agreement beyond what chance would give; NaN where chance gives all of it.

    Source:
        Cohen, "A coefficient of agreement for nominal scales" (1960).
    """
    positive, chosen = c.true_positive + c.false_negative, c.true_positive + c.false_positive
    negative, left = c.total - positive, c.total - chosen
    expected = ratio(positive, c.total) * ratio(chosen, c.total)
    expected = expected + ratio(negative, c.total) * ratio(left, c.total)
    return ratio(accuracy(c) - expected, 1 - expected)


DECISION_MEASURES: dict[str, Callable[[Confusion], Floats]] = {
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "f1": f1,
    "balanced_accuracy": balanced_accuracy,
    "positive_rate": positive_rate,
    "mcc": mcc,
    "kappa": kappa,
}
