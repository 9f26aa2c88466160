"""The decisions that are worth most where no threshold makes them: between classes, and of a number.

Example:
    >>> from everloop.measure.worth import Worth
    >>> worth = Worth("multiclass", prices=[[1, 0], [-20, 1]], size=4)
    >>> choose_classes([[0.9, 0.1]] * 4, [0, 0, 0, 1], worth).matrix
    ((1.0, 0.0), (-20.0, 1.0))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault
from everloop.measure.arrays import Floats, matrix, numbers, same_length
from everloop.measure.intervals import Interval, mean_interval
from everloop.measure.worth import Worth

_FIRST_POINTS = 41
_FINE_POINTS = 17
_ROUNDS = 3
_FIT_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class ClassChoice:
    """How to decide between classes by their chances.

    Attributes:
        matrix: Actual x decided; the decision is the class whose expected worth, ``chances @ matrix``, is
            greatest. Empty where the likeliest class is decided.
        interval: The mean value of the decisions on the rows given.
        reason: Why so, in a sentence.
    """

    matrix: tuple[tuple[float, ...], ...]
    interval: Interval
    reason: str


def choose_classes(chances: ArrayLike, actual: ArrayLike, worth: Worth) -> ClassChoice:
    """Chooses how to decide between classes: by expected worth, unless the rows say otherwise.

    The expected worth of a decision takes the mean prices of the rows. Where the likeliest class, or
    always the same class, earned more on the rows given (chances that are not honest can do that), so is
    decided instead.

    Args:
        chances: Of rows that their model had not seen, shape (n, k).
        actual: Class positions, shape (n,).
        worth: What decisions on them are worth.

    Raises:
        DataFault: When there is no row, or the arrays do not fit each other.
    """
    given, truth = matrix(chances, "chances"), numbers(actual, "actuals")
    same_length(len(given), actuals=truth)
    if not len(given):
        raise DataFault("There is no row to choose decisions on; give chances with their actuals.")
    mean = worth.prices.mean(axis=0)
    size = mean.shape[0]
    ways: list[tuple[str, Floats | None]] = [
        ("The class of the greatest expected worth is decided.", mean),
        ("The likeliest class is decided, which earned more than the greatest expected worth.", None),
    ]
    for place in range(size):
        always = np.zeros((size, size))
        always[:, place] = 1.0
        ways.append(("Always the same class is decided: no use of the chances earned more.", always))
    earned = [worth.values(truth, decide_class(given, way)) for _, way in ways]
    best = int(np.argmax([values.mean() for values in earned]))
    reason, way = ways[best]
    rows = () if way is None else tuple(tuple(float(price) for price in row) for row in way)
    return ClassChoice(rows, mean_interval(earned[best]), reason)


def decide_class(chances: Floats, prices: ArrayLike | None) -> Floats:
    """Decides the class of the greatest expected worth; of equals the first. Without prices the likeliest.

    Args:
        chances: Shape (n, k).
        prices: Actual x decided, shape (k, k).

    Returns:
        Class positions, shape (n,).
    """
    expected = chances if prices is None else chances @ np.asarray(prices, dtype=np.float64)
    return np.asarray(expected.argmax(axis=1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class NumberChoice:
    """How a predicted number is moved so that its errors cost least: ``offset + scale * number``.

    Attributes:
        scale: 1.0 where numbers are moved by an amount.
        offset: 0.0 where they are moved by a factor.
        interval: The mean value of the moved numbers on the rows given.
        gain: What the move adds to it.
        reason: Why so, in a sentence.
    """

    scale: float
    offset: float
    interval: Interval
    gain: float
    reason: str


def choose_move(predicted: ArrayLike, actual: ArrayLike, worth: Worth) -> NumberChoice:
    """Chooses by how much predicted numbers are moved: the amount or the factor that earns most.

    Where a price is linear in the error, the best amount is a quantile of the errors (Koenker and
    Bassett, Econometrica 1978: under / (under + over)); amounts are searched between the errors'
    quantiles, factors between those of actual over predicted, finer around the best. It is fitted on at
    most 20,000 rows and kept only where it adds more than one standard error.

    Args:
        predicted: Numbers of rows that their model had not seen, shape (n,).
        actual: Their actuals, shape (n,).
        worth: What a predicted number is worth.

    Raises:
        DataFault: When there is no row, or the arrays do not fit each other.
    """
    given, truth = numbers(predicted, "predictions"), numbers(actual, "actuals")
    same_length(given.size, actuals=truth)
    if not given.size:
        raise DataFault("There is no row to choose decisions on; give predictions with their actuals.")
    if given.size > _FIT_ROWS:
        rows = np.linspace(0, given.size - 1, _FIT_ROWS).astype(np.int64)
        given, truth, worth = given[rows], truth[rows], worth.only(rows)
    plain = worth.values(truth, given)
    offset = _search(truth - given, lambda amount: worth.values(truth, given + amount), still=0.0)
    moved = [(1.0, offset)]
    if (given > 0).all() and (truth >= 0).all():
        factor = _search(truth / given, lambda factor: worth.values(truth, given * factor), still=1.0)
        moved.append((factor, 0.0))
    earned = [worth.values(truth, add + times * given) for times, add in moved]
    best = int(np.argmax([values.mean() for values in earned]))
    difference = earned[best] - plain
    error = float(difference.std()) / np.sqrt(given.size)
    if not difference.mean() > error:
        reason = "Numbers are given as predicted: to move them would not earn more."
        return NumberChoice(1.0, 0.0, mean_interval(plain), 0.0, reason)
    scale, offset = moved[best]
    how = f"by {offset:+.4g}" if scale == 1.0 else f"by the factor {scale:.4g}"
    reason = f"Predicted numbers are moved {how}, since errors up and down do not cost the same."
    return NumberChoice(scale, offset, mean_interval(earned[best]), float(difference.mean()), reason)


def _search(moves: Floats, earn: Callable[[float], Floats], *, still: float) -> float:
    """Finds the best move between the quantiles of moves that would have been right."""
    grid = np.unique(np.append(np.quantile(moves, np.linspace(0, 1, _FIRST_POINTS)), still))
    best = still
    for _ in range(_ROUNDS):
        means = np.array([earn(float(move)).mean() for move in grid])
        place = int(means.argmax())
        best = float(grid[place])
        low, high = grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)]
        grid = np.unique(np.append(np.linspace(low, high, _FINE_POINTS), best))
    return best
