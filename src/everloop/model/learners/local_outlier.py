"""Outliers by the density around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from everloop.model.learners.knn import PAIRS_AT_ONCE, STEPS, nearest_of
from everloop.model.learners.learner import Capabilities, Parameter, refuse_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

    Matrix = NDArray[np.float64]

LEAST = 1e-6
"""No squared distance counts as less: rows that are copies of each other would be infinitely dense."""


class LocalOutliers:
    """Rows as they were learned, each with the reach and the density of its surroundings.

    A row's factor is how many times denser its nearest rows lie than the row itself: about 1 within the
    crowd, wherever the crowd is, and more outside of it.

    Args:
        rows: What was learned from, scaled, (m, width).
        neighbours: How many rows are the surroundings of one.

    Source:
        Breunig, Kriegel, Ng and Sander, "LOF: Identifying Density-Based Local Outliers" (SIGMOD 2000).
    """

    def __init__(self, rows: Matrix, neighbours: int) -> None:
        self.rows = rows
        self.squares = np.square(rows).sum(axis=1)
        self.neighbours = max(1, min(neighbours, len(rows) - 1))
        self.reaches, self.densities = np.full(len(rows), LEAST), np.zeros(len(rows))
        self._learn()

    def score_samples(self, X: Matrix) -> Matrix:
        """Gives how usual each row is, (n,); the less, the more unusual."""
        size = max(1, PAIRS_AT_ONCE // len(self.rows))
        parts = [self._some(X[start : start + size]) for start in range(0, len(X), size)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _some(self, x: Matrix) -> Matrix:
        squares = self._squares(x)
        nearest = nearest_of(np.rint(squares * STEPS), self.neighbours)
        reach = np.sqrt(np.maximum(np.maximum(squares, self.reaches), LEAST))
        mean = np.where(nearest, reach, 0.0).sum(axis=1) / self.neighbours
        dense = np.where(nearest, self.densities, 0.0).sum(axis=1) / self.neighbours
        scores: Matrix = -dense * mean
        return scores

    def _squares(self, x: Matrix) -> Matrix:
        squares = np.square(x).sum(axis=1, keepdims=True) + self.squares
        apart: Matrix = np.maximum(squares - 2.0 * (x @ self.rows.T), 0.0)
        return apart

    def _learn(self) -> None:
        """Measures each row by the others: its reach (squared), then its density."""
        size = max(1, PAIRS_AT_ONCE // len(self.rows))
        starts = range(0, len(self.rows), size)
        self.reaches = np.concatenate([self._reaches(start, start + size) for start in starts])
        self.densities = np.concatenate([self._densities(start, start + size) for start in starts])

    def _others(self, start: int, end: int) -> Matrix:
        squares = self._squares(self.rows[start:end])
        places = np.arange(len(squares))
        squares[places, places + start] = np.inf
        return squares

    def _reaches(self, start: int, end: int) -> Matrix:
        last = self.neighbours - 1
        reaches: Matrix = np.partition(self._others(start, end), last, axis=1)[:, last]
        return reaches

    def _densities(self, start: int, end: int) -> Matrix:
        squares = self._others(start, end)
        nearest = nearest_of(np.rint(squares * STEPS), self.neighbours)
        reach = np.sqrt(np.maximum(np.maximum(squares, self.reaches), LEAST))
        densities: Matrix = self.neighbours / np.where(nearest, reach, 0.0).sum(axis=1)
        return densities


class LocalOutlierFactor:
    """Local outlier factor on at most 4,000 rows, which all lie in what serves; draws no chance."""

    name: ClassVar[str] = "local_outlier"
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("anomaly",),
        wants_scaling=True,
        cost=12.0,
        most_rows=4_000,
        takes_weights=False,
        unweighted="it compares how dense rows lie, and copies of one row are no density",
    )
    space: ClassVar[tuple[Parameter, ...]] = (Parameter("neighbours", "integer", 5, 100, log=True),)
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = ({"neighbours": 20}, {"neighbours": 50})

    def fit(
        self,
        X: Matrix,
        y: NDArray[Any],  # noqa: ARG002  (nothing is learned from it)
        *,
        task: Task,  # noqa: ARG002
        configuration: Mapping[str, Any],
        weights: Matrix | None = None,
        seed: int = 0,  # noqa: ARG002
        threads: int = 1,  # noqa: ARG002
    ) -> Any:
        """Fits; see `Learner.fit`."""
        refuse_weights(self.name, weights)
        return LocalOutliers(np.array(X, dtype=np.float64), int(configuration.get("neighbours", 20)))
