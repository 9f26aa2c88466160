"""A window as a snapshot of Evidently: its reports, its workspace and its dashboards show it as their own.

The file is JSON and needs no package of theirs. A number is in it only where Evidently defines it so too,
under the id that Evidently gives to the same metric, so that both stand in one series.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from everloop.integrations.evidently_reading import read_evidently
from everloop.measure.histogram import Histogram
from everloop.monitor.formats import JudgedWindow, WrittenWindow
from everloop.monitor.reading import ReadProfile
from everloop.monitor.references import Reference

_METRIC = "evidently:metric_v2:"
_RESULT = "evidently:metric_result_v2:"
_MOST_CATEGORIES = 19
# Theirs is in natural units, ours in bits.
_NATS = math.sqrt(math.log(2))

Number = float | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Metric:
    """A metric of Evidently with its value.

    Attributes:
        kind: Its class.
        title: What it is called.
        value: A number; ``count`` and ``share``; or both by label.
        parameters: What it was asked with, without what is as by default.
    """

    kind: str
    title: str
    value: Number
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id that Evidently gives to it: a digest of the class and what it was asked with."""
        home = "dataset_statistics" if self.kind == "RowCount" else "column_statistics"
        parts = tuple(sorted(self.parameters.items()))
        asked = f"evidently.metrics.{home}.{self.kind}{parts}"
        return hashlib.md5(asked.encode(), usedforsecurity=False).hexdigest()


class EvidentlySnapshot:
    """Snapshots of Evidently 0.7, as `evidently.core.report.Snapshot.load` reads them."""

    name = "evidently"
    summary = "a judged window, as a report's snapshot"
    platform = "Evidently 0.7"
    suffix = ".json"

    def write(self, window: JudgedWindow, /) -> WrittenWindow:
        """Gives a window as a snapshot."""
        left_out = list(window.without_segments())
        metrics = [_Metric("RowCount", "Row count in dataset", float(window.state.rows))]
        for column, found in window.columns.items():
            metrics += _counts(column, found)
            metrics += _MOMENTS[found.bins.kind](column, found, left_out)
            if column in window.drift.distances:
                metrics += _DISTANCES[found.bins.kind](column, window, left_out)
        results = {one.id: _result(one) for one in metrics}
        snapshot = {
            "report": {"items": []},
            "name": f"{window.lifecycle} {window.id}",
            "timestamp": window.until.isoformat(),
            "metadata": _metadata(window),
            "tags": ["everloop", window.lifecycle, f"v{window.version}"],
            "metric_results": results,
            "top_level_metrics": list(results),
            "widgets": [widget for result in results.values() for widget in result["widget"]],
            "tests_widgets": [],
        }
        return WrittenWindow(json.dumps(snapshot, allow_nan=False).encode(), tuple(left_out))

    def knows(self, content: bytes, /) -> bool:
        """Says whether a file is JSON with Evidently's metrics."""
        return content.lstrip()[:1] == b"{" and b"evidently:metric_v2:" in content

    def read(self, content: bytes, against: Reference | None, /) -> ReadProfile:
        """Reads a report or a snapshot."""
        return read_evidently(content, against)


def _counts(column: str, found: Histogram) -> Iterator[_Metric]:
    share = found.missing / found.rows if found.rows else 0.0
    value = {"count": float(found.missing), "share": share}
    yield _Metric("MissingValueCount", f"Column '{column}' missing values", value, {"column": column})


def _number_moments(column: str, found: Histogram, left_out: list[str]) -> Iterator[_Metric]:
    """Mean, deviation (divided by n - 1, as pandas has it) and extremes."""
    if found.infinite:
        left_out.append(f"{column}: mean, deviation and extremes, as there are infinite values")
        return
    correction = math.sqrt(found.present / (found.present - 1)) if found.present > 1 else math.nan
    for kind, title, value in (
        ("MeanValue", "Mean", found.mean),
        ("StdValue", "Std", found.deviation * correction),
        ("MinValue", "Minimal", found.low),
        ("MaxValue", "Maximum", found.high),
    ):
        if math.isfinite(value):
            yield _Metric(kind, f"{title} value of '{column}'", value, {"column": column})


def _category_counts(column: str, found: Histogram, left_out: list[str]) -> Iterator[_Metric]:
    if found.counts[-1]:
        left_out.append(f"{column}: counts by category, as some categories are new and counted together")
        return
    counts = dict(zip(found.bins.categories, map(float, found.counts), strict=False))
    shares = {label: number / found.rows if found.rows else 0.0 for label, number in counts.items()}
    title = f"Unique Value Count: {column}"
    yield _Metric("UniqueValueCount", title, {"counts": counts, "shares": shares}, {"column": column})


def _number_distances(column: str, window: JudgedWindow, left_out: list[str]) -> Iterator[_Metric]:
    before, after = window.reference.histograms[column], window.state.histograms[column]
    distance = window.drift.distances[column]["wasserstein"]
    # Theirs divides by no less than this.
    if before.infinite or after.infinite or before.deviation < 1e-3 or not math.isfinite(distance):
        left_out.append(f"{column}: its Wasserstein distance, which Evidently scales otherwise")
        return
    yield _drift(column, "wasserstein", distance)


def _category_distances(column: str, window: JudgedWindow, left_out: list[str]) -> Iterator[_Metric]:
    before, after = window.reference.histograms[column], window.state.histograms[column]
    found = window.drift.distances[column]
    if len(before.bins.categories) > _MOST_CATEGORIES or before.counts[-1]:
        left_out.append(
            f"{column}: its distances, which are over groups of its {len(before.bins.categories)} categories"
        )
        return
    if math.isfinite(found["jensen_shannon"]):
        yield _drift(column, "jensenshannon", found["jensen_shannon"] * _NATS)
    if any((p == 0) != (q == 0) for p, q in zip(before.counts, after.counts, strict=True)):
        left_out.append(f"{column}: its PSI, as a category is on one side only, which counts otherwise there")
    elif math.isfinite(found["psi"]):
        yield _drift(column, "psi", found["psi"])


_MOMENTS = {"numeric": _number_moments, "categorical": _category_counts}
_DISTANCES = {"numeric": _number_distances, "categorical": _category_distances}


def _drift(column: str, method: str, value: float) -> _Metric:
    asked = {"column": column, "method": method, "threshold": 0.1}
    return _Metric("ValueDrift", f"Value drift for {column}", value, asked)


def _metadata(window: JudgedWindow) -> dict[str, str | list[str]]:
    """What Evidently has no metric for: the verdict, which is held to the budget of false alarms."""
    drift = window.drift
    return {
        "everloop.lifecycle": window.lifecycle,
        "everloop.window": window.id,
        "everloop.version": str(window.version),
        "everloop.since": window.since.isoformat(),
        "everloop.until": window.until.isoformat(),
        "everloop.drift": drift.status,
        "everloop.moved": list(drift.moved()),
        "everloop.reason": drift.reason,
    }


def _result(metric: _Metric) -> dict[str, Any]:
    """A metric's result, in the form of its kind of value."""
    value, widgets = metric.value, _widgets(metric)
    if isinstance(value, float):
        return {**_single(metric, value, {}), "widget": widgets}
    if metric.kind == "UniqueValueCount":
        slots: dict[str, Any] = {
            name: {
                label: _single(metric, number, {"label": label, "value_type": name.removesuffix("s")})
                for label, number in numbers.items()
            }
            for name, numbers in value.items()
        }
        return {**_located(metric, "ByLabelCountValue", {}), "widget": widgets, **slots}
    slots = {name: _single(metric, number, {"value_type": name}) for name, number in value.items()}
    return {**_located(metric, "CountValue", {}), "widget": widgets, **slots}


def _single(metric: _Metric, value: float, place: Mapping[str, str]) -> dict[str, Any]:
    return {**_located(metric, "SingleValue", place), "widget": None, "value": value}


def _located(metric: _Metric, shape: str, place: Mapping[str, str]) -> dict[str, Any]:
    asked = {"type": f"{_METRIC}{metric.kind}", **metric.parameters}
    return {
        "type": f"{_RESULT}{shape}",
        "display_name": metric.title,
        "metric_value_location": {"metric": {"metric_id": metric.id, "params": asked}, "param": dict(place)},
        "tests": [],
    }


def _widgets(metric: _Metric) -> list[dict[str, Any]]:
    """What a report shows: each number with its name."""
    value = metric.value
    if isinstance(value, float):
        value = {str(metric.parameters.get("method", "")): value}
    shown: Mapping[str, float] = value.get("counts", value)
    counters = [{"value": f"{number:.4g}", "label": label} for label, number in shown.items()]
    return [
        {
            "type": "counter",
            "title": metric.title,
            "size": 1,
            "id": f"{metric.id[:8]}-everloop",
            "params": {"counters": counters},
            "linked_metrics": [metric.id],
        }
    ]
