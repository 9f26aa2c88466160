"""The rollout under way: looked at, and moved where the evidence says so."""

from __future__ import annotations

import socket
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from everloop.core.clock import parse_time
from everloop.core.errors import RecordBusy, UsageFault
from everloop.core.ids import new_id
from everloop.core.values import to_jsonable
from everloop.deploy.guards import guarded, look_at, seen, split_finding
from everloop.deploy.release import apply_move
from everloop.deploy.rollout import STRATEGIES, Evidence, next_move
from everloop.deploy.versions import open_rollout
from everloop.loop.looking import RolloutLog, look_of
from everloop.loop.notifying import silence_of
from everloop.measure.sequential import FEWEST
from everloop.record.rows import AlertRow, DecisionRow, RolloutRow

if TYPE_CHECKING:
    from everloop.deploy.guards import Look
    from everloop.loop.workspace import Workspace
    from everloop.runtime.log import LogSpan

LEASE = timedelta(minutes=1)
"""A controller that says nothing for so long has given the rollout up."""
LOOKED = "rollout_look"
"""Under this key of the record lies what the last look saw, for whoever asks why a rollout waits."""
_ALERTS = {"ask": "info", "escalate": "warning", "roll_back": "warning"}
"""The moves that people are told of, and how urgently."""


def advance(workspace: Workspace, span: LogSpan, now: datetime) -> DecisionRow | None:
    """Looks at the rollout under way and makes the move that its evidence asks for.

    Args:
        workspace: The lifecycle.
        span: What is read of the prediction log.
        now: The time of asking.

    Returns:
        The decision, or None where there is no rollout, nothing is to be done yet, or another controller
        drives it.
    """
    rollout = open_rollout(workspace.record, workspace.name)
    if rollout is None or not _drives(workspace, now):
        return None
    log = RolloutLog.since(span, rollout.at)
    look = look_of(workspace, rollout, log, now)
    evidence = gather(workspace, rollout, log, look, now)
    approve = workspace.spec.monitor.retrain.approve == "manual"
    move = next_move(rollout, workspace.spec.deploy, evidence, approve=approve)
    facts = {"rollout": rollout.id, "at": now, "next": move.kind, "reason": move.reason}
    guards = {"guards": evidence.guards, "split": evidence.split, "seen": seen(look)}
    workspace.record.set_state(workspace.name, LOOKED, to_jsonable(facts | guards))
    try:
        decision = apply_move(workspace.record, rollout, move, evidence, now)
    except (RecordBusy, UsageFault):
        # A person, or another controller, moved or ended it meanwhile: the next tick looks again.
        return None
    if decision is not None and move.kind in _ALERTS:
        tell_move(workspace, decision)
    return decision


def tell_move(workspace: Workspace, decision: DecisionRow) -> None:
    """Raises the alert of a move that people are told of."""
    alert = AlertRow(
        id=new_id("alert", decision.at),
        lifecycle=workspace.name,
        at=decision.at,
        kind="rollout",
        severity=_ALERTS[decision.answer],
        message=f"rollout, {decision.answer.replace('_', ' ')}: {decision.reason}",
        facts={
            "rollout": decision.facts["rollout"],
            "decision": decision.id,
            **silence_of(workspace, "rollout", decision.at),
        },
    )
    with workspace.record.transaction():
        workspace.record.add(alert)
        workspace.record.link(decision.id, alert.id, "rollout")


def gather(workspace: Workspace, rollout: RolloutRow, log: RolloutLog, look: Look, now: datetime) -> Evidence:
    """Gathers what a move rests on, from all that was looked at."""
    import polars as pl

    begun = parse_time(rollout.facts["step_since"])
    adapts = STRATEGIES[rollout.strategy].adapts
    spec = guarded(workspace.spec.deploy, by_value=adapts and workspace.spec.goal.value is not None)
    mine = (pl.col("arm") != "champion") & (pl.col("time") >= begun)
    return Evidence(
        guards=look_at(spec, look),
        requests=log.lines.filter(mine).height,
        seconds=(now - begun).total_seconds(),
        split=split_finding(look),
        preference=preference(look) if adapts else None,
        extensions=int(rollout.facts.get("extensions", 0)),
    )


def preference(look: Look) -> float | None:
    """Says how likely it is that the challenger's decisions are worth more: what a bandit's share follows.

    Drawing requests by it is Thompson's rule for two arms. The versions are priced on the same rows, so
    what it learns from does not depend on whom it sent where.

    Source:
        Thompson, Biometrika 25 (1933).
    """
    from scipy.special import ndtr

    if look.hidden:
        return None
    champion, challenger = look.known.champion.values, look.known.challenger.values
    if champion is None or challenger is None or champion.size < FEWEST:
        return None
    differences = challenger - champion
    error = float(differences.std(ddof=1)) / np.sqrt(differences.size)
    return float(ndtr(differences.mean() / error)) if error > 0 else 0.5


def _drives(workspace: Workspace, now: datetime) -> bool:
    """Takes or keeps the sole right to drive the rollout; one process on each machine asks for it."""
    holder = f"{socket.gethostname()}:{workspace.state_folder.resolve()}"
    return workspace.record.lease(f"rollout:{workspace.name}", holder, now + LEASE, now)
