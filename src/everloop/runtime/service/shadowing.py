"""The shadow's work: done by a thread of its own, after the answer, so that no client ever waits for it.

What the shadow cannot keep up with is left out and counted: it is a comparison, not a promise.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.core.errors import EverloopError
from everloop.runtime.http import Refusal
from everloop.runtime.log.lines import Line, PredictionLine, RefusalLine
from everloop.runtime.routing import PINNED, SHADOW
from everloop.runtime.service.metrics import PREDICTIONS

if TYPE_CHECKING:
    from everloop.runtime.service.arms import LoadedArm, LoadedRouting
    from everloop.runtime.service.joining import FeatureJoin
    from everloop.runtime.service.keeping import Keeping
    from everloop.runtime.service.metrics import Metrics
    from everloop.runtime.service.served import Asked

MOST_WAITING = 1000
"""Rows that may wait for the shadow; more are left out."""

_LOST = {"failed": "everloop_shadow_errors_total", "dropped": "everloop_shadow_dropped_total"}


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
        keeping: Takes the answers into the log.
        metrics: Where what happened to rows is counted, on the event loop.
    """

    def __init__(self, features: FeatureJoin, keeping: Keeping, metrics: Metrics) -> None:
        self._features, self._keeping, self._metrics = features, keeping, metrics
        self._waiting: queue.Queue[tuple[LoadedArm, Mirrored] | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def mirror(self, loaded: LoadedRouting, asked: Sequence[Asked]) -> None:
        """Takes what was answered, for the shadow if there is one; returns at once, on the event loop."""
        shadow, routed = loaded.challenger, loaded.routing.challenger
        if shadow is None or routed is None or routed.strategy != SHADOW:
            return
        self._offer(shadow, [self._mirrored(loaded, one) for one in asked if one.arm != PINNED])

    def _mirrored(self, loaded: LoadedRouting, one: Asked) -> Mirrored:
        row = {name: value for name, value in one.row.items() if name not in one.joined}
        return Mirrored(one.id, row, one.time, self._keeping.unit(loaded, one))

    def _offer(self, shadow: LoadedArm, rows: Sequence[Mirrored]) -> None:
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
            self._keeping.append(line)
        except (EverloopError, OverflowError, Refusal):
            return False
        return True

    def _count(self, what: str, version: int) -> None:
        if what == "scored":
            self._metrics.add(PREDICTIONS.name, str(version), SHADOW)
        else:
            self._metrics.add(_LOST[what])

    def _tell(self, what: str, version: int) -> None:
        if self._loop is not None and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(self._count, what, version)
            except RuntimeError:  # the loop was closed this moment: nobody reads the numbers any more
                return


def _since(started: float) -> int:
    return int((time.perf_counter() - started) * 1e6)
