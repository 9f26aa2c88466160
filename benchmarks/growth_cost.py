"""A cost that is measured at sizes which each are four times the one before; see `benchmarks.growth`."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.timing import Timing

TIMES = 4
"""Each size is so many times the one before."""

LAWS = {"linear": 1.25 * TIMES, "flat": 1.25}
"""The most times as much that four times the size may take, by how a cost is meant to grow."""

ROUNDS = 3


@dataclass(frozen=True)
class Cost:
    """Something that is paid, and what it grows with.

    Attributes:
        what: What is done.
        by: What there is four times as much of.
        first: The smallest size.
        ready: Makes what the work needs in a folder, for a size; gives the work, which gives its figure.
        law: A key of `LAWS`.
        unit: Of the figure.
    """

    what: str
    by: str
    first: int
    ready: Callable[[Path, int], Callable[[], float]]
    law: str = "linear"
    unit: str = "s"

    def sizes(self, *, quick: bool) -> tuple[int, ...]:
        """Gives the three sizes, or the first two where it shall be quick."""
        return tuple(self.first * TIMES**place for place in range(2 if quick else 3))


def processor(work: Callable[[], object]) -> Callable[[], float]:
    """Turns work into work that gives the processor seconds that it took, in all its processes."""

    def once() -> float:
        start = _processor_seconds()
        work()
        return _processor_seconds() - start

    return once


def _processor_seconds() -> float:
    """What this process and those below it have used: those that ended, and those that wait for more work."""
    parents, used, own = {}, {}, os.getpid()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            process = int(stat.parent.name)
            times = [int(field) for field in fields[11:15]]
            parents[process] = int(fields[1])
            used[process] = sum(times[2:]) if process == own else sum(times)
    below = {own}
    for _ in range(3):  # a worker, what contains it, what that starts
        below |= {process for process, parent in parents.items() if parent in below}
    others = sum(used[process] for process in below) / os.sysconf("SC_CLK_TCK")
    return time.process_time() + others


def measured_at(cost: Cost, size: int) -> Timing:
    """Measures a cost at a size, after a round that does not count."""
    with tempfile.TemporaryDirectory(prefix="everloop-growth-") as name:
        work = cost.ready(Path(name), size)
        work()
        return Timing(tuple(work() for _ in range(ROUNDS)))


def grown(cost: Cost, measured: dict[int, Timing], *, goal: bool) -> Iterator[Figure]:
    """Gives each size beside the one before; the goal is held where both are large, at the last."""
    for (before, smaller), (size, larger) in pairwise(measured.items()):
        last = goal and size == max(measured)
        yield Figure(
            f"{cost.what}, {size:,} {cost.by}",
            **larger.scaled(1),
            unit=cost.unit,
            beside=f"{before:,}",
            other=smaller.median,
            goal=f"<= {LAWS[cost.law] * smaller.median:.4g}" if last else "",
        )


def order(measured: dict[int, Timing]) -> float:
    """Gives the power by which it grows between the two largest sizes: 0 is flat, 1 linear."""
    (before, smaller), (size, larger) = sorted(measured.items())[-2:]
    return math.log(larger.median / smaller.median) / math.log(size / before)
