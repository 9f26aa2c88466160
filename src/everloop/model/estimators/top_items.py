"""The lists of recommended items, worked out beforehand: one for each known entity, one for all others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class TopItems:
    """Gives a list of items for an entity's number; what is no known number gets the list for strangers.

    Attributes:
        lists_: For each known entity, and last for strangers: the positions of the items among the
            classes, the best first, then their scores, (entities + 1, 2 * places).
        n_features_in_: 1, the entity's number.
    """

    def __init__(self, items: NDArray[np.int64], scores: Floats) -> None:
        self.lists_ = np.ascontiguousarray(np.concatenate([items.astype(np.float64), scores], axis=1))
        self.n_features_in_ = 1

    def listed(self, X: Floats) -> Floats:
        """Gives positions and scores, (n, 2 * places), for entities' numbers (n, 1)."""
        found: Floats = self.lists_[np.asarray(X)[:, 0].astype(np.int64)]
        return found
