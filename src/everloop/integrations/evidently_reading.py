"""Reports and snapshots of Evidently as counts: what their metrics and their pictures hold of each column.

A snapshot (`Snapshot.dumps`) draws a column's distribution for both of its tables in the same bins, which is
a histogram; a report (`Snapshot.json`) holds the metrics alone. No package of Evidently is needed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from everloop.core.clock import parse_time
from everloop.core.errors import DataFault, EverloopError
from everloop.measure.histogram import Bins, Histogram
from everloop.monitor.reading import ReadProfile
from everloop.monitor.references import Reference

_METRIC = "evidently:metric_v2:"
_SIDES = ("current", "reference")


@dataclass
class _Column:
    """What is found of a column.

    Attributes:
        numbers: The metrics of one value (`MeanValue`, ...) of the current table.
        drawn: By side, the ends of bins or the categories, and their counts.
        counts: Counts by category of the current table.
        absent: By side, the missing values among the drawn categories.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    drawn: dict[str, tuple[list[Any], list[int]]] = field(default_factory=dict)
    counts: dict[str, int] | None = None
    absent: dict[str, int] = field(default_factory=dict)


def read_evidently(content: bytes, against: Reference | None) -> ReadProfile:
    """Reads a report or a snapshot.

    Args:
        content: The file.
        against: The reference whose categories are counted in; numbers are in bins of Evidently's own,
            which no other bins can be made of.

    Raises:
        DataFault: When it is no such file.
    """
    try:
        document = json.loads(content)
        metrics = list(_metrics(document))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataFault(f"The file is no report or snapshot of Evidently: {error!r}.") from None
    columns: dict[str, _Column] = {}
    numbers: dict[str, Any] = {}
    rows = None
    for kind, asked, value, widgets in metrics:
        numbers[_name(kind, asked)] = value
        if kind == "RowCount" and isinstance(value, float):
            rows = int(value)
        if "column" in asked:
            _take(columns.setdefault(asked["column"], _Column()), kind, value, widgets)
    not_held: list[str] = []
    sides = {side: _histograms(columns, side, rows, against, not_held) for side in _SIDES}
    if rows is None:
        rows = max((found.rows for found in sides["current"].values()), default=0)
        not_held.append("the number of rows (RowCount): that of the fullest column is taken")
    before = sides["reference"]
    told = max((found.rows for found in before.values()), default=0)
    at = _time(document)
    return ReadProfile(
        "Evidently",
        rows,
        sides["current"],
        numbers,
        tuple(not_held),
        at,
        ReadProfile("Evidently", told, before, {}, _OF_REFERENCE, at) if before else None,
    )


_OF_REFERENCE = ("the reference's missing numbers, moments and extremes: its drawn counts alone are there",)
_MISSING = "nan"
"""So pictures of categories name missing values."""


def _metrics(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any, list[Any]]]:
    """Each metric's kind, what it was asked with, its value and its pictures."""
    for one in document.get("metrics", ()):
        asked = dict(one["config"])
        yield asked.pop("type").removeprefix(_METRIC), asked, one["value"], []
    for one in document.get("metric_results", {}).values():
        asked = dict(one["metric_value_location"]["metric"]["params"])
        yield asked.pop("type").removeprefix(_METRIC), asked, _value(one), one.get("widget") or []


def _value(result: Mapping[str, Any]) -> Any:
    if "value" in result:
        return result["value"]
    parts = {name: result[name] for name in ("count", "share", "counts", "shares") if name in result}
    return {
        name: part["value"] if "value" in part else {label: each["value"] for label, each in part.items()}
        for name, part in parts.items()
    }


def _name(kind: str, asked: Mapping[str, Any]) -> str:
    """The metric's name as reports write it."""
    return f"{kind}({','.join(f'{name}={value}' for name, value in asked.items())})"


def _take(column: _Column, kind: str, value: Any, widgets: list[Any]) -> None:
    if isinstance(value, (int, float)):
        column.numbers[kind] = float(value)
    elif kind == "MissingValueCount":
        column.numbers[kind] = float(value["count"])
    elif kind == "UniqueValueCount":
        column.counts = {str(label): int(number) for label, number in value["counts"].items()}
    for trace in _traces(widgets):
        side = trace.get("name")
        ends, heights = trace.get("x") or [], trace.get("y") or []
        # A picture in shares, or over time, is no count of values.
        if side in _SIDES and _are_counts(ends, heights) and trace.get("visible") is not False:
            column.drawn.setdefault(side, (list(ends), [int(each) for each in heights]))
            labels = [str(end) for end in ends]  # a number that is none reads as its name
            if len(ends) == len(heights) and _MISSING in labels:
                column.absent.setdefault(side, int(heights[labels.index(_MISSING)]))


def _traces(widgets: list[Any]) -> Iterator[Mapping[str, Any]]:
    for widget in widgets:
        yield from (
            trace for trace in (widget.get("params") or {}).get("data", ()) if trace.get("type") == "bar"
        )
        yield from _traces([tab["widget"] for tab in widget.get("tabs") or ()])


def _are_counts(ends: Any, heights: Any) -> bool:
    if not (isinstance(ends, list) and isinstance(heights, list) and heights):
        return False
    numeric = all(isinstance(end, (int, float)) for end in ends)
    fits = len(ends) == len(heights) + 1 if numeric else len(ends) == len(heights)
    return fits and all(isinstance(each, (int, float)) and each == int(each) for each in heights)


def _histograms(
    columns: Mapping[str, _Column],
    side: str,
    rows: int | None,
    against: Reference | None,
    not_held: list[str],
) -> dict[str, Histogram]:
    found = {}
    for name, column in columns.items():
        bins = against.histograms[name].bins if against and name in against.histograms else None
        made = _histogram(column, side, rows if side == "current" else None, bins)
        if isinstance(made, Histogram):
            found[name] = made
        elif side == "current":
            not_held.append(f"{name}: {made}")
    return found


def _histogram(column: _Column, side: str, rows: int | None, bins: Bins | None) -> Histogram | str:
    """A column's counts on one side; why there are none where the file does not hold them."""
    ends, heights = column.drawn.get(side, ([], []))
    if side == "current" and column.counts is not None:
        ends, heights = list(column.counts), list(column.counts.values())
    if not heights:
        return "its distribution (UniqueValueCount, or a picture of MeanValue in a snapshot)"
    counts = dict(zip(map(str, ends), heights, strict=False))
    present = sum(heights)
    if side == "reference" or column.counts is None:
        present -= counts.pop(_MISSING, 0)
    stated = column.numbers.get("MissingValueCount") if side == "current" else column.absent.get(side, 0)
    missing = int(stated) if stated is not None else max(0, (rows or present) - present)
    if len(ends) == len(heights):
        return _categories(counts, missing, bins or Bins("categorical", categories=_labels(column)))
    if bins is not None:
        return "its counts in the reference's bins, as they are in Evidently's own"
    return _numbers(column.numbers if side == "current" else {}, ends, heights, missing)


def _labels(column: _Column) -> tuple[str, ...]:
    """The categories that either side has, so that both are counted in the same bins."""
    found = dict(column.counts or {})
    for ends, heights in column.drawn.values():
        for label, number in zip(map(str, ends), heights, strict=False):
            if label == _MISSING:
                continue
            found[label] = max(number, found.get(label, 0))
    return tuple(sorted(label for label, number in found.items() if number))


def _categories(counts: dict[str, int], missing: int, bins: Bins) -> Histogram | str:
    if bins.kind != "categorical":
        return "numbers, which the reference has: the file counts it as categories"
    known = [counts.get(category, 0) for category in bins.categories]
    return Histogram(bins, (*known, sum(counts.values()) - sum(known)), missing)


def _numbers(numbers: Mapping[str, float], ends: list[float], heights: list[int], missing: int) -> Histogram:
    """Counts in Evidently's bins, with the moments and extremes that its metrics state."""
    present, mean = sum(heights), numbers.get("MeanValue", math.nan)
    deviation = numbers.get("StdValue", math.nan)
    return Histogram(
        Bins("numeric", tuple(float(end) for end in ends[1:-1]), centre=0.0 if math.isnan(mean) else mean),
        tuple(heights),
        missing,
        total=0.0 if not math.isnan(mean) else math.nan,
        # Theirs is divided by n - 1.
        square=deviation**2 * max(0, present - 1),
        low=numbers.get("MinValue", float(ends[0])),
        high=numbers.get("MaxValue", float(ends[-1])),
    )


def _time(document: Mapping[str, Any]) -> datetime | None:
    try:
        return parse_time(document["timestamp"])
    except (KeyError, TypeError, ValueError, EverloopError):
        return None
