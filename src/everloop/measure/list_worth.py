"""What lists of items are worth against what came later.

Example:
    >>> ListWorth({"ann": {"tea": 3.0}}, shown=-0.1).values({"ann": ("milk", "tea")}, ()).tolist()
    [2.8]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from everloop.measure.arrays import Floats
from everloop.measure.recommendation import JUDGED_ITEMS


@dataclass(frozen=True)
class ListWorth:
    """The money of a list: of each of its first ten items that was had later, less what showing costs.

    Attributes:
        earned: An entity's text -> item's text -> the money of its being listed, for all that it had later.
        shown: The money of each item that is shown, mostly negative.
        currency: The money's name.
    """

    earned: Mapping[str, Mapping[str, float]]
    shown: float = 0.0
    currency: str = ""

    @property
    def entities(self) -> tuple[str, ...]:
        """Who had something later, in the order of their texts: that of every array of values."""
        return tuple(sorted(self.earned))

    def values(self, lists: Mapping[str, Sequence[str]], strangers: Sequence[str]) -> Floats:
        """Prices the list of each entity that had something later, (entities,).

        Args:
            lists: An entity's text -> its items' texts, the best first.
            strangers: The list of an entity that has none.
        """
        found = (self.value_of(self.earned[who], lists.get(who, strangers)) for who in self.entities)
        return np.fromiter(found, dtype=np.float64, count=len(self.earned))

    def same_for_all(self, items: Sequence[str]) -> Floats:
        """Prices one list that everyone is shown, (entities,)."""
        return self.values({}, items)

    def value_of(self, had: Mapping[str, float], items: Sequence[str]) -> float:
        """Prices one list for one entity."""
        judged = items[:JUDGED_ITEMS]
        return sum(had.get(item, 0.0) for item in judged) + self.shown * len(judged)

    def best_values(self) -> Floats:
        """What each entity's best list would be worth, (entities,): nothing that does not pay is shown."""
        found = (
            sum(sorted((max(0.0, money + self.shown) for money in had.values()), reverse=True)[:JUDGED_ITEMS])
            for had in (self.earned[who] for who in self.entities)
        )
        return np.fromiter(found, dtype=np.float64, count=len(self.earned))
