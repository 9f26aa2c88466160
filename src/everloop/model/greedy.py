"""Greedy ensemble selection: which trials' answers, with which weights, make the best mean.

Starting from nothing the trial is added that makes the mean best, again and again and with replacement, so
that a weight is how often a trial was chosen. On few rows that would learn the rows by heart: then it is
done several times, each with a part of the trials, and the weights are averaged.

Source: Caruana, Niculescu-Mizil, Crew, Ksikes, "Ensemble selection from libraries of models" (ICML 2004).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

STEPS = 24
BAGS = 6
BAGGED_BELOW = 5_000
"""With fewer rows the selection is made several times, each with a part of the trials."""

FEWEST_BAGGED = 8
BAG_SHARE = 0.6
MOST_MEMBERS = 8
LEAST_WEIGHT = 0.03
GAIN = 1e-6


def greedy_weights(
    answers: Sequence[NDArray[np.float64]],
    worth: Callable[[NDArray[np.float64]], float],
    *,
    seed: int = 0,
    most: int = MOST_MEMBERS,
    out_of_time: Callable[[], bool] = lambda: False,
) -> NDArray[np.float64]:
    """Chooses weights for answers.

    Args:
        answers: What each trial said of the same rows, the best trial first.
        worth: Judges a mean of them; more is better.
        seed: Of the draw of parts.
        most: How many weights above 0 at most.
        out_of_time: Asked before each step after the first; true ends with what was chosen so far.

    Returns:
        A weight for each, together 1.

    Example:
        >>> import numpy as np
        >>> truth = np.array([1.0, 2.0, 3.0])
        >>> wrong = [truth + [1, 0, 0], truth - [1, 0, 0]]
        >>> greedy_weights(wrong, lambda mean: -float(((mean - truth) ** 2).sum())).tolist()
        [0.5, 0.5]
    """
    count = len(answers)
    bags = [np.arange(count)]
    if len(answers[0]) < BAGGED_BELOW and count >= FEWEST_BAGGED:
        random = np.random.default_rng(seed)
        size = max(2, round(BAG_SHARE * count))
        bags += [np.union1d([0], random.choice(count, size=size, replace=False)) for _ in range(BAGS - 1)]
    weights = np.zeros(count)
    for number, bag in enumerate(bags):
        if number and out_of_time():
            break
        weights[bag] += _selected([answers[int(place)] for place in bag], worth, out_of_time)
    return _fewer(weights / weights.sum(), most)


def _selected(
    answers: list[NDArray[np.float64]],
    worth: Callable[[NDArray[np.float64]], float],
    out_of_time: Callable[[], bool],
) -> NDArray[np.float64]:
    chosen: list[int] = []
    best_count, best_worth = 0, -np.inf
    total = np.zeros_like(answers[0])
    for step in range(STEPS):
        if step and out_of_time():
            break
        found = [worth((total + one) / (step + 1)) for one in answers]
        place = int(np.argmax(np.nan_to_num(np.array(found), nan=-np.inf)))
        chosen.append(place)
        total = total + answers[place]
        if found[place] > best_worth + GAIN * abs(found[place]):
            best_count, best_worth = step + 1, found[place]
    counts = np.bincount(chosen[: max(1, best_count)], minlength=len(answers)).astype(np.float64)
    return np.asarray(counts / counts.sum())


def _fewer(weights: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Leaves the smallest weights out; the greatest is always kept."""
    order = np.argsort(-weights, kind="stable")
    kept = [place for place in order[:most] if weights[place] >= LEAST_WEIGHT or place == order[0]]
    fewer = np.zeros_like(weights)
    fewer[kept] = weights[kept]
    found: NDArray[Any] = fewer / fewer.sum()
    return found
