"""How good lists of recommended items are: which of what came later they name, and how early.

The user says how many items of a list are judged: `recall_at_5` judges five. `LIST_METRICS` knows every such
name, and `read_list_metric` is the one place that reads it.

Example:
    >>> LIST_METRICS["recall_at_1"]([[1, 0], [0, 1]], [1, 1]).tolist()
    [1.0, 0.0]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.tasks import LISTED_ITEMS
from everloop.measure.arrays import Floats

JUDGED_ITEMS = 10
"""So many items of a list are judged where nothing else is said, and so many earn and cost money."""

MOST_JUDGED_ITEMS = 1_000
"""No metric judges more, since so many items are listed to everyone."""

Found = TypeVar("Found")
Other = TypeVar("Other")


def _read(places: int, hits: ArrayLike, relevant: ArrayLike) -> tuple[Floats, Floats]:
    shown = np.asarray(hits, dtype=np.float64).reshape(len(np.asarray(relevant)), -1)[:, :places]
    return shown, np.asarray(relevant, dtype=np.float64)


def recall_values(places: int, hits: ArrayLike, relevant: ArrayLike) -> Floats:
    """The share of what came later that the first items name, (entities,).

    Args:
        places: How many items of a list are judged.
        hits: 1 where the item at that place of the list came later, (entities, places of the list).
        relevant: How many different items came later, (entities,), at least 1.
    """
    shown, wanted = _read(places, hits, relevant)
    values: Floats = shown.sum(axis=1) / wanted
    return values


def ndcg_values(places: int, hits: ArrayLike, relevant: ArrayLike) -> Floats:
    """The gain of the first items, less at later places, as a share of the best list's, (entities,).

    Source:
        Järvelin and Kekäläinen, ACM TOIS 20 (2002), with gains of 1 and the binary logarithm.
    """
    shown, wanted = _read(places, hits, relevant)
    discounts = 1.0 / np.log2(np.arange(2, places + 2))
    best = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(wanted, places).astype(int)]
    values: Floats = (shown * discounts[: shown.shape[1]]).sum(axis=1) / best
    return values


def average_precision_values(places: int, hits: ArrayLike, relevant: ArrayLike) -> Floats:
    """The mean, over the hits that so many places could hold, of the precision at each hit, (entities,)."""
    shown, wanted = _read(places, hits, relevant)
    precision = np.cumsum(shown, axis=1) / np.arange(1, shown.shape[1] + 1)
    values: Floats = (precision * shown).sum(axis=1) / np.minimum(wanted, places)
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


FAMILIES: dict[str, Callable[[int, ArrayLike, ArrayLike], Floats]] = {
    "recall": recall_values,
    "ndcg": ndcg_values,
    "map": average_precision_values,
}
"""What each family of metrics gives every entity; the metric is the mean of it."""

_NAME = re.compile(rf"({'|'.join(FAMILIES)})_at_([1-9][0-9]*)")
_LIKE = re.compile(rf"({'|'.join(FAMILIES)})(?:_at_|@)(?!.*percent)(.*)")


def read_list_metric(name: str) -> tuple[str, int] | None:
    """Reads a name such as `recall_at_5`: the family, and how many items it judges; None for other names."""
    found = _NAME.fullmatch(name)
    if found is None or len(found[2]) > len(str(MOST_JUDGED_ITEMS)) or int(found[2]) > MOST_JUDGED_ITEMS:
        return None
    return found[1], int(found[2])


def list_metric_name(family: str, places: int) -> str:
    """Writes the name that `read_list_metric` reads."""
    return f"{family}_at_{places}"


def list_metric_hint(name: str) -> str | None:
    """Says how a metric of lists is written, where a name that is none looks meant as one."""
    like = _LIKE.fullmatch(name)
    if like is None:
        return None
    meant = f"{like[1]}_at_{like[2]}"
    if read_list_metric(meant) is not None:
        return f"did you mean {meant}?"
    return f"write {like[1]}_at_K, K a whole number from 1 to {MOST_JUDGED_ITEMS:,}: {like[1]}_at_5"


class ListMetrics(dict[str, Found]):
    """A table that has an entry for every metric of lists: those of ten items, and any other when asked for.

    Args:
        make: From a family and how many items are judged to the entry.
        others: Entries of other names.
    """

    def __init__(self, make: Callable[[str, int], Found], others: Mapping[str, Found] | None = None) -> None:
        super().__init__(others or {})
        self._make = make
        usual = ((family, JUDGED_ITEMS) for family in FAMILIES)
        self.update({list_metric_name(*one): make(*one) for one in usual})

    def __missing__(self, name: str) -> Found:
        read = read_list_metric(name)
        if read is None:
            raise KeyError(name)
        return self._make(*read)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and read_list_metric(name) is not None)

    @overload
    def get(self, name: str, default: None = None, /) -> Found | None: ...
    @overload
    def get(self, name: str, default: Found, /) -> Found: ...
    @overload
    def get(self, name: str, default: Other, /) -> Found | Other: ...
    def get(self, name: str, default: Any = None, /) -> Any:
        """Gives the entry, of metrics that are made when asked for too; the default where there is none."""
        try:
            return self[name]
        except KeyError:
            return default


LIST_METRICS: ListMetrics[Callable[[ArrayLike, ArrayLike], Floats]] = ListMetrics(
    lambda family, places: partial(FAMILIES[family], places)
)
"""Each metric's number for every entity; the metric is their mean."""


def list_metrics_among(names: Iterable[str]) -> tuple[str, ...]:
    """Gives the metrics of lists that are measured: the usual ones, then those that are named beside them."""
    return tuple(dict.fromkeys([*LIST_METRICS, *(name for name in names if name in LIST_METRICS)]))


def longest_list(names: Iterable[str]) -> int:
    """Gives how many items are listed, so that every metric that is named can be told: 20 at least."""
    read = (read_list_metric(name) for name in names)
    return max([LISTED_ITEMS, *(places for _, places in filter(None, read))])


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
