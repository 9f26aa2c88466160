"""Alerts in a channel, by an incoming webhook.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from everloop.monitor.alerts.posting import Post
from everloop.monitor.alerts.receiver import Alert
from everloop.monitor.alerts.wording import text, title

_MOST_TEXT = 2900
"""A block of text holds at most 3,000 characters."""


@dataclass(frozen=True)
class SlackReceiver:
    """Writes a group of alerts as one message.

    Attributes:
        post: Posts to the incoming webhook.
    """

    post: Post
    grouped: bool = True

    def send(self, alerts: Sequence[Alert]) -> None:
        """Writes a message.

        Raises:
            OutsideFault: When it did not arrive after all tries, or was refused.
        """
        whole = text(alerts)
        shown = whole if len(whole) <= _MOST_TEXT else f"{whole[:_MOST_TEXT]} ..."
        blocks = [
            {"type": "header", "text": {"type": "plain_text", "text": title(alerts)[:150]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": _escaped(shown)}},
        ]
        self.post({"text": _escaped(title(alerts)), "blocks": blocks})


def _escaped(words: str) -> str:
    """Keeps a message from naming people or links by accident."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
