"""Clusters that are known by their centres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class ClusterCentres:
    """Assigns a row to the nearest of some centres, with a chance for each.

    The chances are those of a mixture of equal, round normal distributions around the centres, whose
    likeliest component is the nearest centre.

    Attributes:
        centres_: (clusters, width).
        variance_: Of the rows around their centre, for each column the same.
        classes_: The clusters, from 0 on.
        n_features_in_: The width of a row.
    """

    def __init__(self, centres: Floats, variance: float) -> None:
        self.centres_ = np.ascontiguousarray(centres, dtype=np.float64)
        self.variance_ = float(variance)
        self.classes_ = np.arange(len(centres))
        self.n_features_in_ = self.centres_.shape[1]

    @property
    def coefficients(self) -> Floats:
        """What a row is multiplied with on the way to the log-chances, (width, clusters)."""
        scaled: Floats = self.centres_.T / self.variance_
        return scaled

    @property
    def bias(self) -> Floats:
        """What is added, (clusters,)."""
        added: Floats = -0.5 * (self.centres_**2).sum(axis=1) / self.variance_
        return added

    def predict_proba(self, X: Floats) -> Floats:
        """Gives the chance of each cluster, (n, clusters)."""
        return softmax(np.asarray(X, dtype=np.float64) @ self.coefficients + self.bias)

    def predict(self, X: Floats) -> NDArray[np.int64]:
        """Gives the cluster of each row, (n,)."""
        chosen: NDArray[np.int64] = self.predict_proba(X).argmax(axis=1)
        return chosen


def softmax(logits: Floats) -> Floats:
    """Turns log-chances, known but for a constant in each row, into chances, (n, k)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances: Floats = powers / powers.sum(axis=1, keepdims=True)
    return chances
