"""Alerts posted as they are to an address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from everloop.monitor.alerts.posting import Post
from everloop.monitor.alerts.receiver import Alert


@dataclass(frozen=True)
class WebhookReceiver:
    """Posts each alert as a JSON object.

    Attributes:
        post: Posts to the address.
    """

    post: Post
    grouped: bool = False

    def send(self, alerts: Sequence[Alert]) -> None:
        """Posts alerts, one request each.

        Raises:
            OutsideFault: When one did not arrive after all tries, or was refused.
        """
        for alert in alerts:
            self.post(alert)
