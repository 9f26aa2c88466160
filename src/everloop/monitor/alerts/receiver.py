"""What every receiver of alerts can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

Alert = Mapping[str, Any]
"""An alert's row as JSON can carry it: `id`, `lifecycle`, `at`, `kind`, `severity`, `message`, `facts`."""


@runtime_checkable
class Receiver(Protocol):
    """Takes alerts.

    `send` returns when the alerts have arrived: a receiver that answers, a line that is on disk. It tries
    again where that can help within seconds, and raises `OutsideFault` when they did not arrive; then
    nothing of them has, or the receiver has them although it did not say so. An alert has an `id`, so
    that a receiver can tell one that came twice. `send` may be called from several threads.
    """

    @property
    def grouped(self) -> bool:
        """Whether several alerts are one message; otherwise `send` is given one at a time."""
        ...

    def send(self, alerts: Sequence[Alert]) -> None:
        """Delivers alerts, oldest first.

        Raises:
            OutsideFault: When they did not arrive.
        """
        ...
