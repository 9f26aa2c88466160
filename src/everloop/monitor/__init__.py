"""Phase 6: what the prediction log says of the model, and what to do about it.

Example:
    >>> import polars as pl
    >>> from everloop.monitor import drift
    >>> before = pl.DataFrame({"age": [20 + i % 40 for i in range(400)]})
    >>> drift(before, before.with_columns(pl.col("age") + 30)).moved()
    ('age',)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.lazy import lazy_names

if TYPE_CHECKING:
    from everloop.monitor.api import drift, estimate, judge, reference
    from everloop.monitor.comparing import DriftReport
    from everloop.monitor.decide import RetrainAdvice, Situation, advise
    from everloop.monitor.finding import DriftFinding, WindowFinding
    from everloop.monitor.judging import Rules
    from everloop.monitor.references import Reference, ReferenceRules
    from everloop.monitor.window import Window, windows_due

_HOMES = {
    "DriftFinding": "finding",
    "DriftReport": "comparing",
    "Reference": "references",
    "ReferenceRules": "references",
    "RetrainAdvice": "decide",
    "Rules": "judging",
    "Situation": "decide",
    "Window": "window",
    "WindowFinding": "finding",
    "advise": "decide",
    "drift": "api",
    "estimate": "api",
    "judge": "api",
    "reference": "api",
    "windows_due": "window",
}

__all__ = [
    "DriftFinding",
    "DriftReport",
    "Reference",
    "ReferenceRules",
    "RetrainAdvice",
    "Rules",
    "Situation",
    "Window",
    "WindowFinding",
    "advise",
    "drift",
    "estimate",
    "judge",
    "reference",
    "windows_due",
]

__getattr__ = lazy_names(__name__, _HOMES)
