"""What one history answers: the values of the features that look at it, at a time.

Nearly always nothing in a history was corrected and all of it was known at that time: the rows that
count are then one slice of each column, the same for all features of one span. Otherwise they are
looked for one by one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from everloop.runtime.features.history import NO_TIME, History
from everloop.runtime.features.places import column_types
from everloop.runtime.row_fill import microseconds
from everloop.table.expression import to_row
from everloop.table.expression.tree import ColumnRef
from everloop.table.feature_answer import Event, counts, event_order, valid_at
from everloop.table.feature_joined import JoinedFeature

Told = dict[str, tuple[int, int | None]]
"""From a feature to how many events counted, and when the last of them happened."""


class _Asked(NamedTuple):
    """One feature, ready to be computed.

    Attributes:
        name: The feature.
        source: What names its values: a column of the history, or what is computed from some.
        column: Gives its value of every event of a history, where it is no column of it.
        of: The aggregate.
        ordered: Whether the order of the values matters, of which the last then decides.
    """

    name: str
    source: Any
    column: Callable[[History], list[Any]]
    of: Callable[[Sequence[Any]], Any]
    ordered: bool


class FeatureGroup:
    """The features that look at one history.

    Args:
        features: Of one source, by one column.
    """

    def __init__(self, features: Sequence[JoinedFeature]) -> None:
        spans: dict[int | None, list[_Asked]] = {}
        for feature in features:
            spans.setdefault(feature.span_us, []).append(_asked(feature))
        self._spans = list(spans.items())

    def answer(
        self, history: History, entity: str, at: int, values: dict[str, Any], told: Told | None = None
    ) -> None:
        """Sets the value of each feature for which events count.

        Args:
            history: The events.
            entity: Whose they are.
            at: The time of the decision, in microseconds since 1970.
            values: From each feature to its value; gets those that are found.
            told: Gets what they were made from.
        """
        if history.corrected or history.latest_known > at:
            self._answer_one_by_one(history, entity, at, values, told)
            return
        times, columns = history.times, history.columns
        end = bisect_right(times, at)
        first, last = bisect_right(times, NO_TIME, 0, end), end - 1
        made: dict[Any, list[Any]] = {}
        for span_us, features in self._spans:
            start = first if span_us is None else bisect_right(times, at - span_us, first, end)
            if start == end:
                continue
            tied = start < last and times[last - 1] == times[last]
            for name, source, compute, of, ordered in features:
                column = columns.get(source)
                if column is None and (column := made.get(source)) is None:
                    column = made[source] = compute(history)
                if not ordered:
                    values[name] = of(column[start:end])
                elif not tied:
                    values[name] = of(column[last:end])
                else:
                    # What happened at once is in the order of when it was known, then of the values.
                    ties = range(bisect_left(times, times[last], start, end), end)
                    values[name] = of(_in_order(history, column, ties))
            if told is not None:
                told |= {one.name: (end - start, times[last]) for one in features}

    def _answer_one_by_one(
        self, history: History, entity: str, at: int, values: dict[str, Any], told: Told | None
    ) -> None:
        for span_us, features in self._spans:
            for one in features:
                column = history.columns.get(one.source)
                column = one.column(history) if column is None else column
                rows = _counted(history, entity, at, span_us, column)
                values[one.name] = one.of([row.value for row in rows])
                if told is not None:
                    told[one.name] = len(rows), rows[-1].time if rows else None


def _counted(history: History, entity: str, at: int, span_us: int | None, column: list[Any]) -> list[Event]:
    """Gives the rows that count, in order, as the definition finds them."""
    keys = history.keys or [None] * len(history.times)
    events = [
        Event(entity, None if time == NO_TIME else time, known, key, value)
        for time, known, key, value in zip(history.times, history.known, keys, column, strict=True)
    ]
    rows = [row for row in valid_at(events, at) if counts(row, entity, at, span_us)]
    return sorted(rows, key=event_order)


def _in_order(history: History, column: list[Any], places: Sequence[int]) -> list[Any]:
    rows = [Event("", history.times[p], history.known[p], None, column[p]) for p in places]
    return [row.value for row in sorted(rows, key=event_order)]


def _asked(feature: JoinedFeature) -> _Asked:
    source, column = _column(feature)
    return _Asked(feature.name, source, column, feature.meaning.of, feature.meaning.order_matters)


def _column(feature: JoinedFeature) -> tuple[Any, Callable[[History], list[Any]]]:
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
