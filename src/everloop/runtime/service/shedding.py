"""What is too much at present: refused at once with 503, and asked to come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from everloop.runtime.http import Refusal

if TYPE_CHECKING:
    from everloop.runtime.service.metrics import Metrics
    from everloop.runtime.service.settings import ServerLimits


class Shedding:
    """Says when there is too much to do. Used from one event loop.

    Args:
        limits: What may be asked at once.
        metrics: Where refusals are counted.
    """

    def __init__(self, limits: ServerLimits, metrics: Metrics) -> None:
        self._limits, self._metrics = limits, metrics
        self._arrived = 0

    def unavailable(self, reason: str, title: str) -> Refusal:
        """Gives the refusal that asks the client to come back, and counts it."""
        self._metrics.add("everloop_shed_total", reason)
        return Refusal(503, title, headers={"retry-after": str(self._limits.retry_after)})

    def crowded(self) -> bool:
        """Counts a request of this turn of the event loop; says whether they are too many at once."""
        if self._arrived == 0:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._arrived += 1
        return self._arrived > self._limits.concurrent

    def _end_turn(self) -> None:
        self._arrived = 0
