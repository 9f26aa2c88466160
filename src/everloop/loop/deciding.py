"""Whether to retrain: asked after each window, answered with its reasons, doing nothing included.

Standing orders (a schedule, new labels, a new contract) are looked at between windows, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from everloop.core.clock import parse_time
from everloop.core.errors import EverloopError, RecordBusy
from everloop.core.ids import new_id
from everloop.core.values import to_jsonable
from everloop.deploy.versions import open_rollout, require_champion
from everloop.loop.notifying import silence_of
from everloop.loop.pass_ import LATEST
from everloop.loop.ruling import asked_outside
from everloop.loop.run import run_once
from everloop.measure.metrics import METRICS
from everloop.monitor.decide import RetrainAdvice, advise
from everloop.monitor.situation import Situation
from everloop.monitor.triggers import BETWEEN
from everloop.record.rows import AlertRow, DecisionRow

if TYPE_CHECKING:
    from everloop.loop.pass_ import RunResult
    from everloop.loop.served import ServedVersion
    from everloop.loop.watching import Judged
    from everloop.loop.workspace import Workspace
    from everloop.monitor.finding import WindowFinding

# A new version is watched for so many windows before the next retrain is considered.
SETTLING_WINDOWS = 3
# A retrain that failed is tried again after this many windows, then twice as many, and so on.
FIRST_BACK_OFF = 1
MOST_BACK_OFF = 2**6
HORIZON = timedelta(days=30)
WAITS, FAILURES = "retrain_waits", "retrain_failures"


@dataclass(frozen=True)
class Asking:
    """What a decision is made on.

    Attributes:
        judged: The windows that were judged now, oldest first; none between windows.
        labels_since: Tells how many actuals have come since a time.
        now: The time of asking.
    """

    judged: Sequence[Judged]
    labels_since: Callable[[datetime], int]
    now: datetime


def decide(workspace: Workspace, asking: Asking) -> DecisionRow | None:
    """Decides whether to retrain, and writes the decision down.

    Args:
        workspace: The lifecycle.
        asking: What is known. Without a window standing orders alone are looked at, and what asks for
            nothing, or cannot be followed yet, is not written down each time.

    Returns:
        The decision: `retrain` or `nothing`, with the advice as evidence; None where there is none.

    Raises:
        SpecFault: When a trigger cannot be read, or a function of the user's fails.
    """
    latest = asking.judged[-1] if asking.judged else None
    retrain, now = workspace.spec.monitor.retrain, asking.now
    triggers = tuple(one for one in retrain.on if latest is not None or one.kind in BETWEEN)
    if latest is None and not triggers:
        return None
    version = latest.version if latest else _serving(workspace)
    situation = _situation(workspace, version, asking)
    advice = advise(triggers, situation, if_it_pays=retrain.if_it_pays)
    held = _held_back(workspace, advice, now) if advice.retrain else None
    follows = advice.retrain and held is None
    if latest is None and not follows:
        return None
    decision = DecisionRow(
        id=new_id("decision", now),
        lifecycle=workspace.name,
        at=now,
        kind="retrain",
        answer="retrain" if follows else "nothing",
        reason="; ".join((*((held,) if held else ()), *advice.reasons)),
        facts=advice.to_dict() | {"window": latest.row.id if latest else None, "version": version.row.number},
    )
    with workspace.record.transaction():
        workspace.record.add(decision)
        if latest is None:
            workspace.record.link(version.row.id, decision.id, "version")
        else:
            workspace.record.link(latest.row.id, decision.id, "window")
            for alert in latest.alerts:
                workspace.record.link(alert.id, decision.id, "alert")
    return decision


def unfinished(workspace: Workspace) -> DecisionRow | None:
    """Gives the last decision where it says to retrain and was not carried out: its process was killed.

    What a person asked for is left to the person.
    """
    found = workspace.record.find(DecisionRow, lifecycle=workspace.name, kind="retrain", order="-at", limit=1)
    if not found or found[0].answer != "retrain" or "who" in found[0].facts:
        return None
    links = workspace.record.effects(found[0].id)
    return None if any(link.role == "retrain" for link in links) else found[0]


def retrain_by_hand(workspace: Workspace, who: str, reason: str, as_of: datetime | None) -> RunResult:
    """Retrains since a person asked for it, at once and whatever is expected; the decision is on record.

    Args:
        workspace: The lifecycle.
        who: Who asked.
        reason: Why.
        as_of: Take the data as it was known then; None for now.

    Raises:
        RecordBusy: When another pass is under way.
        EverloopError: What stopped the pass.
    """
    now = workspace.clock.now()
    told = f"by hand, {who}" + (f": {reason}" if reason else "")
    facts = {"who": who, "triggered": ["by hand"]}
    decision = DecisionRow(new_id("decision", now), workspace.name, now, "retrain", "retrain", told, facts)
    workspace.record.add(decision)
    result = run_once(workspace, as_of=as_of, reason=f"retrain: {told}")
    settled(workspace, decision, result, now)
    return result


def retrain(workspace: Workspace, decision: DecisionRow, now: datetime) -> RunResult | DecisionRow:
    """Carries a decision to retrain out; a pass that fails is a decision to try later.

    The data is taken as it was known when that was decided, so that a pass that was killed goes on.

    Returns:
        The pass, or the decision that says why it failed.
    """
    try:
        result = run_once(workspace, as_of=decision.at, reason=f"retrain: {decision.reason}")
    except RecordBusy as busy:  # somebody else is at it: that is no failure
        return _postponed(workspace, decision, busy, now)
    except Exception as error:  # noqa: BLE001  (whatever a learner raises, the next try waits longer)
        return _failed(workspace, decision, error, now)
    settled(workspace, decision, result, now)
    return result


def settled(workspace: Workspace, decision: DecisionRow, result: RunResult, now: datetime) -> None:
    """Notes that a retrain came to its end: failures are forgotten, and its version is given time."""
    record = workspace.record
    with record.transaction():
        record.link(decision.id, result.run.id, "retrain")
        record.set_state(workspace.name, FAILURES, 0)
        until = now + SETTLING_WINDOWS * workspace.spec.monitor.window.length
        wait(workspace, until, "the last retrain is given time to show itself", orders=False)


def _postponed(workspace: Workspace, decision: DecisionRow, busy: RecordBusy, now: datetime) -> DecisionRow:
    until = now + workspace.spec.monitor.window.length
    told = f"{busy.message} It is asked again after {to_jsonable(until)}."
    later = _follow_up(workspace, decision, "postponed", told, now)
    with workspace.record.transaction():
        workspace.record.add(later)
        workspace.record.link(decision.id, later.id, "retrain")
        wait(workspace, until, "another run was under way", orders=True)
    return later


def _failed(workspace: Workspace, decision: DecisionRow, error: Exception, now: datetime) -> DecisionRow:
    record = workspace.record
    failures = int(record.state(workspace.name, FAILURES) or 0) + 1
    until = now + workspace.spec.monitor.window.length * min(
        FIRST_BACK_OFF * 2 ** (failures - 1), MOST_BACK_OFF
    )
    if isinstance(error, EverloopError):
        told, cause = error.message, error.to_dict()
    else:
        told = f"{type(error).__name__}: {error}."
        cause = {"code": type(error).__name__, "message": str(error)}
    failed = replace(
        _follow_up(
            workspace, decision, "failed", f"{told} It is tried again after {to_jsonable(until)}.", now
        ),
        facts={"decision": decision.id, "error": cause, "failures": failures},
    )
    alert = AlertRow(
        id=new_id("alert", now),
        lifecycle=workspace.name,
        at=now,
        kind="retrain",
        severity="warning",
        message=f"a retrain failed, {failures} in a row: {failed.reason}",
        facts={"decision": failed.id, **silence_of(workspace, "retrain", now)},
    )
    with record.transaction():
        record.add(failed)
        record.link(decision.id, failed.id, "retrain")
        record.add(alert)
        record.link(failed.id, alert.id, "retrain")
        record.set_state(workspace.name, FAILURES, failures)
        in_a_row = f"{failures} retrain{'s' * (failures > 1)} in a row failed"
        wait(workspace, until, in_a_row, orders=True)
    return failed


def _serving(workspace: Workspace) -> ServedVersion:
    return workspace.served(require_champion(workspace.record, workspace.name, "watch"))


def _follow_up(
    workspace: Workspace, decision: DecisionRow, answer: str, reason: str, now: datetime
) -> DecisionRow:
    facts = {"decision": decision.id}
    return DecisionRow(new_id("decision", now), workspace.name, now, "retrain", answer, reason, facts)


def trained_at(version: ServedVersion) -> datetime:
    """Gives the time of the data that a version was trained on."""
    as_of = version.row.facts.get("as_of")
    return parse_time(as_of) if as_of else version.row.at


def _situation(workspace: Workspace, version: ServedVersion, asking: Asking) -> Situation:
    spec, judged = workspace.spec, asking.judged
    last: dict[str, Any] = workspace.record.state(workspace.name, LATEST) or {}
    trained = trained_at(version)
    trained = max(trained, parse_time(last["at"])) if last else trained
    labels = asking.labels_since(trained)
    facts = version.reference.facts
    metric = version.frame.metric
    hours = (spec.model.budget.seconds or 0.0) / 3600
    situation = Situation(
        findings=[_against_today(found) for found in judged],
        now=asking.now,
        trained_at=trained,
        new_labels=labels,
        value_before=facts.get("gain", facts.get("value_per_decision")),
        metric_before=version.row.metrics.get(metric),
        metric=metric,
        greater_is_better=METRICS[metric].greater_is_better,
        volume=_volume(workspace, judged[-1].finding) if judged else 0.0,
        cost=spec.goal.costs.training_hour * hours + spec.goal.costs.label * labels,
    )
    return replace(situation, outside=asked_outside(workspace, situation, last.get("contract")))


def _against_today(found: Judged) -> WindowFinding:
    """Gives the finding with its value taken against today's, where the reference has that too.

    The plain value of a decision falls whenever more goes wrong in the world, with any model; what a
    model adds to today's decisions is what a retrain could win back.
    """
    finding = found.finding
    if "gain" not in found.version.reference.facts or finding.against_today is None:
        return finding
    return replace(finding, value=finding.against_today, estimated_value=None)


def _volume(workspace: Workspace, finding: WindowFinding) -> float:
    """Predictions expected over the horizon: as the file says, else as the window had them."""
    if workspace.spec.goal.volume is not None:
        return workspace.spec.goal.volume.per_month * (HORIZON / timedelta(days=30))
    return finding.predictions * (HORIZON / (finding.until - finding.since))


def _held_back(workspace: Workspace, advice: RetrainAdvice, now: datetime) -> str | None:
    """Says why a retrain has to wait: standing orders wait for a rollout and after failures alone."""
    record = workspace.record
    rollout = open_rollout(record, workspace.name)
    if rollout is not None:
        return f"not while a rollout is under way ({rollout.state})"
    kept = record.state(workspace.name, WAITS)
    if kept is None or now >= parse_time(kept["until"]) or (advice.ordered and not kept["orders"]):
        return None
    return f"not before {kept['until'][:16]}: {kept['why']}"


def wait(workspace: Workspace, until: datetime, why: str, *, orders: bool) -> None:
    """Notes until when no retrain is made; whether standing orders wait, too."""
    kept = {"until": to_jsonable(until), "why": why, "orders": orders}
    workspace.record.set_state(workspace.name, WAITS, kept)
