"""Weights of classes: one more thing that the search may vary where one class is rare.

A model learns the rare class with more weight, and its chances are put right afterwards
(`estimators.reweighed`), so that it can be compared and averaged with the others. Rows are neither drawn
twice nor left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.estimators.reweighed import Reweighed
from everloop.model.learners.learner import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.spec.frame import Frame

CLASS_WEIGHT = "class_weight"
"""The key in a configuration: ``balanced`` gives each class the same weight in all, ``root`` goes half the
way (the square root of that)."""

POWERS = {"balanced": 1.0, "root": 0.5}
DIMENSION = Parameter(CLASS_WEIGHT, "choice", choices=(None, *POWERS))
RARE = 0.4
"""Weights are tried where a class has less than so much of the rows that it had if all had as many."""


def weighs_classes(frame: Frame, actual: NDArray[Any]) -> bool:
    """Whether weights of classes are worth trying: where one is much rarer than if all were alike."""
    if frame.task not in ("binary", "multiclass"):
        return False
    counts = np.bincount(actual.astype(np.int64))
    present = counts[counts > 0]
    return bool(len(present) > 1 and present.min() / present.sum() < RARE / len(present))


def row_weights(
    y: NDArray[Any], configuration: Mapping[str, Any], own: NDArray[np.float64] | None = None
) -> NDArray[np.float64] | None:
    """Gives each row its class's weight, on average 1, times its own; None where nothing weighs rows."""
    power = POWERS.get(str(configuration.get(CLASS_WEIGHT)))
    if power is None:
        return own
    weights: NDArray[np.float64] = _by_class(y, power)[np.searchsorted(np.unique(y), y)]
    return weights if own is None else weights * own


def put_right(estimator: Any, y: NDArray[Any], configuration: Mapping[str, Any]) -> Any:
    """Gives an estimator whose chances are those of rows as they come."""
    power = POWERS.get(str(configuration.get(CLASS_WEIGHT)))
    if power is None:
        return estimator
    return Reweighed(estimator, 1.0 / _by_class(y, power))


def _by_class(y: NDArray[Any], power: float) -> NDArray[np.float64]:
    counts = np.unique(y, return_counts=True)[1].astype(np.float64)
    weights: NDArray[np.float64] = (len(y) / counts) ** power
    return weights * len(y) / float(weights @ counts)
