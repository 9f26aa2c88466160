"""What decisions on given rows are worth, whatever the task: the one truth of search, gate and monitor.

A binary decision has four prices (`everloop.measure.pricing`), a decision between several classes a
matrix of them, and a predicted number a price for its error.

Example:
    >>> Worth("multiclass", prices=[[5, -1], [-9, 2]], size=2).values([0, 1], [1, 1]).tolist()
    [-1.0, 2.0]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everloop.core.errors import DataFault
from everloop.measure.arrays import Floats, Integers, numbers, same_length
from everloop.measure.pricing import decision_values, prices_for, unpriced

ErrorPrice = Callable[[Integers, Floats, Floats], Floats]
"""Of rows (their positions), actual numbers and predicted ones: the money of each."""


@dataclass(frozen=True)
class Worth:
    """The money that each decision on each of some rows would be.

    Attributes:
        task: `binary`, `multiclass`, or any whose decisions are priced by `errors`, such as `regression`.
        prices: Binary: shape (n, 4), see `measure.pricing.OUTCOMES`. Multiclass: (n, k, k), the actual
            class, then the decided one; (k, k) where all rows have the same. None for a regression.
        errors: Of other tasks: prices what was decided, as a number, by the actual one.
        size: How many rows there are.
        currency: The money's name.

    Raises:
        DataFault: When prices do not fit the rows, or one is missing.
    """

    task: str
    prices: Any = None
    errors: ErrorPrice | None = None
    size: int = 0
    currency: str = ""
    _rows: Integers = field(default_factory=lambda: np.empty(0, np.int64), repr=False)

    def __post_init__(self) -> None:
        if self.task == "binary":
            object.__setattr__(self, "prices", prices_for(self.prices, self.size))
        elif self.task == "multiclass":
            object.__setattr__(self, "prices", _matrices(self.prices, self.size))
        if len(self._rows) != self.size:
            object.__setattr__(self, "_rows", np.arange(self.size, dtype=np.int64))

    @property
    def four(self) -> Floats | None:
        """The four prices of each row, (n, 4), where the task is binary."""
        return self.prices if self.task == "binary" else None

    @property
    def spread(self) -> Floats | None:
        """How far two decisions on each row can lie apart in money, whatever happens, (n,); None: any far."""
        if self.task == "binary":
            true_positive, false_positive, false_negative, true_negative = self.prices.T
            apart = abs(true_positive - false_negative), abs(false_positive - true_negative)
            return np.asarray(np.maximum(*apart))
        if self.prices is None:
            return None
        return np.asarray((self.prices.max(axis=2) - self.prices.min(axis=2)).max(axis=1))

    @property
    def extent(self) -> Floats | None:
        """The largest amount that a decision on each row can bring or cost, (n,); None: any."""
        if self.prices is None:
            return None
        return (
            np.asarray(np.abs(self.prices).reshape(self.size, -1).max(axis=1)) if self.size else np.empty(0)
        )

    def values(self, actual: ArrayLike, decision: ArrayLike) -> Floats:
        """Prices each decision by what really happened.

        Args:
            actual: 0/1, class positions or numbers, shape (n,).
            decision: The same of what was decided.

        Returns:
            Money, shape (n,).
        """
        if self.task == "binary":
            return decision_values(actual, decision, self.prices)
        truth, chosen = numbers(actual, "actuals"), numbers(decision, "decisions")
        same_length(self.size, actuals=truth, decisions=chosen)
        if self.errors is not None:
            return _finite(self.errors(self._rows, truth, chosen))
        rows = np.arange(self.size)
        return np.asarray(self.prices[rows, truth.astype(np.int64), chosen.astype(np.int64)])

    def best_values(self, actual: ArrayLike) -> Floats:
        """What each row is worth when it gets the best of all decisions, its actual being known, (n,).

        Of a predicted number the best is taken to be the actual one.
        """
        truth = numbers(actual, "actuals")
        same_length(self.size, actuals=truth)
        if self.errors is not None:
            return self.values(truth, truth)
        if self.task == "binary":
            both = [self.values(truth, np.full(self.size, float(decided))) for decided in (0, 1)]
            return np.maximum(*both)
        of_actual: Floats = self.prices[np.arange(self.size), truth.astype(np.int64)]
        return np.asarray(of_actual.max(axis=1)) if self.size else np.empty(0)

    def weighed(self, counts: ArrayLike) -> Worth:
        """The same with the money of each row times what the row counts, (n,), at least 0.

        With counts of the mean 1 a plain mean is then the weighted one.
        """
        count = numbers(counts, "weights")
        same_length(self.size, weights=count)
        if self.prices is not None:
            return replace(self, prices=self.prices * count.reshape(-1, *[1] * (self.prices.ndim - 1)))
        of_row = np.zeros(int(self._rows.max(initial=-1)) + 1)
        of_row[self._rows] = count
        priced = self.errors
        assert priced is not None  # noqa: S101  (one of the two is there)
        return replace(self, errors=lambda rows, actual, chosen: of_row[rows] * priced(rows, actual, chosen))

    def only(self, rows: NDArray[Any]) -> Worth:
        """The same for some of the rows: a mask, (n,), or positions."""
        kept = np.arange(self.size)[rows]
        prices = None if self.prices is None else self.prices[kept]
        return replace(self, prices=prices, size=len(kept), _rows=self._rows[kept])


def _matrices(prices: ArrayLike, size: int) -> Floats:
    array = np.asarray(prices, dtype=np.float64)
    if array.ndim == 2:
        array = np.broadcast_to(array, (size, *array.shape))
    if array.ndim != 3 or array.shape[0] != size or array.shape[1] != array.shape[2]:
        raise DataFault(f"The prices have shape {array.shape}; ({size}, k, k) was expected for k classes.")
    return _finite(array)


def _finite(array: Floats) -> Floats:
    missing = int(unpriced(array).reshape(len(array), -1).any(axis=1).sum())
    if missing:
        raise DataFault(
            f"The prices of {missing} of {len(array)} rows are missing, infinite or beyond 1e100; "
            "a number was expected.",
            hint="use coalesce(..., 0) in the expressions of goal.value",
        )
    return array
