"""A window as a profile of whylogs, made of its counts: no row is read for it.

Counts, missing values, types, moments and extremes are exact. Quantiles are those of the counts: within a bin
numbers are taken as evenly spread, then kept in whylogs' own sketch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from everloop.core.extras import require
from everloop.integrations.whylogs_reading import read_whylogs
from everloop.measure.histogram import Histogram
from everloop.monitor.formats import JudgedWindow, WrittenWindow
from everloop.monitor.reading import ReadProfile
from everloop.monitor.references import Reference

EXTRA = "whylogs"
_TYPES = {"integer": "integral", "number": "fractional", "boolean": "boolean", "text": "string"}


class WhylogsProfile:
    """Profiles of whylogs 1.6, as `whylogs.read` reads them."""

    name = "whylogs"
    summary = "a judged window, as a profile"
    platform = "whylogs 1.6"
    suffix = ".bin"

    def write(self, window: JudgedWindow, /) -> WrittenWindow:
        """Gives a window as a profile.

        Raises:
            MissingExtra: When whylogs is not installed.
        """
        views = require("whylogs.core.view.dataset_profile_view", extra=EXTRA)
        left_out = list(window.without_segments())
        profile = views.DatasetProfileView(
            columns={
                name: _column(name, found, window.types.get(name), left_out)
                for name, found in window.columns.items()
            },
            dataset_timestamp=window.since,
            creation_timestamp=window.until,
            metadata=_metadata(window),
        )
        return WrittenWindow(profile.serialize(), tuple(left_out))

    def knows(self, content: bytes, /) -> bool:
        """Says whether a file begins as whylogs' profiles do."""
        return content.startswith(b"WHY1")

    def read(self, content: bytes, against: Reference | None, /) -> ReadProfile:
        """Reads a profile."""
        return read_whylogs(content, against)


def _metadata(window: JudgedWindow) -> dict[str, str]:
    return {
        "whylogs.tag.lifecycle": window.lifecycle,
        "everloop.window": window.id,
        "everloop.version": str(window.version),
        "everloop.drift": window.drift.status,
        "everloop.moved": ", ".join(window.drift.moved()),
    }


def _column(name: str, found: Histogram, kind: str | None, left_out: list[str]) -> Any:
    view = require("whylogs.core.view.column_profile_view", extra=EXTRA)
    metrics = {"counts": _counts(found), "types": _types(found, kind)}
    if found.bins.kind == "numeric":
        metrics["distribution"] = _distribution(found)
        left_out.append(f"{name}: how many different values, and which are frequent")
    else:
        metrics["frequent_items"], metrics["cardinality"] = _categories(found)
        if found.counts[-1]:
            left_out.append(f"{name}: {found.counts[-1]:,} values of categories that the reference never had")
    return view.ColumnProfileView(metrics=metrics)


def _counts(found: Histogram) -> Any:
    metrics = require("whylogs.core.metrics.column_metrics", extra=EXTRA)
    counted = {"n": found.rows, "null": found.missing, "nan": 0, "inf": found.infinite}
    return metrics.ColumnCountsMetric(**{name: _whole(number) for name, number in counted.items()})


def _types(found: Histogram, kind: str | None) -> Any:
    metrics = require("whylogs.core.metrics.column_metrics", extra=EXTRA)
    usual = "number" if found.bins.kind == "numeric" else "text"
    present = _TYPES[kind if kind in _TYPES else usual]
    names = ("integral", "fractional", "boolean", "string", "object", "tensor")
    return metrics.TypeCountersMetric(
        **{name: _whole(found.present if name == present else 0) for name in names}
    )


def _whole(number: int) -> Any:
    return require("whylogs.core.metrics.metric_components", extra=EXTRA).IntegralComponent(number)


def _distribution(found: Histogram) -> Any:
    metrics = require("whylogs.core.metrics.metrics", extra=EXTRA)
    parts = require("whylogs.core.metrics.metric_components", extra=EXTRA)
    made = metrics.DistributionMetric.zero()
    values = spread(found)
    if values.size:
        made.kll.value.update(array=values)
        made.mean.set(found.mean)
        made.m2.set(found.deviation**2 * values.size)
    return metrics.DistributionMetric(
        kll=made.kll,
        mean=parts.FractionalComponent(made.mean.value),
        m2=parts.FractionalComponent(made.m2.value),
    )


def _categories(found: Histogram) -> tuple[Any, Any]:
    metrics = require("whylogs.core.metrics.metrics", extra=EXTRA)
    frequent, different = metrics.FrequentItemsMetric.zero(), metrics.CardinalityMetric.zero()
    for category, number in zip(found.bins.categories, found.counts, strict=False):
        if number:
            frequent.frequent_strings.value.update(category, number)
            different.hll.value.update(category)
    return frequent, different


def spread(found: Histogram) -> NDArray[np.float64]:
    """Gives as many finite numbers as were counted, evenly spread in their bins, shape (n,).

    The lowest and the highest are those that were seen.
    """
    counts = np.array(found.counts, dtype=np.int64)
    if found.infinite or not counts.sum():
        return np.empty(0)
    edges = np.clip(np.array([found.low, *found.bins.edges, found.high]), found.low, found.high)
    begin, width = np.repeat(edges[:-1], counts), np.repeat(np.diff(edges), counts)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    values: NDArray[np.float64] = begin + width * (place + 0.5) / np.repeat(counts, counts)
    values[0], values[-1] = found.low, found.high
    return values
