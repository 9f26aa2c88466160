"""How long requests wait for the event loop: who would wait too long is refused before its body is read.

One thread answers, so a request waits while those before it are answered. That wait is told in processor
time of the thread, by the turns of its event loop: another program that takes the machine for a while makes
every request slower, those of an idle server too, and is no reason to refuse one. A wait above a bound is
borne for a moment, since a burst drains by itself; once it has lasted, each request whose own wait is above
the bound is refused, as CoDel does with packets (Nichols and Jacobson, ACM Queue 10(5), 2012). The bound is
in proportion to what a request takes, so who is let in waits a small multiple of that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LEAST_WAIT = 0.01
"""Seconds of processor time: a shorter wait is nobody's harm, however little a request takes."""
MULTIPLE = 3.0
"""How many times what a request takes it may wait, so that it is answered within four times that."""
LASTING = 10.0
"""How many times the bound, in processor time, waits are above it before anyone is refused."""
CALM = 1.0
"""Seconds after the last refusal from which on waits are borne again."""
_LATEST = 0.2
"""The weight of the latest turn in what a request takes."""

Seconds = Callable[[], float]
Soon = Callable[[Callable[[], None]], object]


class Waiting:
    """Watches the turns of one event loop, and says which requests waited too long. Used from that loop.

    A turn begins the tasks of what the turn before it read, and then reads what has come. What a task is
    for came during the turn before, over which tasks are spread in their order; where there was none, the
    loop was idle and nobody waited.

    Args:
        processor: Tells the processor time of the loop's thread, in seconds.
        wall: Tells the time that passes, in seconds.
        soon: Has a function called at the loop's next turn; the running loop's own by default.

    Attributes:
        takes: Seconds of processor time that a request took of late, where that was looked at; or 0.
        refuses: Whether waits have been above the bound for so long that requests are refused.
    """

    def __init__(
        self,
        processor: Seconds = time.thread_time,
        wall: Seconds = time.perf_counter,
        soon: Soon | None = None,
    ) -> None:
        self._processor, self._wall, self._soon = processor, wall, soon
        self.takes = 0.0
        self._measured = False  # what passed is taken for it until then
        self.refuses = False
        # Of this turn: read for tasks of the next, tasks begun, asked at once, and how many were let in.
        self._read = self._begun = self._at_once = self._admitted = 0
        self._watched = False
        self._long = False  # whether there was a turn before, and it was long: only then is time asked for
        self._wall_began = self._began = self._before = self._reads_began = 0.0
        self._to_begin = 0
        self._reads = self._none_before = False
        self._above: float | None = None
        self._refused_at = 0.0

    @property
    def bound(self) -> float:
        """Seconds of processor time that a request may wait at present."""
        return max(LEAST_WAIT, MULTIPLE * self.takes)

    def read(self) -> None:
        """Says that a request was read whose task will begin in the next turn."""
        self._read += 1

    def admits(self) -> bool:
        """Says whether a request whose task begins is let in; else it waited too long."""
        if not self._watched:
            self._watch()
        self._begun += 1
        self._admitted += 1
        if not self._long:
            return True
        self._reads = False
        now = self._processor()
        share = min(1.0, self._begun / self._to_begin) if self._to_begin else 1.0
        return self._bears(now, now - self._before - share * (self._began - self._before))

    def admits_at_once(self, most: int) -> bool:
        """Says whether a request that can be answered as it is read is let in.

        Args:
            most: How many of them are let in at most, of those that arrived together.
        """
        if not self._watched:
            self._watch()
        self._at_once += 1
        if self._at_once > most:
            return False
        self._admitted += 1
        if not self._long:
            return True
        now = self._processor()
        if not self._reads:
            self._reads, self._reads_began = True, now
        return self._bears(now, now - self._reads_began)

    def hand_over(self) -> None:
        """Takes back what `admits_at_once` let in: a task will answer it."""
        self._at_once -= 1
        self._admitted -= 1

    def _bears(self, now: float, waited: float) -> bool:
        if waited <= self.bound:
            return True
        if self._above is not None and now - self._above >= LASTING * self.bound:
            self.refuses = True
        if not self.refuses:
            return True
        if self._none_before and (self._admitted - 1) * self.takes < LEAST_WAIT:
            return True  # refusing alone takes longer than the bound: without this, nobody would be let in
        self._admitted -= 1
        self._refused_at = self._wall()
        return False

    def _watch(self) -> None:
        """Begins to watch turns, as the loop has something to do after it had nothing."""
        self._watched = True
        self._read = self._begun = self._at_once = self._admitted = 0
        if self._long or self.refuses:
            self._long, self._above = self.refuses, None
            self._began = self._before = self._processor()
            self._to_begin, self._reads, self._none_before = 0, False, False
        (self._soon or asyncio.get_running_loop().call_soon)(self._end_turn)
        self._wall_began = self._wall()

    def _end_turn(self) -> None:
        """Looks at the turn that ends; where it was short, at no further one."""
        now = self._wall()
        # More than the time that passed it cannot be, and processor time costs ten times as much to ask.
        if now - self._wall_began < LEAST_WAIT and not self.refuses:
            self._watched = False
            return
        if self.refuses and now - self._refused_at > CALM:
            self.refuses = False
        if not self._read and not self._begun and not self._at_once:
            self._watched = False
            return
        self._weigh(now - self._wall_began)
        self._wall_began, self._to_begin, self._reads = now, self._read, False
        self._read = self._begun = self._at_once = self._admitted = 0
        (self._soon or asyncio.get_running_loop().call_soon)(self._end_turn)

    def _weigh(self, took: float) -> None:
        """Learns from a turn what a request takes, and whether waits are above the bound."""
        now = self._processor()
        if self._long:
            took = now - self._began
        if self._admitted and (self._long or not self._measured):
            weight = _LATEST if self._measured else 1.0
            self.takes += weight * (took / self._admitted - self.takes)
            self._measured = self._long
        if took <= self.bound:
            self._above = None
        elif self._above is None:
            self._above = now
        self._before, self._began = now - took, now
        self._none_before = not self._admitted
        self._long = True
