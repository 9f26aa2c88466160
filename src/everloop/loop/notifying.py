"""Tells the receivers of the lifecycle file what is new: nothing is lost, nothing is said twice.

What a receiver was told last is in the record. A receiver that is down is tried again with longer and
longer pauses, and then gets what it missed; it holds up nobody else.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from everloop.core.clock import parse_time
from everloop.core.digest import digest_value
from everloop.core.errors import EverloopError
from everloop.core.progress import Event
from everloop.core.values import to_jsonable
from everloop.monitor.alerts import receiver_for
from everloop.record.rows import AlertRow

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.monitor.alerts import Receiver
    from everloop.spec.monitor import AlertPart

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
MOST_TOGETHER = 100
REMEMBERED = timedelta(days=7)
"""So far back it is remembered what was told; a clock that is set back further could tell it again."""


def silence_of(workspace: Workspace, kind: str, at: datetime) -> dict[str, str]:
    """Gives the facts of an alert that is raised now and that the file silences; none where it does not."""
    reasons = [one.reason for one in workspace.spec.monitor.silences if one.covers(kind, at)]
    return {"silenced": reasons[0]} if reasons else {}


def tell(workspace: Workspace, now: datetime) -> None:
    """Sends each receiver the alerts that it was not told yet, where it is time.

    Args:
        workspace: The lifecycle.
        now: The time of asking.
    """
    for target in workspace.spec.monitor.alerts:
        _tell(workspace, target, now)


def _tell(workspace: Workspace, target: AlertPart, now: datetime) -> None:
    key = f"told:{digest_value(target.model_dump(mode='json'))}"
    kept: dict[str, Any] | None = workspace.record.state(workspace.name, key)
    # A receiver that is new in the file is told what is new, not the past.
    state = kept or {"since": to_jsonable(now), "told": [], "failures": 0, "not_before": None}
    since, told = parse_time(state["since"]), set(state["told"])
    alerts = _alerts_since(workspace, since)
    waiting = [row for row in alerts if row.id not in told and not row.silenced]
    if waiting and (state["not_before"] is None or now >= parse_time(state["not_before"])):
        state = _deliver(workspace, target, waiting, state, now)
        # Ids are kept rather than the last time, since a clock may be set back.
        since = since if state["failures"] else max(since, now - REMEMBERED)
        known = set(state["told"])
        state["told"] = [row.id for row in alerts if row.at >= since and row.id in known]
        state["since"] = to_jsonable(since)
    if state != kept:
        workspace.record.set_state(workspace.name, key, state)


def _alerts_since(workspace: Workspace, since: datetime) -> list[AlertRow]:
    """Reads the alerts since a time, oldest first: no more of a long past than that."""
    count = MOST_TOGETHER
    while True:
        found = workspace.record.find(AlertRow, lifecycle=workspace.name, order="-at", limit=count)
        if len(found) < count or found[-1].at < since:
            return [row for row in reversed(found) if row.at >= since]
        count *= 4


def _deliver(
    workspace: Workspace, target: AlertPart, waiting: list[AlertRow], state: dict[str, Any], now: datetime
) -> dict[str, Any]:
    """Sends what waits, oldest first, and gives the state that follows."""
    told = list(state["told"])
    try:
        receiver: Receiver = receiver_for(target, folder=workspace.folder, clock=workspace.clock)
        size = MOST_TOGETHER if receiver.grouped else 1
        for start in range(0, len(waiting), size):
            together = waiting[start : start + size]
            receiver.send([to_jsonable(row) for row in together])
            told += [row.id for row in together]
    except EverloopError as error:
        failures = int(state["failures"]) + 1
        pause = min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE)
        if failures == 1:
            said = f"an alert did not arrive, it is tried again: {error.message}"
            workspace.progress(Event("monitor", said, kind="notice"))
        return {**state, "told": told, "failures": failures, "not_before": to_jsonable(now + pause)}
    if state["failures"]:
        said = f"alerts that waited have arrived: {len(waiting)}"
        workspace.progress(Event("monitor", said, kind="notice"))
    quiet = to_jsonable(now + target.every) if target.every is not None else None
    return {**state, "told": told, "failures": 0, "not_before": quiet}
