"""Facts of a column of numbers, from its values in order: one sort gives them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray


def in_order(column: pl.Series) -> NDArray[np.float64]:
    """Gives the finite values of a column of numbers, from the least to the greatest."""
    import polars as pl

    numbers = column.cast(pl.Float64).drop_nulls()
    numbers = numbers.filter(numbers.is_finite())
    return np.sort(numbers.to_numpy())


def distinct(ordered: NDArray[np.float64]) -> int:
    """Counts the different values, exactly."""
    return int((ordered[1:] != ordered[:-1]).sum()) + 1 if len(ordered) else 0


def quantile(ordered: NDArray[np.float64], share: float) -> float:
    """Gives a quantile, linear between the two nearest values; NaN where there is none."""
    if not len(ordered):
        return float("nan")
    place = share * (len(ordered) - 1)
    below = int(place)
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    return low + (high - low) * (place - below)


def histogram(ordered: NDArray[np.float64], bins: int) -> tuple[int, ...]:
    """Counts values in bins of equal width from the least to the greatest; empty where there is none."""
    if not len(ordered):
        return ()
    if ordered[0] == ordered[-1]:
        return (len(ordered), *[0] * (bins - 1))
    steps = np.arange(1, bins) / bins
    edges = ordered[0] * (1.0 - steps) + ordered[-1] * steps
    inner = np.searchsorted(ordered, edges, "left")
    return tuple(int(count) for count in np.diff(np.concatenate(([0], inner, [len(ordered)]))))
