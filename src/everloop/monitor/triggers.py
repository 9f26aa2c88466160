"""What asks for a retrain: each kind of trigger, with the reason that it gives when it fires."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from everloop.core.errors import SpecFault, UsageFault
from everloop.core.schedule import Schedule
from everloop.monitor.situation import FACTS, Situation
from everloop.spec.fields import Trigger

MANY_VIOLATIONS = 0.05
ORDERS = ("schedule", "labels", "contract", "rule", "python")
"""Standing orders of the owner: followed whether or not a gain is expected."""
BETWEEN = ("schedule", "labels", "contract")
"""What is looked at between windows, too: it reads nothing of a window."""


def fired(trigger: Trigger, situation: Situation) -> str:
    """Tells why a trigger asks for a retrain; empty where it does not.

    Raises:
        SpecFault: When its argument cannot be read.
    """
    return _TRIGGERS[trigger.kind](trigger, situation)


def read_rule(sql: str) -> Callable[[dict[str, Any]], Any]:
    """Reads a rule over the facts of a situation, such as ``drift > 1.5 and days >= 14``.

    Raises:
        SpecFault: When it is no condition, or names what is no fact.
    """
    from everloop.table.expression import parse, to_row

    try:
        expression = parse(sql, {name: kind for name, (kind, _) in FACTS.items()})
    except SpecFault as fault:
        raise SpecFault(fault.message, hint=fault.hint or f"facts: {', '.join(FACTS)}") from fault
    if expression.type != "boolean":
        raise SpecFault(
            f"{sql!r} is a {expression.type}; a condition was expected.",
            hint="rule: drift > 1.5 and days >= 14",
        )
    return to_row(expression)


def _on_drift(_: Trigger, situation: Situation) -> str:
    return situation.last.said_of_drift() if situation.last else ""


def _on_performance(_: Trigger, situation: Situation) -> str:
    """Fires when the whole interval of the metric is worse than the reference."""
    found = situation.measured_metric
    if found is None or situation.metric_before is None:
        return ""
    kind, metric = found
    better = situation.greater_is_better
    best = metric.interval.high if better else metric.interval.low
    if not (best < situation.metric_before if better else best > situation.metric_before):
        return ""
    before = f"{situation.metric_before:.4g} on the reference"
    return f"{situation.metric} {kind} at {metric.interval}, {before}"


def _on_value(_: Trigger, situation: Situation) -> str:
    """Fires when the whole interval of value per decision is below the reference's."""
    value = situation.value
    if value is None or situation.value_before is None or not value.interval.high < situation.value_before:
        return ""
    before = f"{situation.value_before:.4g} on the reference"
    return f"a decision is worth {value.interval} ({value.status}), {before}"


def _on_contract(trigger: Trigger, situation: Situation) -> str:
    """Fires when the contract is another, or more than a twentieth of the requests broke it."""
    share = situation.last.violation_share if situation.last else None
    if share and share >= MANY_VIOLATIONS:
        return f"{share:.1%} of requests broke the contract"
    return _elsewhere(trigger, situation)


def _on_schedule(trigger: Trigger, situation: Situation) -> str:
    try:
        due = Schedule.parse(trigger.argument or "").due(situation.trained_at, situation.now)
    except UsageFault as fault:
        raise SpecFault(f"{trigger} is no trigger: {fault.message}", hint=fault.hint) from None
    if due is None:
        return ""
    return f"due since {due:%Y-%m-%d %H:%M}, last trained {situation.trained_at:%Y-%m-%d %H:%M}"


def _on_labels(trigger: Trigger, situation: Situation) -> str:
    try:
        wanted = int((trigger.argument or "").replace("_", ""))
    except ValueError:
        raise SpecFault(f"{trigger} is no trigger; a number was expected.", hint="labels: 5000") from None
    return f"{situation.new_labels} new labels" if situation.new_labels >= wanted else ""


def _on_rule(trigger: Trigger, situation: Situation) -> str:
    facts = situation.facts()
    written = trigger.argument or ""
    if read_rule(written)(facts) is not True:
        return ""
    named = [name for name in FACTS if name in written and facts[name] is not None]
    return ", ".join(f"{name} {_told(facts[name])}" for name in named) or "it holds"


def _told(fact: Any) -> str:
    return f"{fact:.4g}" if isinstance(fact, float) else str(fact)


def _elsewhere(trigger: Trigger, situation: Situation) -> str:
    return situation.outside.get(str(trigger), "")


_TRIGGERS: dict[str, Callable[[Trigger, Situation], str]] = {
    "drift": _on_drift,
    "performance": _on_performance,
    "value": _on_value,
    "contract": _on_contract,
    "schedule": _on_schedule,
    "labels": _on_labels,
    "rule": _on_rule,
    "python": _elsewhere,
}
