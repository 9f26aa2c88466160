"""Features of other sources, joined to requests at decision time, and their events taken in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.core.secret import PREFIXES, Secret
from everloop.runtime.features import FeatureReader, FeatureWriter, OnlineStore, open_store
from everloop.runtime.row_fill import microseconds
from everloop.table.expression.moments import time_of

if TYPE_CHECKING:
    from everloop.runtime.features import Added, Flaw
    from everloop.runtime.service.arms import LoadedArm, LoadedRouting


class FeatureJoin:
    """Joins the features that a version declares, by the row's own entity.

    What a request says itself is taken as it is; what it leaves out is read from the store, as it was
    known at the row's decision time. Without a store every request has to say everything.

    Args:
        address: The online store's address, or a reference to it; None is none.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._store: OnlineStore | None = None
        self._readers: dict[int, tuple[LoadedArm, FeatureReader, tuple[str, ...]]] = {}
        self._writer: tuple[LoadedRouting, FeatureWriter] | None = None

    def close(self) -> None:
        """Lets go of the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    @property
    def stored(self) -> bool:
        """Whether there is a store that knows what a request leaves out."""
        return self._address is not None

    @property
    def over_network(self) -> bool:
        """Whether a reading may take long, and so happens beside the event loop."""
        return self._store is not None and self._store.capabilities.shared_by == "network"

    def join(
        self, loaded: LoadedArm, sent: Mapping[str, Any], row: dict[str, Any], now: int
    ) -> tuple[str, ...]:
        """Puts the features that a request leaves out into its row.

        Args:
            loaded: The version that answers.
            sent: The request's row as it came.
            row: The same in the contract's types; it gets the features.
            now: The time of the decision, where the row does not say it.

        Returns:
            The names of the features that were joined.

        Raises:
            OnlineStoreUnreachable: When the store does not answer.
        """
        features = loaded.package.features.features
        if not features or self._address is None:
            return ()
        missing = [feature.name for feature in features if feature.name not in sent]
        if not missing:
            return ()
        reader, times = self._reader(loaded)
        values = reader.read(row, decision_time(loaded, row, now))
        for name in missing:
            value = values[name]
            row[name] = time_of(value) if value is not None and name in times else value
        return tuple(missing)

    def flaws(
        self, routing: LoadedRouting, source: str, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[Flaw, ...]:
        """Says what is wrong with events, before any is taken.

        Raises:
            NotFound: When no feature reads the source.
        """
        return self._writing(routing).flaws(source, rows)

    async def take(
        self, routing: LoadedRouting, source: str, rows: Sequence[Mapping[str, Any]], now: int
    ) -> Added:
        """Takes events of a source into the store.

        Raises:
            NotFound: When no feature reads the source.
            OnlineStoreUnreachable: When the store does not answer.
        """
        writer = self._writing(routing)
        return await asyncio.to_thread(writer.add, source, rows, now=now)

    def open(self) -> OnlineStore:
        """Gives the store, opened once it is needed."""
        if self._store is None:
            self._store = open_store(revealed(str(self._address)))
        return self._store

    def _reader(self, loaded: LoadedArm) -> tuple[FeatureReader, tuple[str, ...]]:
        found = self._readers.get(id(loaded))
        if found is None or found[0] is not loaded:
            features = loaded.package.features.features
            times = tuple(feature.name for feature in features if feature.type == "time")
            found = (loaded, FeatureReader(features, self.open()), times)
            self._readers = {key: kept for key, kept in self._readers.items() if len(self._readers) < 8}
            self._readers[id(loaded)] = found
        return found[1], found[2]

    def _writing(self, routing: LoadedRouting) -> FeatureWriter:
        """Gives a writer that keeps what any version that serves can ask."""
        if self._writer is None or self._writer[0] is not routing:
            features = routing.champion.package.features
            if routing.challenger is not None:
                features = features.together(routing.challenger.package.features)
            store = self.open() if self._address is not None else open_store("memory:")
            self._writer = (routing, FeatureWriter(features, store))
        return self._writer[1]


def decision_time(loaded: LoadedArm, row: Mapping[str, Any], now: int) -> int:
    """Gives the time of a decision: the row's own where it has it, as in training, else now."""
    column = loaded.package.manifest.time
    moment = row.get(column) if column is not None else None
    return microseconds(moment) if isinstance(moment, datetime) else now


def revealed(address: str) -> str:
    """Gives the address that a reference such as ``env:REDIS_URL`` stands for."""
    if not address.startswith(PREFIXES):
        return address
    return Secret(address).reveal()
