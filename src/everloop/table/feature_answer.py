"""A feature over rows of another source, for one decision: the definition, written to be read.

`everloop.table.feature_joined` says it in words. Nothing here is quick; whatever is quick is held to it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

from everloop.table.feature_aggregates import Aggregate


class Event(NamedTuple):
    """A row of a source, as one feature sees it.

    Attributes:
        entity: The value of the feature's `by` column.
        time: When the event happened, in microseconds since 1970.
        known: When the row became known.
        key: What tells events apart; None where the row is an event of its own.
        value: The feature's value of the row; None where it is missing.
    """

    entity: Any
    time: int | None
    known: int | None
    key: Hashable | None
    value: Any


def answer(
    events: Iterable[Event], entity: Any, at: int, aggregate: Aggregate, span_us: int | None = None
) -> Any:
    """Answers for one entity at one time.

    Args:
        events: The source's rows, in any order, those of other entities among them.
        entity: The entity; None has no rows.
        at: The time of the decision, in microseconds since 1970.
        aggregate: What is made of the rows that count.
        span_us: How far back rows count; None is without end.

    Returns:
        The feature's value.
    """
    rows = [event for event in valid_at(events, at) if counts(event, entity, at, span_us)]
    return aggregate.of([event.value for event in sorted(rows, key=event_order)])


def valid_at(events: Iterable[Event], at: int) -> list[Event]:
    """Gives of each event the version that was valid at a time: the last one known then."""
    alone: list[Event] = []
    versions: dict[Hashable, Event] = {}
    for event in events:
        if event.known is None or event.known > at:
            continue
        if event.key is None:
            alone.append(event)
        elif event.key not in versions or version_order(event) > version_order(versions[event.key]):
            versions[event.key] = event
    return [*alone, *versions.values()]


def counts(event: Event, entity: Any, at: int, span_us: int | None) -> bool:
    """Says whether a row that is valid at a time counts for an entity then."""
    if entity is None or event.entity != entity or event.time is None:
        return False
    return event.time <= at and (span_us is None or event.time > at - span_us)


def event_order(event: Event) -> tuple[Any, ...]:
    """Orders the rows that count."""
    return (event.time, event.known, _missing_first(event.value))


def version_order(event: Event) -> tuple[Any, ...]:
    """Orders the versions of an event: the last is valid."""
    parts = (event.time, event.entity, event.value)
    return (event.known, *(_missing_first(part) for part in parts))


def _missing_first(value: Any) -> tuple[bool, Any]:
    return (value is not None, 0 if value is None else value)
