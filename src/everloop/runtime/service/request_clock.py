"""The time of requests: the machine's, or in a rehearsal of history that of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.runtime.row_fill import microseconds
from everloop.runtime.service.problems import problem, refused

if TYPE_CHECKING:
    from everloop.core.clock import Clock
    from everloop.runtime.service.arms import ArmTable
    from everloop.runtime.service.settings import ServerSettings


class RequestClock:
    """Tells the time in microseconds since 1970.

    Args:
        settings: Say whose time it is: `system`, or `events`.
        clock: The machine's.
        arms: What is served; its champion names the column of the time where the settings do not.
    """

    def __init__(self, settings: ServerSettings, clock: Clock, arms: ArmTable) -> None:
        self._settings, self._clock, self._arms = settings, clock, arms
        self.of_rows = settings.clock == "events"
        self._latest = 0

    def now(self) -> int:
        """Tells the time: the clock's, or that of the latest row, 0 before any."""
        return self._latest if self.of_rows else microseconds(self._clock.now())

    def time_of(self, row: Mapping[str, Any], now: int, name: str) -> int:
        """Gives the time of a row.

        Args:
            row: The row in the contract's types.
            now: What `now` gave.
            name: The row's name in a refusal, empty where it is the only one.

        Raises:
            Refusal: 422 where the row should say its time and does not.
        """
        if not self.of_rows:
            return now
        column = self._settings.time_column or self._arms.serving.champion.package.manifest.time
        value = row.get(column) if column is not None else None
        if isinstance(value, datetime):
            value = microseconds(value)
        if not isinstance(value, int) or isinstance(value, bool):
            field = f"{name}.{column}" if name else str(column)
            expected = "a time: the server's clock is that of the rows"
            raise refused("The row has no time.", [problem(field, "time", expected, value)])
        self._latest = max(self._latest, value)
        return value
