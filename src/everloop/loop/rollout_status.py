"""Where a rollout stands: its share and step, what each guard knows, and what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.deploy.rollout import shares
from everloop.deploy.versions import open_rollout
from everloop.loop.rolling import LOOKED
from everloop.record.rows import DecisionRow, RolloutRow, VersionRow
from everloop.report.writing import money, number, percent, plural

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace

_A_PERSON = {"waiting": "approve, or reject", "paused": "resume, promote or abort"}
"""What a person may do where a rollout waits for one, by its state."""


def read_rollout(workspace: Workspace) -> dict[str, Any]:
    """Reads the rollout under way, or the last one, what its last look saw, and its decisions.

    Returns:
        `rollout` is its id, None where there was none yet; `look` None where nobody has looked yet; `next`
        what it waits for, None where it has ended.
    """
    record = workspace.record
    last = record.find(RolloutRow, order="-at", limit=1, lifecycle=workspace.name)
    rollout = open_rollout(record, workspace.name) or (last[0] if last else None)
    if rollout is None:
        return {"rollout": None}

    def label(identity: str | None) -> str | None:
        return f"v{record.get(VersionRow, identity).number}" if identity else None

    found = record.state(workspace.name, LOOKED) or {}
    look = found if found.get("rollout") == rollout.id else None
    decisions = record.find(DecisionRow, order="at", lifecycle=workspace.name)
    return {
        "look": look,
        "rollout": rollout.id,
        "state": rollout.state,
        "strategy": rollout.strategy,
        "champion": label(rollout.champion),
        "challenger": label(rollout.challenger),
        "step": rollout.step + 1,
        "steps": max(rollout.step + 1, len(shares(workspace.spec.deploy))),
        "share": rollout.share,
        "since": rollout.at,
        "next": awaited(rollout.state, look),
        "decisions": [
            {"id": row.id, "at": row.at, "answer": row.answer, "reason": row.reason}
            for row in decisions
            if row.facts.get("rollout") == rollout.id
        ],
    }


def awaited(state: str, look: dict[str, Any] | None) -> str | None:
    """Says what a rollout that is under way waits for, or who would look at it; None where it has ended."""
    if state in _A_PERSON:
        return f"a person decides: everloop rollout {_A_PERSON[state]}"
    if state != "running":
        return None
    return f"{look['next']}: {look['reason']}" if look else "nobody has looked at it yet: everloop up"


def findings_of(look: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Gives what each guard says, and the check of the split where there is one."""
    return [*look["guards"], *([look["split"]] if look["split"] else [])] if look else []


def evidence_of(finding: dict[str, Any]) -> str:
    """Says how far a guard is from an answer, where it bets: what its bets have grown to of what counts."""
    known = finding.get("evidence") or {}
    told = [
        f"of {name} {_grown(known[f'odds_of_{key}'], known[f'needed_for_{key}'])}"
        for name, key in (("harm", "harm"), ("no harm", "none"))
        if f"odds_of_{key}" in known
    ]
    return ", ".join(told)


def difference_of(look: dict[str, Any] | None) -> list[str]:
    """Says how a shadow differs from the champion: decisions, scores, and what decisions were worth."""
    seen = look["seen"] if look else {}
    told = []
    if "agreement" in seen:
        told.append(
            f"both decide {percent(seen['agreement'])} of rows alike; scores moved by "
            f"{number(seen['score_moved_by'])}, {number(seen['score_shift'], signed=True)} on average"
        )
    if "value_difference" in seen:
        rows = plural(seen["actuals"], "row")
        worth = money(seen["value_difference"], signed=True)
        told.append(f"its decisions would have been worth {worth} each against the champion's, on {rows}")
    return told


def _grown(odds: float, needed: float) -> str:
    return "enough" if odds >= needed else f"{number(odds)} of {number(needed)}"
