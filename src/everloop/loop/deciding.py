"""Whether to retrain: asked after each window, answered with its reasons, doing nothing included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from everloop.core.clock import parse_time
from everloop.core.errors import EverloopError
from everloop.core.ids import new_id
from everloop.core.values import to_jsonable
from everloop.deploy.versions import open_rollout
from everloop.loop.run import run_once
from everloop.measure.metrics import METRICS
from everloop.monitor.decide import Situation, advise
from everloop.record.rows import DecisionRow

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
HORIZON = timedelta(days=30)


def decide(workspace: Workspace, judged: Sequence[Judged], known_actuals: int, now: datetime) -> DecisionRow:
    """Decides after judging windows, and writes the decision down.

    Args:
        workspace: The lifecycle.
        judged: The windows that were judged now, oldest first.
        known_actuals: How many actuals have come since the champion was trained.
        now: The time of asking.

    Returns:
        The decision: `retrain` or `nothing`, with the advice as evidence.
    """
    latest = judged[-1]
    situation = _situation(workspace, judged, known_actuals, now)
    advice = advise(workspace.spec.monitor.retrain.on, situation)
    held = _held_back(workspace, now) if advice.retrain else None
    decision = DecisionRow(
        id=new_id("decision", now),
        lifecycle=workspace.name,
        at=now,
        kind="retrain",
        answer="retrain" if advice.retrain and held is None else "nothing",
        reason="; ".join((*((held,) if held else ()), *advice.reasons)),
        facts=advice.to_dict() | {"window": latest.row.id, "version": latest.version.row.number},
    )
    with workspace.record.transaction():
        workspace.record.add(decision)
        workspace.record.link(latest.row.id, decision.id, "window")
        for alert in latest.alerts:
            workspace.record.link(alert.id, decision.id, "alert")
    return decision


def retrain(workspace: Workspace, decision: DecisionRow, now: datetime) -> RunResult | DecisionRow:
    """Carries a decision to retrain out; a pass that fails is a decision to try later.

    Returns:
        The pass, or the decision that says why it failed.
    """
    record = workspace.record
    try:
        result = run_once(workspace, as_of=now, reason=f"retrain: {decision.reason}")
    except EverloopError as error:
        failures = int(record.state(workspace.name, "retrain_failures") or 0) + 1
        waits = _window(workspace) * FIRST_BACK_OFF * 2 ** (failures - 1)
        failed = DecisionRow(
            id=new_id("decision", now),
            lifecycle=workspace.name,
            at=now,
            kind="retrain",
            answer="failed",
            reason=f"{error.message} It is tried again after {to_jsonable(now + waits)}.",
            facts={"error": error.to_dict(), "failures": failures},
        )
        with record.transaction():
            record.add(failed)
            record.link(decision.id, failed.id, "retrain")
            record.set_state(workspace.name, "retrain_failures", failures)
            record.set_state(workspace.name, "retrain_not_before", to_jsonable(now + waits))
        return failed
    with record.transaction():
        record.link(decision.id, result.run.id, "retrain")
        record.set_state(workspace.name, "retrain_failures", 0)
        record.set_state(
            workspace.name, "retrain_not_before", to_jsonable(now + SETTLING_WINDOWS * _window(workspace))
        )
    return result


def trained_at(version: ServedVersion) -> datetime:
    """Gives the time of the data that a version was trained on."""
    as_of = version.row.facts.get("as_of")
    return parse_time(as_of) if as_of else version.row.at


def _situation(
    workspace: Workspace, judged: Sequence[Judged], known_actuals: int, now: datetime
) -> Situation:
    latest = judged[-1]
    version, spec = latest.version, workspace.spec
    facts = version.reference.facts
    metric = version.frame.metric
    hours = (spec.model.budget.seconds or 0.0) / 3600
    return Situation(
        findings=[_against_today(found) for found in judged],
        now=now,
        trained_at=trained_at(version),
        new_labels=known_actuals,
        value_before=facts.get("gain", facts.get("value_per_decision")),
        metric_before=version.row.metrics.get(metric),
        metric=metric,
        greater_is_better=METRICS[metric].greater_is_better,
        volume=_volume(workspace, latest.finding),
        cost=spec.goal.costs.training_hour * hours + spec.goal.costs.label * known_actuals,
    )


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


def _held_back(workspace: Workspace, now: datetime) -> str | None:
    rollout = open_rollout(workspace.record, workspace.name)
    if rollout is not None:
        return f"not while a rollout is under way ({rollout.state})"
    kept = workspace.record.state(workspace.name, "retrain_not_before")
    if kept is not None and now < parse_time(kept):
        return f"not before {kept[:10]}: the last retrain is given time to show itself"
    return None


def _window(workspace: Workspace) -> timedelta:
    return workspace.spec.monitor.window.time or timedelta(days=1)
