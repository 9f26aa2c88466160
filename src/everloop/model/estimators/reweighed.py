"""A model that was trained on weighted classes, with its chances put right again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Reweighed:
    """Undoes what the weights of classes did to the chances.

    A class that counted w times as much in training gets odds w times too high; dividing each chance by
    its class's weight, and all by their sum, gives the chances among rows as they come.

    Args:
        estimator: Fitted on weighted rows.
        factors: One over each class's weight, in the order of the estimator's classes.

    Source:
        Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to new a priori
        probabilities" (Neural Computation 2002), equation 2.4.
    """

    def __init__(self, estimator: Any, factors: Floats) -> None:
        self.estimator = estimator
        self.factors = np.asarray(factors, dtype=np.float64)
        self.classes_ = np.asarray(estimator.classes_)

    def predict_proba(self, X: Floats) -> Floats:
        """Gives the chance of each class, (n, classes)."""
        parts = np.asarray(self.estimator.predict_proba(X), dtype=np.float64) * self.factors
        shares: Floats = parts / parts.sum(axis=1, keepdims=True)
        return shares

    def predict(self, X: Floats) -> NDArray[Any]:
        """Gives the likeliest class of each row, (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
