"""Decisions priced in money.

Prices are four numbers for each row, in the order of `OUTCOMES`: what the decision is worth when it is a
true positive, a false positive, a false negative, a true negative.

Source:
    Elkan, "The foundations of cost-sensitive learning", IJCAI 2001, with prices that differ by row.

Example:
    >>> decision_values([1, 0, 1], [1, 1, 0], (10, -5, -20, 0)).tolist()
    [10.0, -5.0, -20.0]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everloop.core.errors import DataFault
from everloop.measure.arrays import Floats, binary, numbers, same_length
from everloop.measure.intervals import Interval, mean_interval

MOST_MONEY = 1e100
"""An amount beyond it is no price."""

OUTCOMES = ("true_positive", "false_positive", "false_negative", "true_negative")


def decision_values(actual: ArrayLike, decision: ArrayLike, prices: ArrayLike) -> Floats:
    """Prices each decision by what really happened.

    Args:
        actual: 0/1, shape (n,).
        decision: 0/1, shape (n,).
        prices: Shape (n, 4), or (4,) when they are the same for all rows; see `OUTCOMES`.

    Returns:
        The money of each decision, shape (n,).

    Raises:
        DataFault: When the arrays do not fit each other, or a price is missing.
    """
    when_positive, when_negative = values_by_decision(actual, prices)
    chosen = binary(decision, "decisions")
    same_length(len(when_positive), decisions=chosen)
    return np.where(chosen, when_positive, when_negative)


def values_by_decision(actual: ArrayLike, prices: ArrayLike) -> tuple[Floats, Floats]:
    """Prices both decisions that could be made on each row: positive, and negative; each of shape (n,)."""
    truth = binary(actual, "actuals")
    price = prices_for(prices, truth.size)
    return np.where(truth, price[:, 0], price[:, 1]), np.where(truth, price[:, 2], price[:, 3])


def expected_values(chance: ArrayLike, decision: ArrayLike, prices: ArrayLike) -> Floats:
    """Prices each decision by the chance that its row is positive, its actual not being known.

    Args:
        chance: The calibrated chance of the positive class, shape (n,).
        decision: 0/1, shape (n,).
        prices: Shape (n, 4) or (4,).

    Returns:
        The expected money of each decision, shape (n,).
    """
    p = numbers(chance, "chances")
    chosen = binary(decision, "decisions")
    same_length(p.size, decisions=chosen)
    price = prices_for(prices, p.size)
    when_positive = p * price[:, 0] + (1 - p) * price[:, 1]
    when_negative = p * price[:, 2] + (1 - p) * price[:, 3]
    return np.where(chosen, when_positive, when_negative)


@dataclass(frozen=True, slots=True)
class ConstantValues:
    """What a decision is worth when all are the same."""

    always_positive: float
    always_negative: float

    @property
    def best(self) -> float:
        """The better of the two."""
        return max(self.always_positive, self.always_negative)


def constant_values(actual: ArrayLike, prices: ArrayLike) -> ConstantValues:
    """The mean value of always deciding positive and of always deciding negative; NaN with no rows."""
    when_positive, when_negative = values_by_decision(actual, prices)
    return ConstantValues(_mean(when_positive), _mean(when_negative))


def perfect_value(actual: ArrayLike, prices: ArrayLike) -> float:
    """The mean value when each row gets the better of the two decisions, its actual being known.

    No model can earn more on these rows. NaN with no rows.
    """
    return _mean(np.maximum(*values_by_decision(actual, prices)))


def break_even_rate(prices: ArrayLike) -> float:
    """The chance of the positive class at which both decisions are worth the same.

    At mean prices: p TP + (1 - p) FP = p FN + (1 - p) TN. With prices that are the same for all rows it
    is the threshold on a calibrated score.

    Args:
        prices: Shape (4,) or (n, 4), which are averaged.

    Returns:
        A number between 0 and 1, or NaN when one decision is better at every chance.

    Source:
        Elkan (2001), equation 2.
    """
    mean = np.atleast_2d(np.asarray(prices, dtype=np.float64)).mean(axis=0)
    true_positive, false_positive, false_negative, true_negative = (float(price) for price in mean)
    spared, gained = true_negative - false_positive, true_positive - false_negative
    if spared + gained == 0:
        return float("nan")
    rate = spared / (spared + gained)
    return rate if 0 <= rate <= 1 else float("nan")


def unpriced(money: Floats) -> NDArray[np.bool_]:
    """Says which amounts are missing, infinite or so large that sums of their squares are: of its shape."""
    return ~(np.abs(money) <= MOST_MONEY)


def prices_for(prices: ArrayLike, size: int) -> Floats:
    """Reads prices as an array of shape (n, 4).

    Raises:
        DataFault: When they have another shape or one is missing, infinite or beyond 1e100.
    """
    try:
        array = np.asarray(prices, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataFault("The prices are not numbers; four numbers for each row were expected.") from None
    if array.shape == (4,):
        array = np.broadcast_to(array, (size, 4))
    if array.shape != (size, 4):
        raise DataFault(
            f"The prices have shape {array.shape}; ({size}, 4) was expected: {', '.join(OUTCOMES)}."
        )
    unknown = unpriced(array).any(axis=1)
    if unknown.any():
        raise DataFault(
            f"The prices of {np.count_nonzero(unknown)} of {size} rows are missing, infinite or beyond "
            "1e100; each row needs four numbers.",
            hint="use coalesce(..., 0) in the expressions of goal.value",
        )
    return array


def mean_value(
    actual: ArrayLike, decision: ArrayLike, prices: ArrayLike, *, confidence: float = 0.95
) -> Interval:
    """The mean value of the decisions with its interval."""
    return mean_interval(decision_values(actual, decision, prices), confidence=confidence)


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")
