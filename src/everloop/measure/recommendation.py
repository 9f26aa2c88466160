"""How good lists of recommended items are: which of what came later they name, and how early."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.arrays import Floats

JUDGED_ITEMS = 10
"""So many items of a list are judged."""


def _read(hits: ArrayLike, relevant: ArrayLike) -> tuple[Floats, Floats]:
    shown = np.asarray(hits, dtype=np.float64).reshape(len(np.asarray(relevant)), -1)[:, :JUDGED_ITEMS]
    return shown, np.asarray(relevant, dtype=np.float64)


def recall_values(hits: ArrayLike, relevant: ArrayLike) -> Floats:
    """The share of what came later that the first ten items name, (entities,).

    Args:
        hits: 1 where the item at that place of the list came later, (entities, places).
        relevant: How many different items came later, (entities,), at least 1.
    """
    shown, wanted = _read(hits, relevant)
    values: Floats = shown.sum(axis=1) / wanted
    return values


def ndcg_values(hits: ArrayLike, relevant: ArrayLike) -> Floats:
    """The gain of the first ten items, less at later places, as a share of the best list's, (entities,).

    Source:
        Järvelin and Kekäläinen, ACM TOIS 20 (2002), with gains of 1 and the binary logarithm.
    """
    shown, wanted = _read(hits, relevant)
    discounts = 1.0 / np.log2(np.arange(2, JUDGED_ITEMS + 2))
    best = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(wanted, JUDGED_ITEMS).astype(int)]
    values: Floats = (shown * discounts[: shown.shape[1]]).sum(axis=1) / best
    return values


def average_precision_values(hits: ArrayLike, relevant: ArrayLike) -> Floats:
    """The mean, over the hits that ten places could hold, of the precision at each hit, (entities,)."""
    shown, wanted = _read(hits, relevant)
    places = np.arange(1, shown.shape[1] + 1)
    precision = np.cumsum(shown, axis=1) / places
    values: Floats = (precision * shown).sum(axis=1) / np.minimum(wanted, JUDGED_ITEMS)
    return values


def mean_of(
    values: Callable[[ArrayLike, ArrayLike], Floats],
) -> Callable[[ArrayLike, ArrayLike, Floats], float]:
    """Gives the metric that is the weighted mean over entities; NaN with none."""

    def measure(hits: ArrayLike, relevant: ArrayLike, weights: Floats) -> float:
        if weights.sum() <= 0:
            return float("nan")
        return float(np.average(values(hits, relevant), weights=weights))

    return measure


VALUES: dict[str, Callable[[ArrayLike, ArrayLike], Floats]] = {
    "recall_at_10": recall_values,
    "ndcg_at_10": ndcg_values,
    "map_at_10": average_precision_values,
}
"""Each metric's number for every entity; the metric is their mean."""


def held(
    later: Mapping[str, Collection[str]],
    lists: Mapping[str, Sequence[str]],
    strangers: Sequence[str],
) -> tuple[Floats, Floats]:
    """Holds lists against what came later.

    Args:
        later: Entity -> the different items that it had later, at least one.
        lists: Entity -> its items, the best first; all of one length.
        strangers: The list of an entity that has none.

    Returns:
        1 where the item at a place came later, (entities, places), and how many came, (entities,).
    """
    hits = [[float(one in wanted) for one in lists.get(who, strangers)] for who, wanted in later.items()]
    relevant = np.array([float(len(wanted)) for wanted in later.values()])
    return np.array(hits).reshape(len(relevant), -1), relevant
