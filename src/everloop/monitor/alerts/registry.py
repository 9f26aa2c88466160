"""The kinds of receivers, by their key in the lifecycle file."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.clock import Clock
from everloop.core.errors import UsageFault
from everloop.monitor.alerts.alertmanager import AlertmanagerReceiver
from everloop.monitor.alerts.email import EmailReceiver
from everloop.monitor.alerts.file import FileReceiver
from everloop.monitor.alerts.pagerduty import PagerDutyReceiver
from everloop.monitor.alerts.posting import Post
from everloop.monitor.alerts.receiver import Receiver
from everloop.monitor.alerts.slack import SlackReceiver
from everloop.monitor.alerts.webhook import WebhookReceiver

if TYPE_CHECKING:
    from everloop.spec.part import Part

ENTRY_POINTS = "everloop.alerts"
Maker = Callable[[Any, Path, Clock], Receiver]


def _webhook(target: Any, folder: Path, clock: Clock) -> Receiver:  # noqa: ARG001  (all makers are called alike)
    return WebhookReceiver(Post("webhook", target.webhook.reveal(), clock))


def _slack(target: Any, folder: Path, clock: Clock) -> Receiver:  # noqa: ARG001
    return SlackReceiver(Post("Slack webhook", target.slack.reveal(), clock))


def _email(target: Any, folder: Path, clock: Clock) -> Receiver:  # noqa: ARG001
    to = tuple(one.strip() for one in target.email.split(",") if one.strip())
    return EmailReceiver(target.smtp.reveal(), to, clock, target.sender)


def _pagerduty(target: Any, folder: Path, clock: Clock) -> Receiver:  # noqa: ARG001
    return PagerDutyReceiver(Post("PagerDuty API", target.url, clock), target.pagerduty.reveal())


def _alertmanager(target: Any, folder: Path, clock: Clock) -> Receiver:  # noqa: ARG001
    stated = target.alertmanager
    address = stated if isinstance(stated, str) else stated.reveal()
    return AlertmanagerReceiver(Post("Alertmanager", f"{address.rstrip('/')}/api/v2/alerts", clock))


def _file(target: Any, folder: Path, clock: Clock) -> Receiver:  # noqa: ARG001
    return FileReceiver(folder / target.file)


RECEIVERS: dict[str, Maker] = {
    "webhook": _webhook,
    "slack": _slack,
    "email": _email,
    "pagerduty": _pagerduty,
    "alertmanager": _alertmanager,
    "file": _file,
}
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
