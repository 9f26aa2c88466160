"""The mean of weighted numbers with its standard error, from sums that add up.

Example:
    >>> parts = weighted_mean([1.0, 2.0]).merge(weighted_mean([6.0]))
    >>> parts.estimate
    3.0
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.arrays import Floats, numbers, weights_for


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """Sums of some numbers, or of a part of them. Merging is exact but for rounding, in any order.

    Attributes:
        rows: How many have a weight above 0.
        weight: The sum of the weights.
        total: The sum of number times weight.
        squares: The sum of the squared weights.
        centre: The mean with squared weights, about which `spread` is taken: sums about 0 would cancel out.
        spread: The sum of squared weight times squared distance from `centre`.
    """

    rows: int = 0
    weight: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    centre: float = 0.0
    spread: float = 0.0

    def merge(self, other: WeightedMean) -> WeightedMean:
        """Adds other numbers.

        Source:
            Chan, Golub and LeVeque, The American Statistician 37 (1983).
        """
        if not self.rows or not other.rows:
            return self if self.rows else other
        squares, apart = self.squares + other.squares, other.centre - self.centre
        return WeightedMean(
            self.rows + other.rows,
            self.weight + other.weight,
            self.total + other.total,
            squares,
            self.centre + apart * other.squares / squares,
            self.spread + other.spread + apart * apart * self.squares * (other.squares / squares),
        )

    @property
    def estimate(self) -> float:
        """The weighted mean; NaN with no row."""
        return self.total / self.weight if self.rows else float("nan")

    @property
    def error(self) -> float:
        """Its linearised standard error; infinite with one row, NaN with none.

        Source:
            Cochran, "Sampling Techniques", 1977, section 6.3.
        """
        if self.rows < 2:
            return float("inf") if self.rows else float("nan")
        spread = self.spread + self.squares * (self.centre - self.estimate) ** 2
        return float(np.sqrt(self.rows / (self.rows - 1) * spread)) / self.weight


def weighted_mean(values: ArrayLike, weights: ArrayLike | None = None) -> WeightedMean:
    """Sums up numbers.

    Args:
        values: Shape (n,).
        weights: Shape (n,), at least 0; all 1 when left out.
    """
    sample = numbers(values, "values")
    weight = weights_for(weights, sample.size)
    used = weight > 0
    sample, weight = sample[used], weight[used]
    if not sample.size:
        return WeightedMean()
    squared = weight * weight
    squares = float(squared.sum())
    centre = float(np.dot(squared, sample)) / squares
    return WeightedMean(
        int(sample.size),
        float(weight.sum()),
        float(np.dot(sample, weight)),
        squares,
        centre,
        float(np.dot(squared, (sample - centre) ** 2)),
    )


def weighted_median(values: Floats, weights: Floats) -> float:
    """The value that splits the weight in half, the mean of two where the split falls between them.

    Whole weights give the median of the rows repeated that often.

    Args:
        values: Shape (n,), at least one of a weight above 0.
        weights: Shape (n,).
    """
    values, weights = values[weights > 0], weights[weights > 0]
    if (weights == weights[0]).all():
        return float(np.median(values))
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    places = [np.searchsorted(reached, reached[-1] / 2, side=side) for side in ("left", "right")]
    return float(values[order[places]].mean())


def effective_rows(weights: ArrayLike | None, rows: int) -> float:
    """Gives how many rows of one weight tell as much: Kish's effective number, `rows` without weights."""
    weight = weights_for(weights, rows)
    squares = float(np.dot(weight, weight))
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0
