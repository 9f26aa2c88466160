"""Weights for methods that know rows alone: each row as often as it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def repeated(X: NDArray[np.float64], weights: NDArray[np.float64] | None, most: int) -> NDArray[np.float64]:
    """Gives each row as often as it counts beside the row that counts least, copies beside each other.

    Where weights are whole multiples of the least these are exactly the repeated rows; otherwise a row is
    there once more or once less than its share, as even steps through the sum of the weights fall.

    Args:
        X: Rows, (n, width).
        weights: One for each, at least one above 0; None leaves the rows as they are.
        most: So many rows are given at most, or as many as there are: then some that count little are left
            out, as the same steps fall.

    Returns:
        (m, width).

    Source:
        Madow, "On the Theory of Systematic Sampling, II", Annals of Mathematical Statistics 20 (1949).

    Example:
        >>> repeated(np.array([[1.0], [2.0], [3.0]]), np.array([0.5, 0.0, 1.0]), 10).ravel().tolist()
        [1.0, 3.0, 3.0]
    """
    if weights is None:
        return X
    reached = np.cumsum(weights)
    size = max(1, round(min(reached[-1] / weights[weights > 0].min(), max(len(X), most))))
    steps = (np.arange(size) + 0.5) * (reached[-1] / size)
    rows: NDArray[np.float64] = X[np.searchsorted(reached, steps)]
    return rows
