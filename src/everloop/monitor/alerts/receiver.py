"""What every receiver of alerts can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Receiver(Protocol):
    """Takes alerts, one at a time.

    `send` returns when the alert has arrived: a receiver that answers, a line that is on disk. It tries
    again where that can help, and raises `OutsideFault` when the alert did not arrive; then nothing of
    it has, or the receiver has it although it did not say so. An alert has an `id`, so that a receiver
    can tell one that came twice. `send` may be called from several threads.
    """

    def send(self, alert: Mapping[str, Any]) -> None:
        """Delivers an alert, as JSON can carry it.

        Raises:
            OutsideFault: When it did not arrive.
        """
        ...
