"""Features of one entity at one time, from its histories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from everloop.runtime.features.answering import FeatureGroup, Told
from everloop.runtime.features.history import History, unpack
from everloop.runtime.features.places import by_place, history_key, history_prefix
from everloop.runtime.features.stores import MOST_KEY_BYTES, OnlineStore
from everloop.table.feature_joined import JoinedFeature
from everloop.table.labels import label_text


class FeatureValue(NamedTuple):
    """A feature's value, and from what it was made.

    Attributes:
        name: The feature.
        value: In its type: float, int, str, bool, a time in microseconds since 1970, or None.
        events: How many events counted.
        time: When the last of them happened, in microseconds since 1970; None where none counted.
    """

    name: str
    value: Any
    events: int
    time: int | None


class FeatureReader:
    """Reads features from a store; safe to share between threads.

    Args:
        features: What is read.
        store: Where histories are.
    """

    def __init__(self, features: Sequence[JoinedFeature], store: OnlineStore) -> None:
        self.features = tuple(features)
        self._store = store
        self._groups = [
            (place, history_prefix(place), FeatureGroup(group)) for place, group in by_place(features).items()
        ]
        self._empty = {feature.name: feature.meaning.empty for feature in features}
        self.columns = tuple(dict.fromkeys(feature.by for feature in features))

    def read(self, row: Mapping[str, Any], at: int) -> dict[str, Any]:
        """Gives every feature's value.

        Args:
            row: Has the columns that tell entities apart; one that is missing has no events.
            at: The time of the decision, in microseconds since 1970.

        Raises:
            OnlineStoreUnreachable: When the store does not answer.
        """
        values = dict(self._empty)
        for group, history, entity in self._histories(row):
            group.answer(history, entity, at, values)
        return values

    def look(self, row: Mapping[str, Any], at: int) -> list[FeatureValue]:
        """Gives every feature's value with what it was made from, as `read` does without it."""
        values = dict(self._empty)
        told: Told = dict.fromkeys(values, (0, None))
        for group, history, entity in self._histories(row):
            group.answer(history, entity, at, values, told)
        return [FeatureValue(name, value, *told[name]) for name, value in values.items()]

    def _histories(self, row: Mapping[str, Any]) -> Iterator[tuple[FeatureGroup, History, str]]:
        keys, asked = [], []
        for place, prefix, group in self._groups:
            entity = label_text(row.get(place.by))
            if entity is not None:
                key = prefix + entity.encode("utf-8", "surrogatepass")
                keys.append(key if len(key) <= MOST_KEY_BYTES else history_key(place, entity))
                asked.append((group, entity))
        for (group, entity), stored in zip(asked, self._store.read(keys), strict=True):
            if stored is not None:
                yield group, unpack(stored), entity
