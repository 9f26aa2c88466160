"""How windows are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from everloop.spec.fields import AlarmBudget


@dataclass(frozen=True)
class Rules:
    """How windows are judged.

    Attributes:
        metrics: Which metrics are measured, and estimated where they can be.
        threshold: The decision is ``score >= threshold``; for estimates.
        maturity: Below this share of known actuals it is too early to measure.
        task: ``binary``, ``multiclass`` or ``regression``.
        seed: Of sampling and intervals.
        silenced: Metrics whose estimates were wrong too often to be told, and why.
        weighted: Whether rows of the reference that are like the window's count more in estimates (PAPE).
        apart: How many false alarms a learner may give that tells the window's rows from the reference's;
            None does without.
    """

    metrics: tuple[str, ...] = ()
    threshold: float = 0.5
    maturity: float = 0.5
    task: str = "binary"
    seed: int = 0
    silenced: Mapping[str, str] = field(default_factory=dict)
    weighted: bool = False
    apart: AlarmBudget | None = None
