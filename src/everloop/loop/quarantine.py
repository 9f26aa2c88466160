"""Corrupted parts of the data: kept out of training, on record, until a person releases them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.core.errors import NotFound, UsageFault
from everloop.core.ids import new_id
from everloop.record.rows import DecisionRow

if TYPE_CHECKING:
    from everloop.engine import Done
    from everloop.loop.workspace import Workspace

KIND = "quarantine"
_RELEASED, _KNOWN = "parts_released", "parts_quarantined"


@dataclass(frozen=True)
class KeptOut:
    """A part that is or was kept out.

    Attributes:
        part: Its name, such as ``2026-05``.
        decision: The decision that kept it out.
        released: The decision that released it, or None.
    """

    part: str
    decision: DecisionRow
    released: DecisionRow | None = None


def released_parts(workspace: Workspace) -> tuple[str, ...]:
    """Names the parts that a person released."""
    return tuple(workspace.record.state(workspace.name, _RELEASED) or {})


def put_on_record(workspace: Workspace, judged: Done) -> None:
    """Writes a decision for each part that is kept out for the first time."""
    record, now = workspace.record, workspace.clock.now()
    known: dict[str, str] = dict(record.state(workspace.name, _KNOWN) or {})
    new = [one for one in judged.facts["quarantined"] if one["part"] not in known]
    if not new:
        return
    with record.transaction():
        for one in new:
            decision = DecisionRow(
                id=new_id("decision", now),
                lifecycle=workspace.name,
                at=now,
                kind=KIND,
                answer="quarantined",
                reason=f"{one['part']} ({one['rows']:,} rows) is unlike all earlier parts: {one['reason']}",
                facts={"span": judged.facts["span"], **one},
            )
            record.add(decision)
            record.link(judged.id, decision.id, "judged")
            known[one["part"]] = decision.id
        record.set_state(workspace.name, _KNOWN, known)


def kept_out(workspace: Workspace) -> list[KeptOut]:
    """Gives every part that was kept out, in their order, with its release where there is one."""
    record = workspace.record
    known: dict[str, str] = record.state(workspace.name, _KNOWN) or {}
    released: dict[str, str] = record.state(workspace.name, _RELEASED) or {}
    return [
        KeptOut(
            part,
            record.get(DecisionRow, decision),
            record.get(DecisionRow, released[part]) if part in released else None,
        )
        for part, decision in sorted(known.items())
    ]


def release_part(workspace: Workspace, identity: str, *, by: str, reason: str = "") -> DecisionRow:
    """Says that a part which was kept out is right; the next run trains on it again.

    Args:
        workspace: The lifecycle.
        identity: The part's name, or the id of the decision that kept it out.
        by: Who says so.
        reason: Why.

    Raises:
        NotFound: No such part was kept out.
        UsageFault: It is released already.
    """
    record, now = workspace.record, workspace.clock.now()
    found = next((one for one in kept_out(workspace) if identity in (one.part, one.decision.id)), None)
    if found is None:
        raise NotFound(f"No part {identity!r} was kept out.", hint="everloop data quarantine list")
    if found.released is not None:
        raise UsageFault(f"{found.part} is released already, by {found.released.facts['by']}.")
    facts: dict[str, Any] = {"part": found.part, "by": by}
    told = f"{by} released {found.part}{f': {reason}' if reason else ''}"
    decision = DecisionRow(
        id=new_id("decision", now),
        lifecycle=workspace.name,
        at=now,
        kind=KIND,
        answer="released",
        reason=told,
        facts=facts,
    )
    with record.transaction():
        record.add(decision)
        record.link(found.decision.id, decision.id, "released")
        released = dict(record.state(workspace.name, _RELEASED) or {})
        record.set_state(workspace.name, _RELEASED, released | {found.part: decision.id})
    return decision
