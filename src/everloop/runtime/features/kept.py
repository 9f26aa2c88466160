"""What an online store was filled for, kept in it: pushing and following need no source to be read."""

from __future__ import annotations

from everloop.core.errors import NotFound
from everloop.runtime.features.definitions import FeatureSet
from everloop.runtime.features.places import DEFINITIONS_KEY
from everloop.runtime.features.stores import OnlineStore


def keep_definitions(store: OnlineStore, features: FeatureSet) -> None:
    """Keeps what the store holds events for; features of other sources stay as they are."""

    def change(old: list[bytes | None]) -> list[bytes | None]:
        if old[0] is None:
            return [features.to_json()]
        before = FeatureSet.from_json(old[0])
        others = tuple(one for one in before.features if one.source not in features.sources)
        sources = {**before.sources, **features.sources}
        return [FeatureSet((*others, *features.features), sources).to_json()]

    store.update([DEFINITIONS_KEY], change)


def kept_definitions(store: OnlineStore) -> FeatureSet:
    """Gives what the store holds events for.

    Raises:
        NotFound: When it was never filled.
    """
    (stored,) = store.read([DEFINITIONS_KEY])
    if stored is None:
        raise NotFound("The online store was never filled.", hint="everloop features materialize")
    return FeatureSet.from_json(stored)
