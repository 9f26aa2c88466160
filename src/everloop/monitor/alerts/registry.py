"""The kinds of receivers, by their key in the lifecycle file."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.clock import Clock
from everloop.core.errors import UsageFault
from everloop.monitor.alerts.file import FileReceiver
from everloop.monitor.alerts.receiver import Receiver
from everloop.monitor.alerts.webhook import WebhookReceiver

if TYPE_CHECKING:
    from everloop.spec.part import Part

ENTRY_POINTS = "everloop.alerts"
Maker = Callable[[Any, Path, Clock], Receiver]


def _webhook(target: Any, folder: Path, clock: Clock) -> Receiver:  # noqa: ARG001  (all makers are called alike)
    return WebhookReceiver(target.webhook.reveal(), clock)


def _file(target: Any, folder: Path, clock: Clock) -> Receiver:  # noqa: ARG001
    return FileReceiver(folder / target.file)


RECEIVERS: dict[str, Maker] = {"webhook": _webhook, "file": _file}
"""From the key of `monitor.alerts` to what makes its receiver from target, lifecycle folder and clock."""


def receiver_for(target: Part, *, folder: Path, clock: Clock) -> Receiver:
    """Makes the receiver that an entry of `monitor.alerts` names.

    Args:
        target: The entry.
        folder: The lifecycle's folder, which paths are beside.
        clock: Waits between tries.

    Raises:
        UsageFault: When no receiver of that kind is installed.
        OutsideFault: When a secret that it names is not there.
    """
    for kind, maker in (RECEIVERS | _installed(target)).items():
        if hasattr(target, kind):
            return maker(target, folder, clock)
    kinds = ", ".join(type(target).model_fields)
    raise UsageFault(
        f"No receiver for an alert with {kinds} is installed; there are {', '.join(sorted(RECEIVERS))}.",
        hint="use {webhook: env:ALERT_URL} or {file: alerts.jsonl} under monitor.alerts",
    )


def _installed(target: Part) -> dict[str, Maker]:
    """The makers that other packages bring for this kind of entry."""
    return {
        point.name: point.load() for point in entry_points(group=ENTRY_POINTS) if hasattr(target, point.name)
    }
