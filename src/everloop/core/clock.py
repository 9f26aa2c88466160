"""Time as a parameter.

Nothing else in Everloop asks the system for the time of day: whatever decides by time takes a
`Clock`, so that the loop that runs in production is the loop that replays a year in a minute.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from everloop.core.errors import UsageFault


@runtime_checkable
class Clock(Protocol):
    """Tells the time and waits.

    `now` never goes back and is always aware, in UTC. Clocks may be shared between threads.
    """

    def now(self) -> datetime:
        """Tells the time, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits; on a simulated clock the wait costs no real time."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Tells the machine's time, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Waits for real."""
        time.sleep(max(0.0, seconds))


class SimulatedClock:
    """A clock that stands still until it is moved.

    Example:
        >>> clock = SimulatedClock(datetime(2013, 5, 1, tzinfo=UTC))
        >>> clock.sleep(60)
        >>> clock.now().isoformat()
        '2013-05-01T00:01:00+00:00'
    """

    def __init__(self, start: datetime) -> None:
        self._now = as_utc(start)

    def now(self) -> datetime:
        """Tells the simulated time."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Moves on by so many seconds."""
        self._now += timedelta(seconds=max(0.0, seconds))

    def advance_to(self, moment: datetime) -> None:
        """Moves on to a moment; an earlier one leaves the clock where it is."""
        self._now = max(self._now, as_utc(moment))


def as_utc(moment: datetime) -> datetime:
    """Gives the moment in UTC; a moment without a zone is taken to be in UTC already."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def parse_time(text: str) -> datetime:
    """Reads ISO 8601, such as ``2013-05-01`` or ``2013-05-01T06:00:00Z``, as UTC.

    Raises:
        UsageFault: When the text is no time.
    """
    try:
        return as_utc(datetime.fromisoformat(text.strip()))
    except ValueError:
        raise UsageFault(
            f"{text!r} is not a time; expected ISO 8601.", hint="such as 2013-05-01 or 2013-05-01T06:00:00Z"
        ) from None
