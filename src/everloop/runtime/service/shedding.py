"""What is too much at present: refused at once with 503, and asked to come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from everloop.runtime.http import Refusal

if TYPE_CHECKING:
    from everloop.runtime.service.bounds import VersionBound
    from everloop.runtime.service.metrics import Metrics
    from everloop.runtime.service.served import Asked
    from everloop.runtime.service.settings import ServerLimits


class Shedding:
    """Says when there is too much to do. Used from one event loop.

    Args:
        limits: What may be asked at once.
        metrics: Where refusals are counted.
    """

    def __init__(self, limits: ServerLimits, metrics: Metrics) -> None:
        self._limits, self._metrics = limits, metrics

    def unavailable(self, reason: str, title: str) -> Refusal:
        """Gives the refusal that asks the client to come back, and counts it."""
        self._metrics.add("everloop_shed_total", reason)
        return Refusal(503, title, headers={"retry-after": str(self._limits.retry_after)})

    def overloaded(self) -> Refusal:
        """Gives the refusal of a request for which the server as a whole has too much to do."""
        return self.unavailable("overload", "The server has too much to do.")

    def enter(self, asked: Sequence[Asked]) -> None:
        """Takes rows for the versions that will answer them; `leave` has to follow.

        Raises:
            Refusal: 503 when one of the versions has too much to do; then none was taken.
        """
        if not self._limits.bounds_versions:
            return
        taken: list[tuple[VersionBound, int]] = []
        for bound, rows in _by_bound(asked):
            if not bound.enter(rows):
                for other, count in taken:
                    other.leave(count)
                self._metrics.add("everloop_version_shed_total", bound.version)
                raise self.unavailable("version", f"Version {bound.version} has too much to do.")
            taken.append((bound, rows))

    def leave(self, asked: Sequence[Asked]) -> None:
        """Says that rows that `enter` took were answered, or failed."""
        if not self._limits.bounds_versions:
            return
        for bound, rows in _by_bound(asked):
            bound.leave(rows)


def _by_bound(asked: Sequence[Asked]) -> list[tuple[VersionBound, int]]:
    """Gives the bound of each version that is asked, with the number of its rows."""
    found = Counter(one.loaded.bound for one in asked)
    return [(bound, rows) for bound, rows in found.items() if bound is not None]
