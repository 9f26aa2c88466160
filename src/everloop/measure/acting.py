"""What it is worth to act on some clusters of rows and not on others.

Example:
    >>> acting = Acting([4.0, 2.0, -1.0, -5.0], today=[1, 1, 1, 1])
    >>> choose_acted(acting.money, [0, 0, 1, 1], clusters=2)
    (0,)
    >>> acting.values([1, 1, 0, 0]).tolist(), acting.today_values.tolist()
    ([4.0, 2.0, 0.0, 0.0], [4.0, 2.0, -1.0, -5.0])
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.arrays import Floats, numbers, same_length, weights_for


@dataclass(frozen=True)
class Acting:
    """The money of acting on each row; not acting is worth nothing.

    Attributes:
        money: Of acting, (n,).
        today: 1 where a row is acted on without a model, (n,).
        over: What is done without one, in words.
        currency: The money's name.
    """

    money: ArrayLike
    today: ArrayLike
    over: str = ""
    currency: str = ""

    def values(self, acted: ArrayLike) -> Floats:
        """Prices each row by whether it is acted on, (n,)."""
        money, chosen = numbers(self.money, "prices"), numbers(acted, "decisions")
        same_length(len(money), decisions=chosen)
        return np.where(chosen > 0, money, 0.0)

    @property
    def today_values(self) -> Floats:
        """What is done today is worth on each row, (n,)."""
        return self.values(self.today)

    @property
    def best_values(self) -> Floats:
        """What each row is worth to one who knows its price beforehand, (n,)."""
        return np.maximum(numbers(self.money, "prices"), 0.0)


def choose_acted(
    money: ArrayLike,
    labels: ArrayLike,
    *,
    clusters: int,
    most: float = 1.0,
    weights: ArrayLike | None = None,
) -> tuple[int, ...]:
    """Chooses the clusters to act on: those that pay on average, the best first, within a share of all rows.

    Args:
        money: What acting on each row is worth, (n,).
        labels: Its cluster, from 0 on, (n,).
        clusters: How many there are.
        most: The largest share of the rows that may be acted on; a cluster that does not fit is passed over.
        weights: What each row counts, (n,); all 1 when left out.

    Returns:
        Their positions, in rising order.
    """
    worth, codes = numbers(money, "prices"), np.asarray(labels, dtype=np.int64)
    same_length(len(worth), labels=codes)
    weight = weights_for(weights, len(worth))
    sizes = np.bincount(codes, weight, minlength=clusters)
    sums = np.bincount(codes, weight * worth, minlength=clusters)
    total = max(float(weight.sum()), np.finfo(np.float64).tiny)
    means = np.divide(sums, sizes, out=np.zeros(clusters), where=sizes > 0)
    chosen: list[int] = []
    taken = 0.0
    for place in np.argsort(-means, kind="stable"):
        share = sizes[place] / total
        if means[place] > 0 and taken + share <= most + 1e-12:
            chosen.append(int(place))
            taken += share
    return tuple(sorted(chosen))
