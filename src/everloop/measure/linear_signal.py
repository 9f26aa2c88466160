"""Whether inputs tell anything of a target: an exact test by a model that is fitted again for each shuffle.

Ridge regression is solved once for all shuffles of a fold's actuals, so that thousands of fits are one
product. It finds weak signals on few rows, where a test without fitting again does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from everloop.measure.arrays import Floats, Integers

SHRINKAGE = 0.1
"""The ridge as a share of the rows learned from; inputs are scaled so that a row's squares sum to about 1."""


def linear_p(inputs: Floats, targets: Floats, folds: Integers, *, seed: int, draws: int = 499) -> float:
    """The chance of out-of-fold predictions that follow the actuals so closely, if inputs told nothing.

    Args:
        inputs: Numbers, shape (n, width); NaN is taken for the mean. Squares are added.
        targets: Shape (n, k): the number, or 0/1 for each class.
        folds: Shape (n,): the part that each row is held out in; drawn without looking at targets.
        seed: Of the shuffles.
        draws: How many shuffles.

    Returns:
        Between 1 / (draws + 1) and 1; exact whatever the inputs are, if rows are independent.

    Source:
        Phipson and Smyth, "Permutation p-values should never be zero" (2010); Golland and Fischl (2003).
    """
    rows = len(targets)
    if rows < 2:
        return 1.0
    scaled, random = _scaled(inputs), np.random.default_rng(seed)
    orders = [np.arange(rows), *(random.permutation(rows) for _ in range(draws))]
    found = np.zeros(draws + 1)
    for column in targets.T:
        shuffled = np.stack([column[order] for order in orders], axis=1)
        found += np.sum(_out_of_fold(scaled, shuffled, folds) * _centred(shuffled, folds), axis=0)
    slack = 1e-12 * max(1.0, abs(found[0]))
    return float((found >= found[0] - slack).sum() / (draws + 1))


def _scaled(inputs: Floats) -> Floats:
    known = np.isfinite(inputs)
    filled = np.where(known, inputs, 0.0)
    counts = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, inputs - filled.sum(axis=0) / counts, 0.0)
    spread = np.sqrt((centred**2).mean(axis=0))
    varied = spread > 1e-12 * np.maximum(1.0, np.abs(filled).max(axis=0, initial=0.0))
    scaled = np.clip(centred[:, varied] / spread[varied], -5, 5)
    squares = scaled**2 - (scaled**2).mean(axis=0)
    deviations = squares.std(axis=0)
    both = np.concatenate([scaled, squares[:, deviations > 1e-9] / deviations[deviations > 1e-9]], axis=1)
    return np.asarray(both / np.sqrt(max(both.shape[1], 1)))


def _out_of_fold(scaled: Floats, targets: Floats, folds: Integers) -> Floats:
    """Gives out-of-fold predictions, less the mean of the rows learned from: (n, k) as the targets are.

    Solved in as many unknowns as there are columns or rows to learn from, whichever are fewer.
    """
    found = np.zeros(targets.shape)
    for fold in np.unique(folds):
        held_out, learned = scaled[folds == fold], scaled[folds != fold]
        if not len(learned) or not scaled.shape[1]:
            continue
        known = targets[folds != fold]
        known = known - known.mean(axis=0)
        wide = scaled.shape[1] > len(learned)
        alike = learned @ learned.T if wide else learned.T @ learned
        ridge = alike + SHRINKAGE * len(learned) * np.eye(len(alike))
        solved = np.linalg.solve(ridge, known if wide else learned.T @ known)
        found[folds == fold] = held_out @ (learned.T @ solved if wide else solved)
    return found


def _centred(columns: NDArray[np.float64], folds: Integers) -> Floats:
    centred = columns.copy()
    for fold in np.unique(folds):
        centred[folds == fold] -= columns[folds == fold].mean(axis=0)
    return centred
