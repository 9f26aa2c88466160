"""Whether a retrain pays: an advice with its reasons; doing nothing is an advice too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from everloop.core.errors import SpecFault
from everloop.core.units import parse_duration
from everloop.core.values import to_jsonable
from everloop.measure.intervals import Interval
from everloop.monitor.finding import Measured, WindowFinding
from everloop.spec.fields import Trigger

_SCHEDULES = {"hourly": "1h", "daily": "1d", "weekly": "1w", "monthly": "30d"}


@dataclass(frozen=True, slots=True)
class Situation:
    """What the decision to retrain is made from.

    Attributes:
        findings: The windows since the last training, oldest first; the last is the one to act on.
        now: The time of asking.
        trained_at: When the champion was trained.
        new_labels: Labelled rows that have come since.
        value_before: The value per decision that was expected of the champion; None where nothing is priced.
        metric_before: The frame's metric on the reference.
        metric: Its name.
        greater_is_better: Whether more of it is better.
        volume: Predictions expected over the horizon.
        cost: What a retrain costs, in the goal's currency.
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


@dataclass(frozen=True, slots=True)
class RetrainAdvice:
    """Whether to retrain, and why.

    Attributes:
        retrain: The advice.
        reasons: Why, the triggers first.
        triggered: The triggers that asked for it.
        expected_gain: Value lost per decision times volume over the horizon, less the cost; None where
            the loss is not known in money.
        cost: What the retrain costs.
    """

    retrain: bool
    reasons: tuple[str, ...]
    triggered: tuple[str, ...]
    expected_gain: Interval | None
    cost: float

    def to_dict(self) -> dict[str, Any]:
        """Gives the advice as what JSON can carry."""
        return {name: to_jsonable(getattr(self, name)) for name in self.__slots__}


def advise(triggers: Sequence[Trigger], situation: Situation) -> RetrainAdvice:
    """Decides whether to retrain.

    A trigger that fires asks for a retrain. Where the loss is known in money, it must also pay: where no
    gain is expected, the advice is to do nothing. A schedule and a number of labels are the owner's
    standing orders and are followed anyway.

    Args:
        triggers: `monitor.retrain.on` of the lifecycle file.
        situation: What is known.

    Returns:
        The advice.

    Raises:
        SpecFault: When a trigger's argument cannot be read.
    """
    fired = [
        (trigger, reason) for trigger in triggers if (reason := _TRIGGERS[trigger.kind](trigger, situation))
    ]
    gain = expected_gain(situation)
    reasons = [f"{trigger}: {reason}" for trigger, reason in fired]
    ordered = any(trigger.kind in ("schedule", "labels") for trigger, _ in fired)
    retrain = bool(fired)
    if not fired:
        watched = ", ".join(map(str, triggers)) or "nothing"
        reasons.append(f"nothing asks for a retrain (watched: {watched})")
    elif gain is not None and gain.estimate <= 0 and not ordered:
        retrain = False
        reasons.append(
            f"it would not pay: {gain.estimate:,.2f} expected after the cost of {situation.cost:,.2f}"
        )
    if gain is not None:
        reasons.append(f"expected gain {gain.estimate:,.2f} ({gain.low:,.2f} to {gain.high:,.2f})")
    return RetrainAdvice(
        retrain, tuple(reasons), tuple(str(trigger) for trigger, _ in fired), gain, situation.cost
    )


def expected_gain(situation: Situation) -> Interval | None:
    """What a retrain that restores the reference's value would bring over the horizon, less its cost.

    Measured value goes before estimated value. None where neither is known or nothing is priced.
    """
    if situation.value_before is None or not situation.findings:
        return None
    value = _known_value(situation.findings[-1])
    if value is None:
        return None
    lost = value.interval.scaled(-1.0).shifted(situation.value_before)
    return lost.scaled(situation.volume).shifted(-situation.cost)


def _known_value(finding: WindowFinding) -> Measured | None:
    for value in (finding.value, finding.estimated_value):
        if value is not None and value.status in ("known", "estimated") and value.interval.known:
            return value
    return None


def _on_drift(trigger: Trigger, situation: Situation) -> str:  # noqa: ARG001  (all triggers are asked alike)
    return situation.findings[-1].said_of_drift() if situation.findings else ""


def _on_performance(trigger: Trigger, situation: Situation) -> str:  # noqa: ARG001
    """Fires when the whole interval of the metric is worse than the reference."""
    if not situation.findings or situation.metric_before is None:
        return ""
    last, name = situation.findings[-1], situation.metric
    for kind, found in (("measured", last.performance.get(name)), ("estimated", last.estimated.get(name))):
        if found is None or found.status not in ("known", "estimated") or not found.interval.known:
            continue
        best = found.interval.high if situation.greater_is_better else found.interval.low
        worse = (
            best < situation.metric_before if situation.greater_is_better else best > situation.metric_before
        )
        if worse:
            return f"{name} {kind} at {found.interval}, {situation.metric_before:.4g} on the reference"
        return ""
    return ""


def _on_value(trigger: Trigger, situation: Situation) -> str:  # noqa: ARG001
    """Fires when the whole interval of value per decision is below the reference's."""
    value = _known_value(situation.findings[-1]) if situation.findings else None
    if value is None or situation.value_before is None or not value.interval.high < situation.value_before:
        return ""
    before = f"{situation.value_before:.4g} on the reference"
    return f"a decision is worth {value.interval} ({value.status}), {before}"


def _on_contract(trigger: Trigger, situation: Situation) -> str:  # noqa: ARG001
    """Fires when more than a twentieth of the requests broke the contract."""
    share = situation.findings[-1].violation_share if situation.findings else None
    return "" if not share or share < MANY_VIOLATIONS else f"{share:.1%} of requests broke the contract"


MANY_VIOLATIONS = 0.05


def _on_schedule(trigger: Trigger, situation: Situation) -> str:
    written = trigger.argument or ""
    every: timedelta = parse_duration(_SCHEDULES.get(written, written))
    age = situation.now - situation.trained_at
    return f"last trained {situation.trained_at:%Y-%m-%d %H:%M}, {written}" if age >= every else ""


def _on_labels(trigger: Trigger, situation: Situation) -> str:
    try:
        wanted = int((trigger.argument or "").replace("_", ""))
    except ValueError:
        raise SpecFault(f"{trigger} is no trigger; a number was expected.", hint="labels: 5000") from None
    return f"{situation.new_labels} new labels" if situation.new_labels >= wanted else ""


_TRIGGERS: dict[str, Callable[[Trigger, Situation], str]] = {
    "drift": _on_drift,
    "performance": _on_performance,
    "value": _on_value,
    "contract": _on_contract,
    "schedule": _on_schedule,
    "labels": _on_labels,
}
