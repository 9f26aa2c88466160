"""Who waits for lines to be durable."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future


class Promises:
    """Promises that lines are durable, by their places. The log's lock is held while one is made or taken."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Future[None]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, place: int, promise: Future[None]) -> None:
        """Takes a promise of a line and all before it."""
        self._waiting.append((place, promise))

    def due(self, place: int) -> list[Future[None]]:
        """Takes out those that are kept when all lines up to a place are durable."""
        kept = []
        while self._waiting and self._waiting[0][0] <= place:
            kept.append(self._waiting.popleft()[1])
        return kept

    def all(self) -> list[Future[None]]:
        """Takes out all of them."""
        found, self._waiting = self._waiting, deque()
        return [promise for _, promise in found]


def keep(promises: list[Future[None]], fault: Exception | None = None) -> None:
    """Tells who waits; a fault says why the promise could not be kept."""
    for promise in promises:
        if not promise.set_running_or_notify_cancel():
            continue
        if fault is None:
            promise.set_result(None)
        else:
            promise.set_exception(fault)
