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
    from everloop.monitor.api import detector, drift, estimate, judge, reference
    from everloop.monitor.causes import ChangeCauses, explain_change
    from everloop.monitor.comparing import DriftReport
    from everloop.monitor.decide import RetrainAdvice, advise
    from everloop.monitor.detectors import Detector
    from everloop.monitor.drifting import judge_state
    from everloop.monitor.finding import DriftFinding, WindowFinding
    from everloop.monitor.ranking import LossRanking, rank_moved
    from everloop.monitor.reading import read_profile
    from everloop.monitor.references import Reference, ReferenceRules
    from everloop.monitor.rules import Rules
    from everloop.monitor.situation import Situation
    from everloop.monitor.state import WindowState, count_window
    from everloop.monitor.telling_apart import ToldApart, tell_apart
    from everloop.monitor.window import Window, windows_due

_HOMES = {
    "ChangeCauses": "causes",
    "Detector": "detectors",
    "DriftFinding": "finding",
    "DriftReport": "comparing",
    "LossRanking": "ranking",
    "Reference": "references",
    "ReferenceRules": "references",
    "RetrainAdvice": "decide",
    "Rules": "rules",
    "Situation": "situation",
    "ToldApart": "telling_apart",
    "Window": "window",
    "WindowFinding": "finding",
    "WindowState": "state",
    "advise": "decide",
    "count_window": "state",
    "detector": "api",
    "drift": "api",
    "estimate": "api",
    "explain_change": "causes",
    "judge": "api",
    "judge_state": "drifting",
    "rank_moved": "ranking",
    "read_profile": "reading",
    "reference": "api",
    "tell_apart": "telling_apart",
    "windows_due": "window",
}

__all__ = [
    "ChangeCauses",
    "Detector",
    "DriftFinding",
    "DriftReport",
    "LossRanking",
    "Reference",
    "ReferenceRules",
    "RetrainAdvice",
    "Rules",
    "Situation",
    "ToldApart",
    "Window",
    "WindowFinding",
    "WindowState",
    "advise",
    "count_window",
    "detector",
    "drift",
    "estimate",
    "explain_change",
    "judge",
    "judge_state",
    "rank_moved",
    "read_profile",
    "reference",
    "tell_apart",
    "windows_due",
]

__getattr__ = lazy_names(__name__, _HOMES)
