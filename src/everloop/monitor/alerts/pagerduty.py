"""Alerts as incidents, by PagerDuty's Events API v2.

https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from everloop.monitor.alerts.posting import Post
from everloop.monitor.alerts.receiver import Alert
from everloop.monitor.alerts.wording import title

_MOST_SUMMARY = 1024
_SEVERITIES = ("critical", "error", "warning", "info")


@dataclass(frozen=True)
class PagerDutyReceiver:
    """Triggers an event for each alert; its id is the key by which PagerDuty knows one that came twice.

    Attributes:
        post: Posts to the API.
        key: The routing key.
    """

    post: Post
    key: str = field(repr=False)
    grouped: bool = False

    def send(self, alerts: Sequence[Alert]) -> None:
        """Triggers events, one request each.

        Raises:
            OutsideFault: When one did not arrive after all tries, or was refused.
        """
        for alert in alerts:
            self.post(
                {
                    "routing_key": self.key,
                    "event_action": "trigger",
                    "dedup_key": alert.get("id"),
                    "payload": {
                        "summary": title([alert])[:_MOST_SUMMARY],
                        "source": alert.get("lifecycle"),
                        "severity": _severity(alert),
                        "timestamp": alert.get("at"),
                        "class": alert.get("kind"),
                        "custom_details": {
                            **(alert.get("facts") or {}),
                            "why": f"everloop why {alert.get('id')}",
                        },
                    },
                }
            )


def _severity(alert: Alert) -> str:
    severity = str(alert.get("severity"))
    return severity if severity in _SEVERITIES else "warning"
