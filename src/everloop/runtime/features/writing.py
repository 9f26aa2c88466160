"""Events into histories: pushed, followed, or read from a source again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from everloop.core.errors import NotFound
from everloop.runtime.features.definitions import FeatureSet
from everloop.runtime.features.history import NO_TIME, Retention, StoredEvent, add, pack, unpack
from everloop.runtime.features.incoming import Flaw, FlawedField, IncomingEvent, RowReader
from everloop.runtime.features.places import (
    Place,
    by_place,
    column_types,
    history_key,
    history_prefix,
    position_key,
)
from everloop.runtime.features.stores import OnlineStore
from everloop.table.feature_joined import JoinedFeature

# How far back a decision may lie from the newest event: its windows must still be whole.
SLACK_US = 86_400_000_000
_MOST_ENTITIES = 2000


@dataclass(frozen=True)
class Added:
    """What came of some rows.

    Attributes:
        events: How many were taken.
        passed_over: How many count for no feature: without a time, or without any entity.
        flaws: What is wrong with the rows that were not taken.
    """

    events: int = 0
    passed_over: int = 0
    flaws: tuple[Flaw, ...] = ()


@dataclass(frozen=True)
class _Histories:
    """How the histories of one place are kept."""

    place: Place
    columns: tuple[str, ...]
    retention: Retention


@dataclass(frozen=True)
class _Inflow:
    """How one source's rows become events, and where they go."""

    reader: RowReader
    histories: tuple[_Histories, ...]


@dataclass
class _Batch:
    """Events on their way into one transaction."""

    histories: dict[bytes, _Histories] = field(default_factory=dict)
    events: dict[bytes, list[StoredEvent]] = field(default_factory=dict)


class FeatureWriter:
    """Writes events into a store; safe to share between threads.

    Args:
        features: What is to be read from it.
        store: Where histories are.
        slack_us: How far back a decision may lie from the newest event, in microseconds.
    """

    def __init__(self, features: FeatureSet, store: OnlineStore, *, slack_us: int = SLACK_US) -> None:
        self._store = store
        groups = by_place(features.features)
        self._inflows = {
            name: _inflow(
                features, name, {p: group for p, group in groups.items() if p.source == name}, slack_us
            )
            for name in dict.fromkeys(feature.source for feature in features.features)
        }

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources whose events are kept."""
        return tuple(self._inflows)

    def add(
        self,
        source: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        now: int,
        position: bytes | None = None,
        again: bool = False,
    ) -> Added:
        """Takes rows of a source; those that are flawed are left out and named.

        Args:
            source: The source's name.
            rows: Column to value, in any order. A row with a key that was taken before changes nothing.
            now: The time, in microseconds since 1970: nothing is forgotten because of a row of the future.
            position: How far the source has been followed with them, kept in the same transaction.
            again: Whether the rows are read from a source whose events may have been pushed before; one
                that looks the same is then taken once.

        Raises:
            NotFound: When no feature reads the source.
            OnlineStoreUnreachable: When the store does not answer.
        """
        inflow = self._inflow(source)
        events, passed_over, flaws = _read_rows(inflow.reader, rows)
        batch, placed = _Batch(), 0
        for event in events:
            placed += _place(batch, inflow, event)
        self._commit(batch, source, position, now, again=again)
        return Added(placed, passed_over + len(events) - placed, tuple(flaws))

    def flaws(self, source: str, rows: Sequence[Mapping[str, Any]]) -> tuple[Flaw, ...]:
        """Says what is wrong with rows, without taking any.

        Raises:
            NotFound: When no feature reads the source.
        """
        return tuple(_read_rows(self._inflow(source).reader, rows)[2])

    def position(self, source: str) -> bytes | None:
        """Gives how far a source has been followed."""
        return self._store.read([position_key(source)])[0]

    def forget(self, source: str) -> int:
        """Removes every history of a source, and how far it was followed; gives their number."""
        keys = [
            key
            for one in self._inflow(source).histories
            for key in self._store.keys(history_prefix(one.place))
        ]
        for part in _parts([*keys, position_key(source)]):
            self._store.update(part, lambda old: [None] * len(old))
        return len(keys)

    def _inflow(self, source: str) -> _Inflow:
        if source not in self._inflows:
            raise NotFound(
                f"No feature reads the source {source!r}; features read {', '.join(self._inflows) or 'none'}."
            )
        return self._inflows[source]

    def _commit(self, batch: _Batch, source: str, position: bytes | None, now: int, *, again: bool) -> None:
        """Writes a batch; where it has a position, in one transaction."""
        parts = _parts(list(batch.events)) if position is None else [list(batch.events)]
        for part in parts:
            keys = part if position is None else [*part, position_key(source)]

            def change(old: list[bytes | None], part: list[bytes] = part) -> list[bytes | None]:
                new: list[bytes | None] = [
                    _changed(batch.histories[key], stored, batch.events[key], now, again=again)
                    for key, stored in zip(part, old, strict=False)
                ]
                return new if position is None else [*new, position]

            if keys:
                self._store.update(keys, change)


def _inflow(
    features: FeatureSet, source: str, groups: Mapping[Place, list[JoinedFeature]], slack_us: int
) -> _Inflow:
    events = features.sources[source]
    everything = [feature for group in groups.values() for feature in group]
    histories = []
    for place, group in groups.items():
        reaches = [feature.span_us for feature in group if feature.span_us is not None]
        endless = len(reaches) < len(group)
        # A version may take back the last event, and the one before it is the last again.
        reach = None if endless and events.key else max(reaches, default=0)
        columns = tuple(sorted(column_types(group)))
        histories.append(_Histories(place, columns, Retention(reach, slack_us, endless)))
    reader = RowReader(events, tuple(dict.fromkeys(place.by for place in groups)), column_types(everything))
    return _Inflow(reader, tuple(histories))


def _read_rows(
    reader: RowReader, rows: Iterable[Mapping[str, Any]]
) -> tuple[list[IncomingEvent], int, list[Flaw]]:
    events, passed_over, flaws = [], 0, []
    for number, row in enumerate(rows):
        try:
            event = reader.read(row)
        except FlawedField as flaw:
            flaws.append(Flaw(number, flaw.field, flaw.expected, flaw.type))
            continue
        if event is None:
            passed_over += 1
        else:
            events.append(event)
    return events, passed_over, flaws


def _place(batch: _Batch, inflow: _Inflow, event: IncomingEvent) -> bool:
    """Puts an event into the histories that it belongs to; says whether there is one."""
    placed = False
    time = NO_TIME if event.time is None else event.time
    for histories in inflow.histories:
        entity = event.entities[histories.place.by]
        if entity is None:
            continue
        key = history_key(histories.place, entity)
        batch.histories[key] = histories
        values = tuple(event.values[name] for name in histories.columns)
        batch.events.setdefault(key, []).append(StoredEvent(time, event.known, event.key, values))
        placed = True
    return placed


def _changed(
    kept: _Histories, stored: bytes | None, new: Sequence[StoredEvent], now: int, *, again: bool
) -> bytes:
    old: list[StoredEvent] = []
    names = kept.columns
    compared: list[int] | None = None
    if stored is not None:
        history = unpack(stored)
        names = tuple(sorted({*names, *history.columns}))
        old = history.events(names)
        compared = [place for place, name in enumerate(names) if name in history.columns]
    if names != kept.columns:
        places = {name: place for place, name in enumerate(kept.columns)}
        new = [
            event._replace(
                values=tuple(event.values[places[name]] if name in places else None for name in names)
            )
            for event in new
        ]
        compared = [place for place in compared or () if names[place] in places]
    events = add(old, new, compared if again and old else None)
    return pack(kept.retention.applied(events, now), names)


def _parts(keys: list[bytes]) -> list[list[bytes]]:
    return [keys[start : start + _MOST_ENTITIES] for start in range(0, len(keys), _MOST_ENTITIES)]
