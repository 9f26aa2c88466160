"""What the decision to retrain is made from, and the names by which a rule of the user's own reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from everloop.measure.intervals import Interval
from everloop.monitor.finding import Measured, WindowFinding

FACTS: dict[str, tuple[str, str]] = {
    "drift": ("number", "how far the last window moved; 1 is what is allowed"),
    "drifted": ("boolean", "whether that is an alarm"),
    "value": ("number", "what a decision is worth, measured or else estimated"),
    "value_before": ("number", "the same, as it was expected of the champion"),
    "value_lost": ("number", "the difference"),
    "metric": ("number", "the frame's metric, measured or else estimated"),
    "metric_before": ("number", "the same on the reference"),
    "expected_gain": ("number", "what a retrain is expected to bring over a month, less its cost"),
    "cost": ("number", "what a retrain costs"),
    "new_labels": ("number", "labelled rows that have come since the last training"),
    "days": ("number", "days since the last training"),
    "predictions": ("number", "how many predictions the last window has"),
    "violations": ("number", "the share of its requests that broke the contract"),
    "now": ("time", "the time of asking"),
}
"""From the name of a fact to its type and what it is; a fact that is not known is null."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the decision to retrain is made from.

    Attributes:
        findings: The windows since the last training, oldest first; the last is the one to act on.
        now: The time of asking.
        trained_at: When the champion, or a challenger after it, was trained last.
        new_labels: Labelled rows that have come since.
        value_before: The value per decision that was expected of the champion; None where nothing is priced.
        metric_before: The frame's metric on the reference.
        metric: Its name.
        greater_is_better: Whether more of it is better.
        volume: Predictions expected over the horizon.
        cost: What a retrain costs, in the goal's currency.
        outside: What triggers say that are asked elsewhere, by their text: why they fire, empty if not.
    """

    findings: Sequence[WindowFinding]
    now: datetime
    trained_at: datetime
    new_labels: int = 0
    value_before: float | None = None
    metric_before: float | None = None
    metric: str = ""
    greater_is_better: bool = True
    volume: float = 0.0
    cost: float = 0.0
    outside: Mapping[str, str] = field(default_factory=dict)

    @property
    def last(self) -> WindowFinding | None:
        """The window to act on; None between windows."""
        return self.findings[-1] if self.findings else None

    @property
    def value(self) -> Measured | None:
        """What a decision is worth: measured goes before estimated; None where neither is known."""
        if self.last is None:
            return None
        return _first_known(self.last.value, self.last.estimated_value)

    @property
    def measured_metric(self) -> tuple[str, Measured] | None:
        """The frame's metric with how it is known; None where it is not."""
        if self.last is None:
            return None
        for kind, found in (("measured", self.last.performance), ("estimated", self.last.estimated)):
            known = _first_known(found.get(self.metric))
            if known is not None:
                return kind, known
        return None

    @property
    def expected_gain(self) -> Interval | None:
        """What a retrain that restores the reference's value would bring over the horizon, less its cost.

        None where the value is not known or nothing is priced.
        """
        value = self.value
        if value is None or self.value_before is None:
            return None
        lost = value.interval.scaled(-1.0).shifted(self.value_before)
        return lost.scaled(self.volume).shifted(-self.cost)

    def facts(self) -> dict[str, Any]:
        """Gives what a rule of the user's own may read, by the names in `FACTS`."""
        last, value, gain, metric = self.last, self.value, self.expected_gain, self.measured_metric
        worth = None if value is None else value.interval.estimate
        known = {
            "value": worth,
            "value_before": self.value_before,
            "value_lost": None if worth is None or self.value_before is None else self.value_before - worth,
            "metric": None if metric is None else metric[1].interval.estimate,
            "metric_before": self.metric_before,
            "expected_gain": None if gain is None else gain.estimate,
            "cost": self.cost,
            "new_labels": float(self.new_labels),
            "days": (self.now - self.trained_at) / timedelta(days=1),
            "now": self.now,
        }
        if last is not None:
            known |= {
                "drift": last.drift.statistic / last.drift.threshold if last.drift.threshold else None,
                "drifted": bool(last.said_of_drift()),
                "predictions": float(last.predictions),
                "violations": last.violation_share,
            }
        return {name: known.get(name) for name in FACTS}


def _first_known(*found: Measured | None) -> Measured | None:
    for each in found:
        if each is not None and each.status in ("known", "estimated") and each.interval.known:
            return each
    return None
