"""Alerts of what cannot be read of the prediction log: each damage is said once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.core.ids import new_id
from everloop.loop.notifying import silence_of
from everloop.record.rows import AlertRow

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.runtime.log import Damage

_STATE = "log_damage"
_TOLD = 5


def raise_damage(workspace: Workspace, damage: Sequence[Damage], now: datetime) -> AlertRow | None:
    """Raises one alert of all damage of the prediction log that was not said yet.

    Args:
        workspace: The lifecycle.
        damage: What of the log cannot be read now.
        now: The time of asking.

    Returns:
        The alert, which is in the record; None where there is nothing new.
    """
    record, name = workspace.record, workspace.name
    found = sorted({one.sentence() for one in damage})
    known = record.state(name, _STATE, [])
    if found == known:
        return None
    fresh = [text for text in found if text not in known]
    alert = None
    if fresh:
        more = f"; and {len(fresh) - _TOLD:,} more" if len(fresh) > _TOLD else ""
        alert = AlertRow(
            id=new_id("alert", now),
            lifecycle=name,
            at=now,
            kind="log",
            severity="warning",
            message="; ".join(fresh[:_TOLD]) + more,
            facts={"damage": fresh, **silence_of(workspace, "log", now)},
        )
    with record.transaction():
        if alert is not None:
            record.add(alert)
        record.set_state(name, _STATE, found)
    return alert
