"""Releases and rollouts in the record: each move one transaction, each with its decision.

The record is the truth; `routing.json` is what the server reads of it. `project` writes it anew from
the record, so a process that was killed between the two is repaired by the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import RecordBusy, UsageFault
from everloop.core.ids import content_id, new_id
from everloop.core.values import to_jsonable
from everloop.deploy.rollout import STRATEGIES, Evidence, Move, require_open, shares
from everloop.deploy.versions import champion, deployment, open_rollout, set_status
from everloop.record.faults import AlreadyRecorded
from everloop.record.rows import DecisionRow, DeploymentRow, RolloutRow, VersionRow
from everloop.runtime.routing import Arm, Routing, read_routing, write_routing

if TYPE_CHECKING:
    from everloop.record import Record
    from everloop.record.store import ArtifactStore
    from everloop.spec import DeploySpec

# What a move makes of the rollout's state.
_STATES = {
    "advance": "running",
    "reweigh": "running",
    "extend": "running",
    "ask": "waiting",
    "escalate": "waiting",
    "promote": "promoted",
    "roll_back": "rolled_back",
}
# How a version is linked to the decisions that brought it out.
_ROLES = ("released", "challenger")
# Where a package lies in the artifact of its step.
PACKAGE_FOLDER = "package"
# What a hand may do: the verb to the states it may be done in and the state it leads to.
BY_HAND: dict[str, tuple[tuple[str, ...], str]] = {
    "pause": (("running",), "paused"),
    "resume": (("paused", "waiting"), "running"),
    "promote": (("running", "paused", "waiting"), "promoted"),
    "approve": (("waiting",), "promoted"),
    "reject": (("waiting",), "aborted"),
    "abort": (("running", "paused", "waiting"), "aborted"),
}
_APPROVING = ("promote", "approve", "reject")
"""What the approvers alone may do, where the file names them."""


def release(
    record: Record,
    version: VersionRow,
    spec: DeploySpec,
    at: datetime,
    *,
    gate: str | None = None,
    who: str = "",
    reason: str = "",
) -> DecisionRow:
    """Releases a version that passed its gate: at once where nothing serves, else by a rollout.

    A version that serves already, or is on its way, stays as it is.

    Args:
        record: The record.
        version: The version.
        spec: The file's `deploy` part.
        at: Now.
        gate: The id of the gate's decision, which this one follows from.
        who: Who asked for it, where a person did.
        reason: Why they did.

    Returns:
        The decision.

    Raises:
        UsageFault: When another rollout is under way.
    """
    with record.transaction():
        serving = champion(record, version.lifecycle)
        under_way = open_rollout(record, version.lifecycle)
        on_its_way = under_way is not None and under_way.challenger == version.id
        if on_its_way or (serving is not None and serving.id == version.id):
            return released_by(record, version.id)
        if under_way is not None:
            raise UsageFault(
                f"A rollout is under way ({under_way.id}); a second one cannot start.",
                hint="everloop rollout promote, or everloop rollout abort",
            )
        told = _Told(_notices(record, gate), who, reason)
        if serving is None:
            decision = _first_release(record, version, at, told)
        else:
            decision = _start_rollout(record, version, serving, spec, at, told)
        if gate is not None:
            record.link(gate, decision.id, "gate")
    return decision


def apply_move(
    record: Record, rollout: RolloutRow, move: Move, evidence: Evidence, at: datetime
) -> DecisionRow | None:
    """Writes a move of a rollout; waiting writes nothing.

    Args:
        record: The record.
        rollout: The rollout as it stood when the move was decided.
        move: What to do.
        evidence: What the move rests on; kept with the decision.
        at: Now.

    Returns:
        The decision, or None where the move is to wait.

    Raises:
        UsageFault: When the rollout has ended: what was promoted is not sent back by a slow controller.
        RecordBusy: When somebody else moved it meanwhile.
    """
    if move.kind == "wait":
        return None
    facts = {
        "requests": evidence.requests,
        "seconds": evidence.seconds,
        "guards": to_jsonable(list(evidence.guards)),
        "split": to_jsonable(evidence.split),
        "preference": evidence.preference,
    }
    return _change(record, rollout, move, _STATES[move.kind], facts, at)


def take_back(
    record: Record, rollout: RolloutRow, reason: str, facts: dict[str, Any], at: datetime
) -> DecisionRow:
    """Takes a version back that was promoted: the one before it serves again.

    Args:
        record: The record.
        rollout: The rollout by which the version was promoted.
        reason: Why.
        facts: The evidence.
        at: Now.

    Raises:
        UsageFault: When the version does not serve any more, or another rollout is under way.
        RecordBusy: When somebody else moved it meanwhile.
    """
    return _change(record, rollout, Move("roll_back", rollout.step, 0.0, reason), "taken_back", facts, at)


def move_by_hand(
    record: Record,
    rollout: RolloutRow,
    verb: str,
    at: datetime,
    *,
    who: str,
    reason: str = "",
    approvers: Sequence[str] = (),
) -> DecisionRow:
    """Does what a person decided: one of `BY_HAND`. Who it was is kept with the decision.

    Args:
        record: The record.
        rollout: The rollout.
        verb: What to do.
        at: Now.
        who: Who decided.
        reason: Why.
        approvers: Who alone may promote, approve or reject; empty lets everyone who gives a name.

    Raises:
        UsageFault: When the rollout's state does not allow it, or the person may not.
    """
    require_open(rollout)
    allowed, state = BY_HAND[verb]
    if not who.strip():
        raise UsageFault(
            f"Nobody is named who decides to {verb}.", hint=f"everloop rollout {verb} --who NAME"
        )
    if approvers and verb in _APPROVING and who not in approvers:
        raise UsageFault(
            f"{who} may not {verb}; monitor.retrain.approvers names {', '.join(approvers)}.",
            hint=f"ask {' or '.join(approvers)}: whoever decides is kept with the decision",
        )
    if rollout.state not in allowed:
        raise UsageFault(
            f"The rollout is {rollout.state}; to {verb} it, it must be {' or '.join(allowed)}.",
            hint="everloop rollout status",
        )
    share = {"promoted": 1.0, "aborted": 0.0}.get(state, rollout.share)
    move = Move(verb, rollout.step, share, reason or f"by hand, {who}")
    return _change(record, rollout, move, state, {"who": who}, at)


def project(record: Record, store: ArtifactStore, lifecycle: str, path: Path) -> Routing | None:
    """Writes `routing.json` from the record, where it is not what the record says already.

    Args:
        record: The record.
        store: Where the packages are.
        lifecycle: The lifecycle's name.
        path: The file.

    Returns:
        What it says now; None before the first release.
    """
    now = deployment(record, lifecycle)
    if now is None or now.champion is None:
        return None
    rollout = open_rollout(record, lifecycle)
    serving = record.get(VersionRow, now.champion)
    challenger = None
    if rollout is not None and now.challenger is not None:
        version = record.get(VersionRow, now.challenger)
        challenger = _arm(store, version, rollout.share, rollout.strategy, rollout.id)
    routing = Routing(
        lifecycle=lifecycle,
        generation=now.generation,
        champion=_arm(store, serving, 1.0, "blue_green", ""),
        challenger=challenger,
    )
    if not path.exists() or read_routing(path) != routing:
        write_routing(path, routing)
    return routing


def _arm(store: ArtifactStore, version: VersionRow, share: float, strategy: str, salt: str) -> Arm:
    return Arm(
        version=version.number,
        package=str(store.open(version.package) / PACKAGE_FOLDER),
        share=share,
        strategy=strategy,
        salt=salt,
    )


def _notices(record: Record, gate: str | None) -> tuple[str, ...]:
    """Gives what the gate let pass and told all the same, such as a version that was not compiled."""
    return () if gate is None else tuple(record.get(DecisionRow, gate).facts.get("notices", ()))


@dataclass(frozen=True, slots=True)
class _Told:
    """What a release tells beside what it does: what the gate let pass, and who asked for it, and why."""

    notices: tuple[str, ...]
    who: str
    why: str

    def reason(self, *parts: str) -> str:
        asked = f"{self.why} ({self.who})" if self.why else f"by hand, {self.who}" if self.who else ""
        return "; ".join([*parts, *([asked] if asked else []), *self.notices])

    def facts(self) -> dict[str, Any]:
        known = {"notices": list(self.notices), "who": self.who}
        return {name: value for name, value in known.items() if value}


def _first_release(record: Record, version: VersionRow, at: datetime, told: _Told) -> DecisionRow:
    decision = DecisionRow(
        id=new_id("decision", at),
        lifecycle=version.lifecycle,
        at=at,
        kind="release",
        answer="champion",
        reason=told.reason(f"v{version.number} passed its gate and nothing served before it"),
        facts={"version": version.id, **told.facts()},
    )
    record.add(decision)
    record.link(version.id, decision.id, "released")
    _deploy(record, version.lifecycle, at, champion=version.id, challenger=None, decision=decision)
    set_status(record, version.id, "champion")
    return decision


def _start_rollout(
    record: Record,
    version: VersionRow,
    serving: VersionRow,
    spec: DeploySpec,
    at: datetime,
    told: _Told,
) -> DecisionRow:
    share = shares(spec)[0]
    rollout = RolloutRow(
        id=_rollout_id(record, version, serving, at),
        lifecycle=version.lifecycle,
        at=at,
        champion=serving.id,
        challenger=version.id,
        strategy=STRATEGIES[spec.strategy].name,
        state="running",
        step=0,
        share=share,
        facts={"step_since": to_jsonable(at)},
        updated_at=at,
    )
    beside = f"{rollout.strategy} of {share:.0%} beside v{serving.number}"
    decision = DecisionRow(
        id=new_id("decision", at),
        lifecycle=version.lifecycle,
        at=at,
        kind="rollout",
        answer="start",
        reason=told.reason(f"v{version.number} passed its gate", beside),
        facts={
            "rollout": rollout.id,
            "version": version.id,
            "champion": serving.id,
            "share": share,
            **told.facts(),
        },
    )
    record.add(rollout)
    record.add(decision)
    record.link(version.id, decision.id, "challenger")
    record.link(decision.id, rollout.id, "started")
    _deploy(record, version.lifecycle, at, champion=serving.id, challenger=version.id, decision=decision)
    set_status(record, version.id, "challenger")
    return decision


def _rollout_id(record: Record, version: VersionRow, serving: VersionRow, at: datetime) -> str:
    """Gives the id that arms are drawn by, from which versions are compared and when.

    So a past that is lived again splits its requests alike: two policies differ by what they do.
    """
    now = deployment(record, version.lifecycle)
    numbers = (now.generation if now else 0, serving.number, version.number)
    parts = (version.lifecycle, *map(str, numbers))
    return content_id("rollout", at, "\0".join(parts).encode())


def _change(
    record: Record, rollout: RolloutRow, move: Move, state: str, facts: dict[str, Any], at: datetime
) -> DecisionRow:
    decision = DecisionRow(
        id=new_id("decision", at),
        lifecycle=rollout.lifecycle,
        at=at,
        kind="rollout",
        answer=move.kind,
        reason=move.reason,
        facts=facts | {"rollout": rollout.id, "from": rollout.state, "step": move.step, "share": move.share},
    )
    notes = dict(rollout.facts)
    if move.step != rollout.step:
        notes |= {"step_since": to_jsonable(at), "extensions": 0}
    if move.kind == "extend" or (move.kind == "resume" and rollout.state == "waiting"):
        notes["extensions"] = int(notes.get("extensions", 0)) + 1
    moved = replace(rollout, state=state, step=move.step, share=move.share, facts=notes, updated_at=at)
    try:
        with record.transaction():
            _require_current(record, rollout, taken_back=state == "taken_back")
            record.add(decision)
            record.link(rollout.id, decision.id, "rollout")
            record.put(moved)
            _settle(record, rollout, state, at, decision)
    except AlreadyRecorded as error:
        # Both read the same state at once; the other one's generation was written first.
        raise RecordBusy(
            f"The rollout {rollout.id} was moved by another controller at the same time.",
            hint="everloop rollout status",
        ) from error
    return decision


def _require_current(record: Record, rollout: RolloutRow, *, taken_back: bool) -> None:
    """Refuses a move that was decided on an older state: another controller, or a person, was faster.

    Raises:
        UsageFault: When the rollout has ended.
        RecordBusy: When it has moved; looking at it again and deciding anew helps.
    """
    now = record.get(RolloutRow, rollout.id, hold=True)
    if taken_back and rollout.state == "promoted" == now.state:
        _require_serving(record, now)
    else:
        require_open(now)
    if now != rollout:
        raise RecordBusy(
            f"The rollout {rollout.id} has moved since: it is {now.state} at step {now.step} with "
            f"{now.share:.0%}, the move was decided at step {rollout.step}, {rollout.state}.",
            hint="everloop rollout status",
        )


def _require_serving(record: Record, rollout: RolloutRow) -> None:
    """Refuses to take a version back that does not serve any more, or that a challenger stands beside.

    Raises:
        UsageFault: When it is so.
    """
    serving = deployment(record, rollout.lifecycle)
    if serving is None or serving.champion != rollout.challenger or serving.challenger is not None:
        raise UsageFault(
            f"What the rollout {rollout.id} promoted does not serve alone any more.",
            hint="everloop rollout status",
        )


def _settle(record: Record, rollout: RolloutRow, state: str, at: datetime, decision: DecisionRow) -> None:
    if state == "promoted":
        _deploy(record, rollout.lifecycle, at, rollout.challenger, None, decision)
        set_status(record, rollout.challenger, "champion")
        set_status(record, rollout.champion, "retired")
    elif state in ("rolled_back", "aborted", "taken_back"):
        _deploy(record, rollout.lifecycle, at, rollout.champion, None, decision)
        set_status(record, rollout.challenger, "refused")
        set_status(record, rollout.champion, "champion")
    else:
        _deploy(record, rollout.lifecycle, at, rollout.champion, rollout.challenger, decision)


def _deploy(
    record: Record,
    lifecycle: str,
    at: datetime,
    champion: str | None,
    challenger: str | None,
    decision: DecisionRow,
) -> None:
    """Adds the next generation; two controllers that add the same one collide, and one of them stops."""
    before = deployment(record, lifecycle)
    row = DeploymentRow(
        id=new_id("deployment", at),
        lifecycle=lifecycle,
        at=at,
        generation=1 if before is None else before.generation + 1,
        champion=champion,
        challenger=challenger,
    )
    record.add(row)
    record.link(decision.id, row.id, "decision")


def released_by(record: Record, version: str) -> DecisionRow:
    """Gives the decision by which a version last came to serve or to be on its way."""
    decisions = [
        record.get(DecisionRow, link.effect) for link in record.effects(version) if link.role in _ROLES
    ]
    return decisions[-1]
