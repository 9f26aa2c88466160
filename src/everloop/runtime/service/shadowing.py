"""The shadow's work: done by a thread of its own, after the answer, so that no client ever waits for it.

What the shadow cannot keep up with is left out and counted: it is a comparison, not a promise.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from everloop.core.errors import EverloopError
from everloop.runtime.log.lines import Line, PredictionLine, RefusalLine
from everloop.runtime.routing import SHADOW
from everloop.runtime.service.arms import LoadedArm
from everloop.runtime.service.joining import FeatureJoin

MOST_WAITING = 1000
"""Rows that may wait for the shadow; more are left out."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A row that was answered, for the shadow to answer too.

    Attributes:
        id: The prediction's id.
        row: The row as the client sent it, in the contract's types.
        time: When it was asked for, in microseconds since 1970.
        unit: What keeps its arm, hashed.
    """

    id: str
    row: dict[str, Any]
    time: int
    unit: str


class Shadowing:
    """Answers rows a second time, aside.

    Args:
        features: Joins what a row leaves out.
        append: Takes a line into the log; may be called from any thread.
        count: Told, on the event loop, what happened to a row: `scored`, `failed` or `dropped`, and by
            which version.
    """

    def __init__(
        self, features: FeatureJoin, append: Callable[[Line], int], count: Callable[[str, int], None]
    ) -> None:
        self._features, self._append, self._count = features, append, count
        self._waiting: queue.Queue[tuple[LoadedArm, Mirrored] | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def offer(self, shadow: LoadedArm, rows: Sequence[Mirrored]) -> None:
        """Takes rows to be answered aside; returns at once. Called on the event loop."""
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
            self._thread.start()
        for row in rows:
            try:
                self._waiting.put_nowait((shadow, row))
            except queue.Full:
                self._count("dropped", shadow.version)

    def close(self, seconds: float) -> None:
        """Ends the work on what waits, for so long at most; what is left then is left out."""
        if self._thread is None:
            return
        end = time.perf_counter() + seconds
        try:
            self._waiting.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(max(0.0, end - time.perf_counter()))

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            shadow, mirrored = item
            self._tell("scored" if self._score(shadow, mirrored) else "failed", shadow.version)

    def _score(self, shadow: LoadedArm, one: Mirrored) -> bool:
        """Answers a row and logs the answer; whatever fails is logged as the shadow's failure."""
        started = time.perf_counter()
        try:
            row = dict(one.row)
            self._features.join(shadow, one.row, row, one.time)
            answer = shadow.package.answer(row)
        except Exception:  # noqa: BLE001  (a shadow's failure touches nobody, whatever it is)
            taken = _since(started)
            line: Line = RefusalLine(one.id, one.time, shadow.version, SHADOW, "error", one.unit, taken)
            self._write(line)
            return False
        line = PredictionLine(
            one.id, one.time, shadow.version, SHADOW, row, answer.score, answer.prediction, _since(started)
        )
        return self._write(line)

    def _write(self, line: Line) -> bool:
        try:
            self._append(line)
        except (EverloopError, OverflowError):
            return False
        return True

    def _tell(self, what: str, version: int) -> None:
        if self._loop is not None and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(self._count, what, version)
            except RuntimeError:  # the loop was closed this moment: nobody reads the numbers any more
                return


def _since(started: float) -> int:
    return int((time.perf_counter() - started) * 1e6)
