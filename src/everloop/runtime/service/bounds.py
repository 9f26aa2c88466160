"""How many requests of one version may be under way: a version that is slow holds up its own clients alone.

A request has to wait for those of its turn of the event loop that came before it, which are over when it is
looked at; so what ends within a turn counts until the turn has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from everloop.runtime.package import Answer

    Answers = Callable[[Sequence[Mapping[str, Any]]], list[Answer]]

_WEIGHT = 0.2
"""What the latest call says of a row's cost, beside all before it."""


class VersionBound:
    """Counts a version's requests under way, and says when there are enough. Used from one event loop.

    Args:
        version: The version, as metrics name it.
        requests: The most that may be under way; None does not bound them.
        wait: How many seconds the rows under way may take together, by what a row costs at present, before
            more are refused: the slower a version is, the fewer. None does not bound them. One request is
            always taken.

    Attributes:
        version: The version, as metrics name it.
        cost: What a row costs at present, in seconds; 0 before the first.
    """

    def __init__(self, version: str, requests: int | None, wait: float | None) -> None:
        self.version = version
        self._requests, self._wait = requests, wait
        self.cost = 0.0
        self._now = self._rows = 0
        self._ended = self._ended_rows = 0

    def enter(self, rows: int) -> bool:
        """Takes a request of so many rows, or says that it is one too many."""
        if self._now:
            if self._requests is not None and self._now >= self._requests:
                return False
            if self._wait is not None and (self._rows + rows) * self.cost > self._wait:
                return False
        self._now += 1
        self._rows += rows
        return True

    def leave(self, rows: int) -> None:
        """Says that a request that was taken has been answered."""
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._ended += 1
        self._ended_rows += rows

    def timed(self, answers: Answers) -> Answers:
        """Gives a version's way of answering rows, with a watch on what they cost."""

        def watched(rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
            begun = time.perf_counter()
            found = answers(rows)
            self.note(len(rows), time.perf_counter() - begun)
            return found

        return watched

    def note(self, rows: int, seconds: float) -> None:
        """Notes what rows have cost."""
        each = seconds / max(1, rows)
        self.cost = each if not self.cost else self.cost + _WEIGHT * (each - self.cost)

    def _end_turn(self) -> None:
        self._now -= self._ended
        self._rows -= self._ended_rows
        self._ended = self._ended_rows = 0
