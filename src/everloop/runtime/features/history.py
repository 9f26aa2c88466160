"""The history of one entity: the events of a source that a feature can still look at, in columns.

A history is one value of a store. Its rows are in the order of their time, then of when they were
known. It has the columns that features read and no other, so all are decoded at once.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

# Of a version that takes its event back; before every moment that a feature can ask about.
NO_TIME = -(2**62)


class StoredEvent(NamedTuple):
    """A row of a source, as a history keeps it.

    Attributes:
        time: When it happened, in microseconds since 1970; `NO_TIME` where it is taken back.
        known: When it became known.
        key: What tells events apart; None where it is an event of its own.
        values: One for each of the history's columns, in the order of their names.
    """

    time: int
    known: int
    key: str | None
    values: tuple[Any, ...]


class History(msgspec.Struct, array_like=True, frozen=True):
    """What is stored of one entity.

    Attributes:
        times: When each event happened.
        known: When each became known.
        keys: What tells them apart; empty where no event has a key.
        columns: From a column's name to its values.
        latest_known: The greatest of `known`.
        corrected: Whether an event has more than one version.
    """

    times: list[int]
    known: list[int]
    keys: list[str | None]
    columns: dict[str, list[Any]]
    latest_known: int
    corrected: bool

    def column(self, name: str) -> list[Any]:
        """Gives a column's values; nothing but None where it was not kept."""
        values = self.columns.get(name)
        return [None] * len(self.times) if values is None else values

    def events(self, names: Sequence[str]) -> list[StoredEvent]:
        """Gives the events with the values of some columns."""
        keys = self.keys or [None] * len(self.times)
        columns = [self.column(name) for name in names]
        values = list(zip(*columns, strict=True)) if columns else [()] * len(self.times)
        return [StoredEvent(*parts) for parts in zip(self.times, self.known, keys, values, strict=True)]


_encode = msgspec.msgpack.Encoder().encode
_decode_history = msgspec.msgpack.Decoder(History).decode


def unpack(stored: bytes) -> History:
    """Reads a history from its bytes."""
    return _decode_history(stored)


def pack(events: Sequence[StoredEvent], names: Sequence[str]) -> bytes:
    """Writes events, which are in order, as a history.

    Args:
        events: With a value for each name.
        names: The columns.
    """
    keys = [event.key for event in events]
    present = [key for key in keys if key is not None]
    columns = {name: [event.values[place] for event in events] for place, name in enumerate(names)}
    return _encode(
        History(
            times=[event.time for event in events],
            known=[event.known for event in events],
            keys=keys if present else [],
            columns=columns,
            latest_known=max((event.known for event in events), default=NO_TIME),
            corrected=len(set(present)) < len(present),
        )
    )


def in_order(event: StoredEvent) -> tuple[int, int]:
    """Orders the rows of a history."""
    return event.time, event.known


class Retention(NamedTuple):
    """What of a history a feature can still look at.

    Attributes:
        reach_us: How far back the longest window reaches; None keeps every event.
        slack_us: How far back a decision may lie.
        keeps_last: Whether the last event before that is kept too, for features without a span.
    """

    reach_us: int | None
    slack_us: int
    keeps_last: bool

    def applied(self, events: list[StoredEvent], now: int) -> list[StoredEvent]:
        """Gives the events without those that no decision at `now` or later can see."""
        if self.reach_us is None or not events:
            return events
        moment = min(now, max(event.known for event in events)) - self.slack_us
        edge = moment - self.reach_us
        first = bisect_right(events, edge, key=lambda event: event.time)
        if self.keeps_last:
            known = (place for place in range(first - 1, -1, -1) if events[place].known <= moment)
            first = next(known, 0)
            # Events of the same moments are in the order of a value, which only a feature knows.
            while first and in_order(events[first - 1]) == in_order(events[first]):
                first -= 1
        # A version that moves its event out of every window, or takes it back, stands as long as others do.
        keys = {event.key for event in events[first:] if event.key is not None}
        moved = [e for e in events[:first] if e.key is not None and (e.key in keys or e.known > edge)]
        return moved + events[first:]


def add(
    old: Sequence[StoredEvent], new: Iterable[StoredEvent], compared: Sequence[int] | None = None
) -> list[StoredEvent]:
    """Adds events to those of a history.

    Args:
        old: The history, in order.
        new: What is added, in any order. One with a key that is there already is left out; one
            without a key is another event though it looks the same.
        compared: Where a source is read again whose events have been pushed before: the places of the
            values by which events are compared. One that looks the same stands for the old one, one for one.
    """
    new = list(new)
    events = list(old) if compared is None else _without(old, new, compared)
    versions = {event for event in events if event.key is not None}
    for event in new:
        if event.key is not None:
            if event in versions:
                continue
            versions.add(event)
        if not events or in_order(event) >= in_order(events[-1]):
            events.append(event)
        else:
            insort(events, event, key=in_order)
    return events


def _without(
    events: Sequence[StoredEvent], new: Sequence[StoredEvent], compared: Sequence[int]
) -> list[StoredEvent]:
    """Takes out one event for each new one that looks the same."""

    def looks(event: StoredEvent) -> tuple[Any, ...]:
        return (event.time, event.known, event.key, *(event.values[place] for place in compared))

    left = Counter(looks(event) for event in new)
    kept = []
    for event in events:
        seen = looks(event)
        if left[seen] > 0:
            left[seen] -= 1
        else:
            kept.append(event)
    return kept
