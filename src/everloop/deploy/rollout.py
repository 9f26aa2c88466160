"""The rollout: a state machine whose every move has a reason.

::

    running ──hold and guards──▶ running (next step) ──last step──▶ promoted
       │  ▲  └─too long without evidence: wait, extend, escalate or roll back as the file says
     pause resume                          │
       ▼  │                                ▼
    paused           approve: manual ──▶ waiting ──approve──▶ promoted
                                           └──────reject──▶ aborted
       running, waiting ──harm, arms not divided as meant──▶ rolled_back
       any of them ──by hand──▶ promoted, aborted
       promoted ──worse than the version before it, while it is watched──▶ taken_back

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
CLOSED_STATES = ("promoted", "rolled_back", "aborted", "taken_back")
MOST_EXTENSIONS = 3
"""How often `undecided: extend` gives as many holds again, before the challenger goes back."""
BANDIT_SHARES = (0.05, 0.95)
"""Between them a bandit moves: less would say nothing of an arm any more."""


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
        split: Whether requests reach the arms as they were meant to; None where nothing is drawn.
        preference: How likely it is that the challenger's decisions are worth more: what a bandit's share
            follows. None where there is nothing to say it from.
        extensions: How often the step was given as long again.
    """

    guards: tuple[GuardFinding, ...]
    requests: int
    seconds: float
    split: GuardFinding | None = None
    preference: float | None = None
    extensions: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """What to do now.

    Attributes:
        kind: ``wait``, ``advance``, ``reweigh`` (a bandit's share), ``extend``, ``escalate`` (to a person),
            ``promote``, ``ask`` (for approval) or ``roll_back``.
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
        switches: Whether the challenger takes all requests at once, the champion staying loaded behind it.
        adapts: Whether the share follows what the arms are worth.
    """

    name: str
    splits: bool = False
    mirrors: bool = False
    steps: bool = False
    switches: bool = False
    adapts: bool = False


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("blue_green", switches=True),
        Strategy("canary", splits=True, steps=True),
        Strategy("ab", splits=True),
        Strategy("bandit", splits=True, adapts=True),
        Strategy("shadow", mirrors=True),
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
    return (1.0 if strategy.switches else 0.0,)


def next_move(rollout: RolloutRow, spec: DeploySpec, evidence: Evidence, *, approve: bool) -> Move:
    """Decides what to do with a rollout at this look.

    Harm goes back at once, from any state but a pause by hand. A step ends when its hold is over and
    no guard says harm; the last one needs every guard to say fine. No data is never success. Arms that
    are not divided as meant end the rollout: nothing that compares them can be believed.

    Args:
        rollout: Where it stands.
        spec: The file's `deploy` part.
        evidence: What is known now.
        approve: Whether a promotion waits for a person.
    """
    here = (rollout.step, rollout.share)
    harm = [finding for finding in evidence.guards if finding.answer == "harm"]
    if evidence.split is not None and evidence.split.answer == "harm":
        harm = [evidence.split, *harm]
    if harm and rollout.state in ("running", "waiting"):
        return Move("roll_back", rollout.step, 0.0, _tell(harm))
    if rollout.state != "running":
        return Move("wait", *here, f"the rollout is {rollout.state}")
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
    lacking = f"{evidence.requests} requests: {_tell(undecided)}"
    if _waited_too_long(spec, evidence):
        return _without_evidence(here, spec, evidence, lacking)
    if STRATEGIES[spec.strategy].adapts and evidence.preference is not None:
        low, high = BANDIT_SHARES
        share = round(min(high, max(low, evidence.preference)), 3)
        if share != here[1]:
            reason = f"the challenger is worth more with a chance of {evidence.preference:.1%}; {lacking}"
            return Move("reweigh", here[0], share, reason)
    return Move("wait", *here, f"not enough evidence yet: {_tell(undecided)}")


def _without_evidence(here: tuple[int, float], spec: DeploySpec, evidence: Evidence, lacking: str) -> Move:
    """Does what the file says where the guards could not say for long that all is well."""
    told = f"not enough evidence after {lacking}"
    if spec.undecided == "wait":
        return Move("wait", *here, told)
    if spec.undecided == "escalate":
        return Move("escalate", *here, f"a person has to say; {told}")
    if spec.undecided == "extend" and evidence.extensions < MOST_EXTENSIONS:
        again = f"extension {evidence.extensions + 1} of {MOST_EXTENSIONS}"
        return Move("extend", *here, f"as long again ({again}); {told}")
    return Move("roll_back", here[0], 0.0, told)


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
    holds = spec.patience * (1 + evidence.extensions)
    if spec.hold.time is not None:
        return evidence.seconds >= holds * spec.hold.time.total_seconds()
    return evidence.requests >= holds * max(1, spec.hold.requests or 0)


def _tell(findings: list[GuardFinding] | tuple[GuardFinding, ...]) -> str:
    return "; ".join(
        f"{finding.name} is {finding.found}, required {finding.required}" for finding in findings
    )
