"""Profiles of whylogs as counts: quantiles of its sketches in bins, moments, frequent items."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.core.extras import require
from everloop.measure.histogram import Bins, Histogram
from everloop.monitor.reading import ReadProfile
from everloop.monitor.references import Reference

EXTRA = "whylogs"
_QUANTILES = np.linspace(0, 1, 65)[1:-1].tolist()


def read_whylogs(content: bytes, against: Reference | None) -> ReadProfile:
    """Reads a profile; see `everloop.monitor.read_profile`.

    Raises:
        DataFault: When it is damaged.
        MissingExtra: When whylogs is not installed.
    """
    views = require("whylogs.core.view.dataset_profile_view", extra=EXTRA)
    try:
        view = views.DatasetProfileView.deserialize(content)
    except Exception as error:  # noqa: BLE001  (its libraries say of damaged bytes whatever they say)
        raise DataFault(f"The file is no whole profile of whylogs: {error!r}.") from None
    histograms: dict[str, Histogram] = {}
    numbers: dict[str, Any] = {}
    not_held: list[str] = []
    rows = 0
    for name, column in sorted(view.get_columns().items()):
        told = column.to_summary_dict()
        numbers[name] = {key: value for key, value in told.items() if isinstance(value, (int, float))}
        rows = max(rows, int(told.get("counts/n", 0)))
        known = against.histograms.get(name) if against else None
        if against and known is None:
            continue
        found = _histogram(column, told, known.bins if known else None, name, not_held)
        if found is not None:
            histograms[name] = found
    return ReadProfile("whylogs", rows, histograms, numbers, tuple(not_held), view.dataset_timestamp)


def _histogram(
    column: Any, told: dict[str, Any], bins: Bins | None, name: str, not_held: list[str]
) -> Histogram | None:
    missing = int(told.get("counts/null", 0))
    present = int(told.get("counts/n", 0)) - missing
    distribution = column.get_metric("distribution")
    numeric = distribution is not None and distribution.kll.value.get_n() > 0
    if bins is not None and present and numeric != (bins.kind == "numeric"):
        not_held.append(f"{name}: {bins.kind} values, which the reference has")
        return None
    if numeric:
        infinite = int(told.get("counts/inf", 0))
        if infinite:
            not_held.append(f"{name}: on which side its {infinite} infinite values are: they are left out")
        # What is no number is missing among numbers, as in a window.
        missing += max(0, present - int(distribution.kll.value.get_n()) - infinite)
        return _numbers(distribution, bins, missing)
    return _categories(column, bins, present, missing, name, not_held)


def _numbers(distribution: Any, bins: Bins | None, missing: int) -> Histogram:
    sketch = distribution.kll.value
    size, mean = int(sketch.get_n()), float(distribution.mean.value)
    if bins is None:
        edges = np.unique(sketch.get_quantiles(_QUANTILES))
        bins = Bins("numeric", tuple(edges.tolist()), centre=mean)
    # The share below each edge; a bin begins at its edge, as the sketch counts.
    below = np.asarray(sketch.get_cdf(list(bins.edges))[:-1]) if bins.edges else np.empty(0)
    ends = np.concatenate([[0], np.rint(below * size).astype(np.int64), [size]])
    moved = mean - bins.centre
    return Histogram(
        bins,
        tuple(np.diff(ends).tolist()),
        missing,
        total=moved * size,
        square=float(distribution.m2.value) + size * moved**2,
        low=float(sketch.get_min_value()),
        high=float(sketch.get_max_value()),
    )


def _categories(
    column: Any, bins: Bins | None, present: int, missing: int, name: str, not_held: list[str]
) -> Histogram | None:
    metric = column.get_metric("frequent_items")
    items = [] if metric is None else metric.strings
    counts = {_text(item.value): int(item.est) for item in items}
    if present and not counts:
        not_held.append(f"{name}: how often each category is there")
        return None
    if any(not math.isclose(item.lower, item.upper) for item in items) or sum(counts.values()) != present:
        not_held.append(f"{name}: rare categories apart, and frequent ones but within its sketch's error")
    if bins is None:
        bins = Bins("categorical", categories=tuple(sorted(counts, key=lambda one: (-counts[one], one))))
    known = [counts.get(category, 0) for category in bins.categories]
    return Histogram(bins, (*known, max(0, present - sum(known))), missing)


def _text(value: str) -> str:
    """A category as everloop spells it: booleans are small."""
    return value.lower() if value in ("True", "False") else value
