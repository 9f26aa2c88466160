"""Attempts to reach a source, with pauses between them that grow."""

from __future__ import annotations

from everloop.core.errors import SourceUnreachable
from everloop.core.progress import Event
from everloop.data.sources.protocol import Surroundings

ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


class Attempts:
    """Counts failures in a row, and waits after each: 1, 2, then 4 seconds.

    Args:
        surroundings: The clock that waits, and who is told.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._failed = 0

    def failed(self, error: SourceUnreachable, wait: float | None = None) -> None:
        """Waits before the next attempt.

        Args:
            error: Why the last one failed.
            wait: Seconds that the other side asks for; at most a minute of them is waited.

        Raises:
            SourceUnreachable: The error, where there were enough attempts.
        """
        self._failed += 1
        if self._failed >= ATTEMPTS:
            raise SourceUnreachable(
                f"{error.message} Tried {ATTEMPTS} times.", hint=error.hint, place=error.place
            ) from None
        pause = FIRST_PAUSE_SECONDS * 2 ** (self._failed - 1)
        pause = min(LONGEST_PAUSE_SECONDS, max(pause, wait or 0.0))
        self._surroundings.progress(
            Event("data", f"{error.message} Trying again in {pause:g} s.", kind="notice")
        )
        self._surroundings.clock.sleep(pause)

    def succeeded(self) -> None:
        """Starts to count anew."""
        self._failed = 0
