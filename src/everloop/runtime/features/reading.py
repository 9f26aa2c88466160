"""Features of one entity at one time, from its histories."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from everloop.runtime.features.history import NO_TIME, History, unpack
from everloop.runtime.features.places import by_place, column_types, history_key, history_prefix
from everloop.runtime.features.stores import MOST_KEY_BYTES, OnlineStore
from everloop.runtime.row_fill import microseconds
from everloop.table.expression import to_row
from everloop.table.expression.tree import ColumnRef
from everloop.table.feature_answer import Event, counts, event_order, valid_at
from everloop.table.feature_joined import JoinedFeature
from everloop.table.labels import label_text

Values = Callable[[History], list[Any]]


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
            (place, history_prefix(place), [(one.name, _compiled(one)) for one in group])
            for place, group in by_place(features).items()
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
            counted = Counted(history, entity, at)
            for name, feature in group:
                values[name] = feature(counted)[0]
        return values

    def look(self, row: Mapping[str, Any], at: int) -> list[FeatureValue]:
        """Gives every feature's value with what it was made from, as `read` does without it."""
        found = {name: FeatureValue(name, value, 0, None) for name, value in self._empty.items()}
        for group, history, entity in self._histories(row):
            counted = Counted(history, entity, at)
            for name, feature in group:
                found[name] = FeatureValue(name, *feature(counted))
        return list(found.values())

    def _histories(self, row: Mapping[str, Any]) -> list[tuple[list[Any], History, str]]:
        asked = []
        for place, prefix, group in self._groups:
            entity = label_text(row.get(place.by))
            if entity is not None:
                key = prefix + entity.encode("utf-8", "surrogatepass")
                key = key if len(key) <= MOST_KEY_BYTES else history_key(place, entity)
                asked.append((key, group, entity))
        stored = self._store.read([key for key, _, _ in asked])
        return [
            (group, unpack(value), entity)
            for (_, group, entity), value in zip(asked, stored, strict=True)
            if value is not None
        ]


class Counted:
    """A history as it was known at a time; remembers what several features ask of it."""

    __slots__ = ("_columns", "_spans", "all_known", "at", "end", "entity", "first", "history")

    def __init__(self, history: History, entity: str, at: int) -> None:
        self.history = history
        self.entity = entity
        self.at = at
        self.end = bisect_right(history.times, at)
        self.first = bisect_right(history.times, NO_TIME, 0, self.end)
        self.all_known = history.latest_known <= at
        self._spans: dict[int | None, int] = {None: self.first}
        self._columns: dict[Any, list[Any]] = {}

    def start(self, span_us: int | None) -> int:
        """Gives the place of the first event in a span."""
        place = self._spans.get(span_us)
        if place is None:
            place = bisect_right(self.history.times, self.at - span_us, self.first, self.end)  # type: ignore[operator]
            self._spans[span_us] = place
        return place

    def column(self, source: Any, values: Values) -> list[Any]:
        """Gives the feature's value of every event, computed once."""
        found = self._columns.get(source)
        if found is None:
            found = self._columns[source] = values(self.history)
        return found


def _compiled(feature: JoinedFeature) -> Callable[[Counted], tuple[Any, int, int | None]]:
    """Gives the function from a history to a feature's value, the events that count, and the last's time."""
    aggregate, span_us, of = feature.meaning, feature.span_us, feature.meaning.of
    source, values = _values(feature)

    def compute(counted: Counted) -> tuple[Any, int, int | None]:
        history, at = counted.history, counted.at
        column = counted.column(source, values)
        if history.corrected:
            return _corrected(counted, column)
        start, end = counted.start(span_us), counted.end
        if not counted.all_known:
            places = [place for place in range(start, end) if history.known[place] <= at]
        elif aggregate.order_matters and start < end:
            last = end - 1
            moment = history.times[last]
            if start == last or history.times[last - 1] != moment:
                return of((column[last],)), end - start, moment
            # What happened at the same moment is in the order of when it was known, then of the values.
            ties = list(range(bisect_left(history.times, moment, start, end), end))
            return _in_order(history, column, ties, of), end - start, moment
        else:
            return of(column[start:end]), end - start, history.times[end - 1] if end > start else None
        if not places:
            return of([]), 0, None
        value = _in_order(history, column, places, of)
        return value, len(places), history.times[places[-1]]

    def _corrected(counted: Counted, column: list[Any]) -> tuple[Any, int, int | None]:
        rows = [
            row
            for row in valid_at(_events(counted, column), counted.at)
            if counts(row, counted.entity, counted.at, span_us)
        ]
        rows.sort(key=event_order)
        return of([row.value for row in rows]), len(rows), rows[-1].time if rows else None

    return compute


def _in_order(history: History, column: list[Any], places: list[int], of: Callable[[Any], Any]) -> Any:
    if len(places) == 1:
        return of([column[places[0]]])
    rows = [Event("", history.times[p], history.known[p], None, column[p]) for p in places]
    rows.sort(key=event_order)
    return of([row.value for row in rows])


def _events(counted: Counted, column: list[Any]) -> list[Event]:
    history = counted.history
    return [
        Event(counted.entity, None if time == NO_TIME else time, known, key, value)
        for time, known, key, value in zip(history.times, history.known, history.keys, column, strict=True)
    ]


def _values(feature: JoinedFeature) -> tuple[Any, Values]:
    """Gives what names a feature's values, and the function that gives them for every event of a history."""
    expression = feature.value
    if expression is None:
        return None, lambda history: history.times
    if isinstance(expression.tree, ColumnRef):
        name = expression.tree.name
        return name, lambda history: history.column(name)
    names = tuple(column_types([feature]))
    function = to_row(expression)

    def compute(history: History) -> list[Any]:
        columns = [history.column(name) for name in names]
        rows = zip(*columns, strict=True) if names else [()] * len(history.times)
        return [_plain(function(dict(zip(names, row, strict=True)))) for row in rows]

    return (expression.sql,), compute


def _plain(value: Any) -> Any:
    return microseconds(value) if isinstance(value, datetime) else value
