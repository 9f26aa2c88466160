"""Alerts to Prometheus' Alertmanager, which groups, silences and routes them on.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from everloop.core.clock import parse_time
from everloop.core.values import to_jsonable
from everloop.monitor.alerts.posting import Post
from everloop.monitor.alerts.receiver import Alert

STANDS = timedelta(hours=1)
"""An alert is not resolved before this time has passed, nor before its window's length has."""


@dataclass(frozen=True)
class AlertmanagerReceiver:
    """Posts a group of alerts in one request.

    Attributes:
        post: Posts to ``/api/v2/alerts``.
    """

    post: Post
    grouped: bool = True

    def send(self, alerts: Sequence[Alert]) -> None:
        """Posts alerts.

        Raises:
            OutsideFault: When they did not arrive after all tries, or were refused.
        """
        self.post([self._said(alert) for alert in alerts])

    def _said(self, alert: Alert) -> dict[str, Any]:
        facts = alert.get("facts") or {}
        kind, now = str(alert.get("kind", "")), self.post.clock.now()
        labels = {
            "alertname": f"Everloop{kind.title()}",
            "lifecycle": alert.get("lifecycle"),
            "kind": kind,
            "severity": alert.get("severity"),
            "version": str(facts.get("version", "")),
        }
        notes = {"summary": alert.get("message"), "why": f"everloop why {alert.get('id')}"}
        return {
            "labels": {name: str(value) for name, value in labels.items() if value},
            "annotations": {name: str(value) for name, value in notes.items() if value},
            "startsAt": to_jsonable(alert.get("at")),
            "endsAt": to_jsonable(now + max(STANDS, _length(facts))),
        }


def _length(facts: Any) -> timedelta:
    if "since" not in facts or "until" not in facts:
        return timedelta()
    return parse_time(str(facts["until"])) - parse_time(str(facts["since"]))
