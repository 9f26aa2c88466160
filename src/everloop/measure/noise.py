"""Which labels look wrong: confident learning, from chances of rows that their model had not seen.

Example:
    >>> chances = [[0.9, 0.1], [0.8, 0.2], [0.95, 0.05], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95]]
    >>> label_noise([0, 0, 1, 1, 1, 0], chances).suspects.tolist()
    [2, 5]

Source:
    Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels",
    Journal of Artificial Intelligence Research 70 (2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.arrays import Floats, Integers, classes, matrix, same_length


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """What confident learning says of labels.

    Attributes:
        joint: Rows by given label (first) and likely true one (second), scaled to the labels' counts;
            shape (k, k). The paper's confident joint, calibrated.
        share: The share of rows off its diagonal.
        suspects: Rows that are confidently of another class than their label, the least likely label first.
    """

    joint: Floats
    share: float
    suspects: Integers


def label_noise(labels: ArrayLike, chances: ArrayLike) -> LabelNoise:
    """Estimates which labels are wrong.

    A row counts as of class j when its chance of j is at least the mean chance of j among the rows that
    are labelled j; of several such classes the likeliest.

    Args:
        labels: Class positions, shape (n,).
        chances: Out-of-fold chances, shape (n, k).

    Raises:
        DataFault: When the arrays do not fit each other.
    """
    given, chance = classes(labels, "labels"), matrix(chances, "chances")
    same_length(len(chance), labels=given)
    size = chance.shape[1]
    counts = np.bincount(given, minlength=size).astype(np.float64)
    if not len(given):
        return LabelNoise(np.zeros((size, size)), 0.0, np.empty(0, np.int64))
    sums = np.bincount(given, chance[np.arange(len(given)), given], size)
    mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = chance >= mean - 1e-6
    likely = np.where(confident, chance, -1.0).argmax(axis=1)
    counted = confident.any(axis=1)
    joint = np.zeros((size, size))
    np.add.at(joint, (given[counted], likely[counted]), 1.0)
    joint = _calibrated(joint, counts)
    off = float(joint.sum() - np.trace(joint)) / len(given)
    suspects = np.flatnonzero(counted & (likely != given))
    order = np.argsort(chance[suspects, given[suspects]], kind="stable")
    return LabelNoise(joint, off, suspects[order].astype(np.int64))


def _calibrated(joint: Floats, counts: Floats) -> Floats:
    """Scales each label's row to the label's count; a label that no row is confident of is taken as right."""
    sums = joint.sum(axis=1)
    scaled = joint * np.where(sums > 0, counts / np.maximum(sums, 1.0), 0.0)[:, np.newaxis]
    lost = sums == 0
    scaled[lost, lost] = counts[lost]
    return np.asarray(scaled)
