"""Clusters of any shape, known by some of their rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from everloop.model.estimators.cluster_centres import softmax

Floats = NDArray[np.float64]


class ClusterExemplars:
    """Assigns a row to the cluster of the nearest exemplar, with a chance for each cluster.

    Attributes:
        exemplars_: Rows from the clusters' densest parts, those of a cluster together, (m, width).
        counts_: How many of them each cluster has, (clusters,).
        variance_: What distances are measured by.
        classes_: The clusters, from 0 on.
        n_features_in_: The width of a row.
    """

    def __init__(self, exemplars: Floats, counts: NDArray[np.int64], variance: float) -> None:
        self.exemplars_ = np.ascontiguousarray(exemplars, dtype=np.float64)
        self.counts_ = np.asarray(counts, dtype=np.int64)
        self.variance_ = float(variance)
        self.classes_ = np.arange(len(counts))
        self.n_features_in_ = self.exemplars_.shape[1]

    @property
    def coefficients(self) -> Floats:
        """What a row is multiplied with on the way to each exemplar's log-chance, (width, m)."""
        scaled: Floats = self.exemplars_.T / self.variance_
        return scaled

    @property
    def bias(self) -> Floats:
        """What is added, (m,)."""
        added: Floats = -0.5 * (self.exemplars_**2).sum(axis=1) / self.variance_
        return added

    def predict_proba(self, X: Floats) -> Floats:
        """Gives the chance of each cluster, (n, clusters)."""
        # The row's own square is the same for every exemplar and falls out of the softmax.
        nearness = np.asarray(X, dtype=np.float64) @ self.coefficients + self.bias
        starts = np.concatenate([[0], np.cumsum(self.counts_)[:-1]])
        return softmax(np.maximum.reduceat(nearness, starts, axis=1))

    def predict(self, X: Floats) -> NDArray[np.int64]:
        """Gives the cluster of each row, (n,)."""
        chosen: NDArray[np.int64] = self.predict_proba(X).argmax(axis=1)
        return chosen
