"""An ensemble: models that read slices of one encoded vector, and the weights of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Ensemble:
    """The weighted mean of what several estimators say, each of its own slots of the vector.

    Args:
        members: Fitted on class indices, or on numbers.
        slots: For each member the slots that it reads, in the order of its columns.
        weights: What each answer counts; together 1.
        classes: How many classes there are; 0 for a number. A class that a member never saw has
            chance 0 by it.
    """

    def __init__(
        self,
        members: Sequence[Any],
        slots: Sequence[NDArray[np.int64]],
        weights: Sequence[float],
        classes: int,
    ) -> None:
        self.members = list(members)
        self.slots = [np.asarray(one, dtype=np.int64) for one in slots]
        self.weights = np.asarray(weights, dtype=np.float64)
        self.classes_ = np.arange(classes) if classes else None
        self.n_features_in_ = 1 + max(int(one.max(initial=-1)) for one in self.slots)

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gives the chance of each class, (n, classes)."""
        found = np.zeros((len(X), len(self._classes())))
        for member, slots, weight in zip(self.members, self.slots, self.weights, strict=True):
            seen = np.asarray(member.classes_, dtype=np.int64)
            found[:, seen] += weight * np.asarray(member.predict_proba(X[:, slots]), dtype=np.float64)
        return found

    def predict(self, X: NDArray[np.float64]) -> NDArray[Any]:
        """Gives the likeliest class, or the number, (n,)."""
        if self.classes_ is not None:
            return np.asarray(self.predict_proba(X).argmax(axis=1))
        found = np.zeros(len(X))
        for member, slots, weight in zip(self.members, self.slots, self.weights, strict=True):
            found += weight * np.asarray(member.predict(X[:, slots]), dtype=np.float64).reshape(len(X))
        return found

    def _classes(self) -> NDArray[np.int64]:
        return np.zeros(0, dtype=np.int64) if self.classes_ is None else self.classes_
