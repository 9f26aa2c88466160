"""After a release: the new champion is held against the version before it, which serves again if it is worse.

Both versions are priced on the rows that the new one answered, by the guards of rollouts, so any look is
valid. Without evidence nothing happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from everloop.core.errors import DataFault, ModelFault, PackageRefused, RecordBusy, UsageFault
from everloop.core.ids import new_id
from everloop.core.units import Bound
from everloop.core.values import to_jsonable
from everloop.deploy.guards import FROM_ACTUALS, GUARDS, look_at
from everloop.deploy.release import take_back
from everloop.deploy.rollout import GuardFinding
from everloop.deploy.versions import deployment
from everloop.loop.deciding import MOST_BACK_OFF, SETTLING_WINDOWS, wait
from everloop.loop.looking import RolloutLog, look_of
from everloop.loop.rolling import tell_move
from everloop.record.rows import DecisionRow, RolloutRow, VersionRow
from everloop.runtime.routing import CHAMPION
from everloop.spec.fields import Against
from everloop.table.worth import PRICED_TASKS

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.runtime.log import LogSpan
    from everloop.spec import DeploySpec

WATCHED = "after_release"
"""Under this key of the record lies what the last look at a new champion saw."""
_GROWTH = 1.25
"""A look costs as much as there are rows; the next is made when there are a quarter more."""
_ARM = "challenger"
_METRICS = {"binary": "brier", "multiclass": "accuracy", "regression": "mae"}
"""What is compared where decisions have no price."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The log of a new champion, how many of its actuals count by now, and whether no more can come."""

    log: RolloutLog
    known: int
    over: bool


def watch_release(workspace: Workspace, span: LogSpan, now: datetime) -> DecisionRow | None:
    """Looks at the version that was promoted last, and takes it back where it is shown to be worse.

    Args:
        workspace: The lifecycle.
        span: What is read of the prediction log.
        now: The time of asking.

    Returns:
        The decision to take it back, or to keep it where its time is over; None where nothing is decided.
    """
    rollout = _promoted(workspace)
    if rollout is None or rollout.updated_at is None or not workspace.spec.monitor.after_release.windows:
        return None
    seen: dict[str, Any] = workspace.record.state(workspace.name, WATCHED) or {}
    seen = seen if seen.get("rollout") == rollout.id else {"rollout": rollout.id}
    if seen.get("over"):
        return None
    rows = _rows(workspace, rollout, RolloutLog.since(span, rollout.updated_at), now)
    counts = {"answered": rows.log.lines.height, "known": rows.known}
    if not (rows.over or _grown(seen, counts)):
        return None
    findings, lacking = _findings(workspace, rollout, rows.log, now)
    told = {"rollout": rollout.id, "at": now, "over": rows.over, "guards": findings, "lacking": lacking}
    with workspace.record.transaction():
        workspace.record.set_state(workspace.name, WATCHED, to_jsonable(told | counts))
        if any(one.answer == "harm" for one in findings):
            return _take_back(workspace, rollout, findings, now)
        return _keep(workspace, rollout, findings, lacking, now) if rows.over else None


def watched_since(workspace: Workspace) -> datetime | None:
    """Gives the time from which on a new champion is watched; None where none is any more."""
    rollout = _promoted(workspace)
    if rollout is None or not workspace.spec.monitor.after_release.windows:
        return None
    seen: dict[str, Any] = workspace.record.state(workspace.name, WATCHED) or {}
    return None if seen.get("over") and seen.get("rollout") == rollout.id else rollout.updated_at


def _promoted(workspace: Workspace) -> RolloutRow | None:
    """The rollout by which the champion came to serve; None where a challenger stands beside it."""
    record = workspace.record
    serving = deployment(record, workspace.name)
    if serving is None or serving.challenger is not None:
        return None
    found = record.find(RolloutRow, lifecycle=workspace.name, state="promoted")
    mine = [row for row in found if row.challenger == serving.champion and row.champion is not None]
    return max(mine, key=lambda row: row.updated_at or row.at, default=None)


def _rows(workspace: Workspace, rollout: RolloutRow, log: RolloutLog, now: datetime) -> _Rows:
    """Gives what the new champion answered since it was promoted, as if it stood beside the other one."""
    import polars as pl

    spec, begun = workspace.spec.monitor, rollout.updated_at or rollout.at
    version, before = (
        workspace.served(workspace.record.get(VersionRow, str(one)))
        for one in (rollout.challenger, rollout.champion)
    )
    mine = (pl.col("time") >= begun) & (pl.col("arm") == CHAMPION) & (pl.col("version") == version.row.number)
    # Nothing is drawn any more: what compares arms has nothing to say.
    marks = pl.lit(_ARM).alias("arm"), pl.lit(1.0).alias("chance")
    lines, refusals = (part.filter(mine).with_columns(marks) for part in (log.lines, log.refusals))
    # Either may have learned the delay anew; an actual counts once both are over.
    delays = (one.frame.label_delay_seconds or 0.0 for one in (version, before))
    delay = timedelta(seconds=max(delays))
    if spec.window.predictions is not None:
        most = spec.window.predictions * spec.after_release.windows
        lines = lines.sort("time", maintain_order=True).head(most)
        ended = lines["time"][-1] if lines.height == most else None
    else:
        ended = begun + spec.after_release.windows * spec.window.length
        lines = lines.filter(pl.col("time") < ended)
    if ended is not None:
        refusals = refusals.filter(pl.col("time") < ended)
    counts = pl.col("actual").is_not_null() & (pl.col("time") + delay <= now)
    known = lines.filter(counts).height
    return _Rows(RolloutLog(lines, refusals, log.span), known, ended is not None and now >= ended + delay)


def _grown(seen: dict[str, Any], counts: dict[str, int]) -> bool:
    return any(count >= max(1, _GROWTH * int(seen.get(name, 0))) for name, count in counts.items())


def guards_after(spec: DeploySpec, task: str, *, priced: bool) -> dict[str, Bound | Against]:
    """Gives what a new champion is held to: the file's guards that need no requests of the other version.

    What decisions are worth is among them whether the file names it or not; where they have no price, a
    metric of the task is.

    Args:
        spec: The file's `deploy` part.
        task: The task.
        priced: Whether decisions have a price.
    """
    kept = {
        name: required
        for name, required in spec.guard.items()
        if GUARDS[name].compares and (isinstance(required, Bound) or not GUARDS[name].draws)
    }
    usual = FROM_ACTUALS if priced else _METRICS.get(task)
    return kept | ({} if usual is None or usual in kept else {usual: Against()})


def _findings(
    workspace: Workspace, rollout: RolloutRow, log: RolloutLog, now: datetime
) -> tuple[tuple[GuardFinding, ...], str]:
    """Answers the guards; or none, and why the two versions cannot be compared."""
    try:
        frame = workspace.served(workspace.record.get(VersionRow, rollout.challenger)).frame
        priced = workspace.spec.goal.value is not None and frame.task in PRICED_TASKS
        guards = guards_after(workspace.spec.deploy, frame.task, priced=priced)
        if not guards or log.lines.is_empty():
            return (), "nothing can be compared" if not guards else "nothing was answered"
        look = replace(look_of(workspace, rollout, log, now), named=tuple(guards))
        return look_at(workspace.spec.deploy.model_copy(update={"guard": guards}), look), ""
    except (DataFault, ModelFault, PackageRefused) as fault:
        return (), f"the versions cannot be compared: {fault.message}"


def _take_back(
    workspace: Workspace, rollout: RolloutRow, findings: tuple[GuardFinding, ...], now: datetime
) -> DecisionRow | None:
    """Lets the version before serve again, tells people, and lets the next retrain wait."""
    record = workspace.record
    versions = [record.get(VersionRow, str(one)) for one in (rollout.challenger, rollout.champion)]
    new, old = (version.number for version in versions)
    harm = [one for one in findings if one.answer == "harm"]
    reason = f"v{new} is worse than v{old} before it, which serves again; {_told(harm)}"
    facts = {"guards": to_jsonable(list(findings)), "watched": rollout.id, "requests": None, "seconds": None}
    try:
        decision = take_back(record, rollout, reason, facts, now)
    except (RecordBusy, UsageFault):  # somebody else moved it meanwhile: the next tick looks again
        return None
    tell_move(workspace, decision)
    again = _in_a_row(workspace)
    windows = min(SETTLING_WINDOWS * 2 ** (again - 1), MOST_BACK_OFF)
    why = f"v{new} was taken back after its release" + (f", {again} in a row" if again > 1 else "")
    wait(workspace, now + windows * workspace.spec.monitor.window.length, why, orders=True)
    return decision


def _keep(
    workspace: Workspace,
    rollout: RolloutRow,
    findings: tuple[GuardFinding, ...],
    lacking: str,
    now: datetime,
) -> DecisionRow:
    """Writes down that a version was watched to the end and stays."""
    number = workspace.record.get(VersionRow, rollout.challenger).number
    told = lacking or _told(findings)
    decision = DecisionRow(
        id=new_id("decision", now),
        lifecycle=workspace.name,
        at=now,
        kind="rollout",
        answer="keep",
        reason=f"v{number} was not shown to be worse than the version before it; {told}",
        facts={"rollout": rollout.id, "guards": to_jsonable(list(findings))},
    )
    workspace.record.add(decision)
    workspace.record.link(rollout.id, decision.id, "rollout")
    return decision


def _in_a_row(workspace: Workspace) -> int:
    """How many versions were taken back since one last stayed."""
    found = workspace.record.find(RolloutRow, lifecycle=workspace.name, order="-at")
    ended = [row.state for row in found if row.state in ("promoted", "taken_back")]
    return len(list(takewhile(lambda state: state == "taken_back", ended)))


def _told(findings: Iterable[GuardFinding]) -> str:
    return "; ".join(f"{one.name} is {one.found}, required {one.required}" for one in findings)
