"""`everloop rollout`: status, and the moves that a person makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer, pairs
from everloop.cli.reading import opened, shown_time, user_name, version_number

if TYPE_CHECKING:
    from everloop.core.errors import NotFound
    from everloop.loop.workspace import Workspace
    from everloop.record.rows import VersionRow

Who = Annotated[str | None, typer.Option(metavar="NAME", help="Who decides; by default who is logged in.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept with the decision.")]


def status(file: LifecycleFile = DEFAULT_FILE) -> Answer:
    """Shows the rollout that is under way, or the last one, with what was decided about it.

    Example:
        everloop rollout status
    """
    from everloop.loop.rollout_status import read_rollout

    with opened(file) as workspace:
        facts = read_rollout(workspace)
    return Answer(facts, _render(facts))


def start(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version that passed its gate: v2.")],
    file: LifecycleFile = DEFAULT_FILE,
    who: Who = None,
    reason: Reason = "",
) -> Answer:
    """Starts the rollout of a version that passed its gate: a challenger beside the champion.

    The strategy is that of the lifecycle file (`deploy.strategy`).

    Example:
        everloop rollout start v2
    """
    from everloop.core.errors import UsageFault
    from everloop.deploy.release import project, release
    from everloop.deploy.versions import require_version

    number = version_number(version)
    if number is None:
        raise UsageFault(
            f"{version!r} is not a version; expected a number such as v2.", hint="everloop status"
        )
    with opened(file) as workspace:
        record = workspace.record
        row = require_version(record, workspace.name, number)
        if row.status in ("champion", "challenger"):
            raise UsageFault(f"v{number} is the {row.status} already.", hint="everloop rollout status")
        decision = release(
            record,
            row,
            workspace.spec.deploy,
            workspace.clock.now(),
            gate=_passed_gate(workspace, row),
            who=who or user_name(),
            reason=reason,
        )
        project(record, workspace.store, workspace.name, workspace.routing_path)
    facts = {"decision": decision.id, "answer": decision.answer, "reason": decision.reason}
    return Answer(facts, pairs([("rollout", f"{decision.answer}: {decision.reason}"), ("id", decision.id)]))


def _passed_gate(workspace: Workspace, version: VersionRow) -> str:
    """Gives the id of the gate's decision that let a version pass.

    Raises:
        GateRefused: When no gate did.
    """
    from everloop.core.errors import GateRefused
    from everloop.record.rows import DecisionRow

    record = workspace.record
    for gate in record.find(DecisionRow, order="-at", lifecycle=workspace.name):
        if gate.kind == "gate" and gate.facts.get("version") == version.id:
            if gate.answer == "passed":
                return gate.id
            raise GateRefused(
                f"The gate refused v{version.number}: {gate.reason}.", hint=f"everloop why {gate.id}"
            )
    raise GateRefused(f"v{version.number} was not judged by its gate yet.", hint="everloop run")


def _by_hand(verb: str, purpose: str) -> Callable[..., Answer]:
    """Makes the command of a move by hand."""

    def move(file: LifecycleFile = DEFAULT_FILE, who: Who = None, reason: Reason = "") -> Answer:
        with opened(file) as workspace:
            facts = move_rollout(workspace, verb, who=who or user_name(), reason=reason)
        return Answer(
            facts, pairs([(verb, facts["reason"]), ("state", facts["state"]), ("id", facts["decision"])])
        )

    move.__doc__ = f"{purpose}\n\nExample:\n    everloop rollout {verb} --reason 'seen enough'\n"
    return move


def move_rollout(workspace: Workspace, verb: str, *, who: str, reason: str) -> dict[str, Any]:
    """Moves the rollout that is under way, and writes anew what the server reads.

    Raises:
        NotFound: When no rollout is under way.
        UsageFault: When its state does not allow the move.
    """
    from everloop.deploy.release import move_by_hand, project
    from everloop.deploy.versions import open_rollout
    from everloop.record.rows import RolloutRow

    record = workspace.record
    rollout = open_rollout(record, workspace.name)
    if rollout is None:
        raise _none_under_way(workspace)
    told = f"{reason} ({who})" if reason else ""
    approvers = workspace.spec.monitor.retrain.approvers
    decision = move_by_hand(
        record, rollout, verb, workspace.clock.now(), who=who, reason=told, approvers=approvers
    )
    project(record, workspace.store, workspace.name, workspace.routing_path)
    state = record.get(RolloutRow, rollout.id).state
    return {"decision": decision.id, "rollout": rollout.id, "state": state, "reason": decision.reason}


def _none_under_way(workspace: Workspace) -> NotFound:
    from everloop.core.errors import NotFound
    from everloop.record.rows import RolloutRow

    last = workspace.record.find(RolloutRow, order="-at", limit=1, lifecycle=workspace.name)
    told = f"No rollout of {workspace.name} is under way"
    if not last:
        return NotFound(f"{told}.", hint="everloop rollout start VERSION")
    ended = last[0].state.replace("_", " ")
    return NotFound(f"{told}; the last one was {ended}.", hint="everloop rollout status")


def _render(facts: dict[str, Any]) -> str:
    from everloop.loop.rollout_status import difference_of

    if facts["rollout"] is None:
        return "There was no rollout yet; one begins when a later version passes its gate: everloop retrain."
    decisions = [f"{shown_time(one['at'])}  {one['answer']}: {one['reason']}" for one in facts["decisions"]]
    return pairs(
        [
            ("rollout", f"{facts['strategy']} {facts['state']}, step {facts['step']} of {facts['steps']}"),
            ("champion", facts["champion"]),
            ("challenger", f"{facts['challenger']} at {facts['share']:.0%}"),
            ("since", shown_time(facts["since"])),
            ("id", facts["rollout"]),
            ("guards", "\n".join(_guard_lines(facts["look"])) or None),
            ("shadow", "\n".join(difference_of(facts["look"])) or None),
            ("next", facts["next"]),
            ("decided", "\n".join(decisions) or None),
        ]
    )


def _guard_lines(look: dict[str, Any] | None) -> list[str]:
    from everloop.loop.rollout_status import evidence_of, findings_of

    lines = []
    for one in findings_of(look):
        evidence = evidence_of(one)
        told = f"{one['name']} {one['answer']}: {one['found']}, required {one['required']}"
        lines.append(f"{told}; evidence {evidence}" if evidence else told)
    return lines


COMMANDS: dict[str, Callable[..., Answer]] = {
    "status": status,
    "start": start,
    "pause": _by_hand("pause", "Holds the rollout where it is until it is resumed."),
    "resume": _by_hand("resume", "Lets a paused rollout go on."),
    "promote": _by_hand("promote", "Makes the challenger the champion, at once."),
    "approve": _by_hand("approve", "Promotes the challenger that waits for a person's approval."),
    "reject": _by_hand("reject", "Refuses the challenger that waits for a person's approval."),
    "abort": _by_hand("abort", "Sends all requests back to the champion."),
}
"""The verbs of `everloop rollout`."""
