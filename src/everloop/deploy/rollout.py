"""The rollout: a state machine whose every move has a reason.

::

    running ──hold and guards──▶ running (next step) ──last step──▶ promoted
       │  ▲                                                 │
     pause resume                                     approve: manual
       ▼  │                                                 ▼
    paused                                              waiting ──approve──▶ promoted
       any of them ──harm, too long without evidence──▶ rolled_back
       any of them ──by hand──▶ aborted

`next_move` is a pure function from what is known to one move; `everloop.deploy.release` writes
moves to the record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from everloop.core.errors import UsageFault

if TYPE_CHECKING:
    from everloop.record.rows import RolloutRow
    from everloop.spec import DeploySpec

OPEN_STATES = ("running", "paused", "waiting")
CLOSED_STATES = ("promoted", "rolled_back", "aborted")
# After so many times the hold without evidence that the challenger is no worse, it goes back: a
# challenger of which nothing can be shown is not promoted.
PATIENCE = 20


@dataclass(frozen=True, slots=True)
class GuardFinding:
    """What a guard says at this look.

    Attributes:
        name: The guard, such as ``error_rate``.
        answer: ``harm``, ``fine`` (shown not to be worse) or ``undecided``.
        required: What it had to be, in words.
        found: What it was, in words.
        evidence: The numbers behind it.
    """

    name: str
    answer: str
    required: str
    found: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about a rollout at one look.

    Attributes:
        guards: What each guard says.
        requests: Requests that the challenger answered in this step (for a shadow: scored).
        seconds: Time since the step began.
    """

    guards: tuple[GuardFinding, ...]
    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Move:
    """What to do now.

    Attributes:
        kind: ``wait``, ``advance``, ``promote``, ``ask`` (for approval) or ``roll_back``.
        step: The step that the rollout is at after the move.
        share: The challenger's share of the requests after the move.
        reason: Why.
    """

    kind: str
    step: int
    share: float
    reason: str


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a strategy goes about it.

    Attributes:
        name: As the lifecycle file says it.
        splits: Whether the challenger answers a share of the requests.
        mirrors: Whether the challenger scores requests that the champion has answered.
        steps: Whether the share grows step by step.
        at_once: Whether it needs no evidence: both are warm, one switch.
    """

    name: str
    splits: bool
    mirrors: bool
    steps: bool
    at_once: bool


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("blue_green", splits=False, mirrors=False, steps=False, at_once=True),
        Strategy("canary", splits=True, mirrors=False, steps=True, at_once=False),
        Strategy("ab", splits=True, mirrors=False, steps=False, at_once=False),
        Strategy("shadow", splits=False, mirrors=True, steps=False, at_once=False),
    )
}
AB_SHARE = 0.5


def shares(spec: DeploySpec) -> tuple[float, ...]:
    """Gives the challenger's share at each step before its promotion.

    A last step of 100 % is the promotion itself.
    """
    strategy = STRATEGIES[spec.strategy]
    if strategy.steps:
        return tuple(share for share in spec.steps if share < 1.0) or (AB_SHARE,)
    if strategy.splits:
        return (spec.steps[0] if len(spec.steps) == 1 and spec.steps[0] < 1.0 else AB_SHARE,)
    return (0.0,)


def next_move(rollout: RolloutRow, spec: DeploySpec, evidence: Evidence, *, approve: bool) -> Move:
    """Decides what to do with a rollout at this look.

    Harm goes back at once, from any state but a pause by hand. A step ends when its hold is over and
    no guard says harm; the last one needs every guard to say fine. No data is never success.

    Args:
        rollout: Where it stands.
        spec: The file's `deploy` part.
        evidence: What is known now.
        approve: Whether a promotion waits for a person.
    """
    here = (rollout.step, rollout.share)
    harm = [finding for finding in evidence.guards if finding.answer == "harm"]
    if harm and rollout.state in ("running", "waiting"):
        return Move("roll_back", rollout.step, 0.0, _tell(harm))
    if rollout.state != "running":
        return Move("wait", *here, f"the rollout is {rollout.state}")
    if STRATEGIES[rollout.strategy].at_once:
        return _promotion(here, "both versions are loaded; the switch is at once", approve=approve)
    if not _held(spec, evidence):
        return Move("wait", *here, _hold_reason(spec, evidence))
    plan = shares(spec)
    if rollout.step + 1 < len(plan):
        reason = f"{evidence.requests} requests without harm at {rollout.share:.0%}"
        # The file may have been edited meanwhile; a share that was reached is not given back.
        share = max(rollout.share, plan[rollout.step + 1])
        return Move("advance", rollout.step + 1, share, reason)
    return _last_step(here, spec, evidence, approve=approve)


def _last_step(here: tuple[int, float], spec: DeploySpec, evidence: Evidence, *, approve: bool) -> Move:
    undecided = [finding for finding in evidence.guards if finding.answer != "fine"]
    if not undecided:
        reason = _tell(evidence.guards) or f"{evidence.requests} requests; the file states no guard"
        return _promotion(here, reason, approve=approve)
    if _waited_too_long(spec, evidence):
        reason = f"not enough evidence after {evidence.requests} requests: {_tell(undecided)}"
        return Move("roll_back", here[0], 0.0, reason)
    return Move("wait", *here, f"not enough evidence yet: {_tell(undecided)}")


def require_open(rollout: RolloutRow) -> None:
    """Refuses a move of a rollout that has ended.

    Raises:
        UsageFault: When it has.
    """
    if rollout.state in CLOSED_STATES:
        raise UsageFault(
            f"The rollout {rollout.id} has ended: {rollout.state}.", hint="everloop rollout status"
        )


def _promotion(here: tuple[int, float], reason: str, *, approve: bool) -> Move:
    if approve:
        return Move("ask", *here, f"waits for approval; {reason}")
    return Move("promote", here[0], 1.0, reason)


def _held(spec: DeploySpec, evidence: Evidence) -> bool:
    if spec.hold.time is not None and evidence.seconds < spec.hold.time.total_seconds():
        return False
    return evidence.requests >= max(1, spec.hold.requests or 0)


def _hold_reason(spec: DeploySpec, evidence: Evidence) -> str:
    if spec.hold.time is not None:
        needed = spec.hold.time.total_seconds()
        return f"holds: {evidence.seconds:.0f} s of {needed:.0f} s, {evidence.requests} requests"
    return f"holds: {evidence.requests} of {spec.hold.requests} requests"


def _waited_too_long(spec: DeploySpec, evidence: Evidence) -> bool:
    if spec.hold.time is not None:
        return evidence.seconds >= PATIENCE * spec.hold.time.total_seconds()
    return evidence.requests >= PATIENCE * max(1, spec.hold.requests or 0)


def _tell(findings: list[GuardFinding] | tuple[GuardFinding, ...]) -> str:
    return "; ".join(
        f"{finding.name} is {finding.found}, required {finding.required}" for finding in findings
    )
