"""Many numbers counted in equal cells: where ranks lie is known from the counts, without sorting.

Each number is read once, in parts that stay in the processor's cache; a part costs a subtraction, a
multiplication and a count. What is written on the way is kept in a `Scratch` and written again for the next
column: fresh memory costs as much as the counting.

Example:
    >>> grid = Grid.over(np.linspace(0.0, 1.0, MANY), Scratch())
    >>> int(grid.upto[-1]) == MANY
    True
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from everloop.measure.arrays import Booleans, Floats, Integers

CELLS = 1 << 14
MANY = 1 << 16
"""Fewer numbers are sorted whole."""

_CHUNK = 1 << 17
_ROW = 1 << 13
_SAMPLE = 1000
_TAIL = 250
# Cells that hold more than this share of the numbers are not worth telling from the rest.
_CROWDED = 0.4

Kind = TypeVar("Kind", bound=np.generic)


@dataclass(frozen=True)
class Scratch:
    """Arrays that are written again and again, by one thread at a time."""

    _kept: dict[str, NDArray[Any]] = field(default_factory=dict)

    def array(self, name: str, size: int, kind: type[Kind]) -> NDArray[Kind]:
        """Gives an array of so many elements, with whatever was last written under its name."""
        found = self._kept.get(name)
        if found is None or found.size < size:
            found = self._kept[name] = np.empty(size, dtype=kind)
        return found[:size]


@dataclass(frozen=True)
class Grid:
    """Equal cells over most of many finite numbers; the outermost hold what lies beyond.

    The cell of a number is computed by steps that never fall where numbers rise, so cells are in order.

    Attributes:
        low: Where the cells begin.
        scale: How many cells there are to one.
        places: The cell of each number, shape (n,).
        counts: How many numbers are in each cell, shape (cells,).
        upto: How many are in the cells up to each.
        sums: The sums of the numbers less the low, and of their squares.
        scratch: What the places are written in.
    """

    low: float
    scale: float
    places: NDArray[np.uint16]
    counts: Integers
    upto: Integers
    sums: tuple[float, float]
    scratch: Scratch

    @classmethod
    def over(cls, numbers: Floats, scratch: Scratch) -> Grid | None:
        """Counts numbers in cells; None where they are few, not all finite, or mostly the same."""
        if numbers.size < MANY:
            return None
        sample = np.sort(numbers[:: numbers.size // _SAMPLE])
        low = float(sample[2])
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            scale = float(CELLS / (sample[-3] - low))
            if not (isfinite(low) and isfinite(scale) and scale > 0):
                return None
            return cls._counted(numbers, low, scale, scratch)

    @classmethod
    def _counted(cls, numbers: Floats, low: float, scale: float, scratch: Scratch) -> Grid | None:
        places = scratch.array("places", numbers.size, np.uint16)
        room, cells = scratch.array("moved", _CHUNK, np.float64), scratch.array("cells", _CHUNK, np.int64)
        counts, total, square = np.zeros(CELLS, dtype=np.int64), 0.0, 0.0
        for start, part in _chunks(numbers):
            end = start + part.size
            moved, cell, place = room[: part.size], cells[: part.size], places[start:end]
            np.subtract(part, low, out=moved)
            total += float(np.add.reduce(moved))
            square += _square(moved)
            # One number that is not finite makes the sums so, too.
            if not isfinite(square):
                return None
            np.multiply(moved, scale, out=moved)
            np.clip(moved, 0, CELLS - 1, out=moved)
            # By way of 16 bits, which no processor converts one by one.
            np.copyto(place, moved, casting="unsafe")
            np.copyto(cell, place)
            counts += np.bincount(cell, minlength=CELLS)
        return cls(low, scale, places, counts, np.cumsum(counts), (total, square), scratch)

    def moments(self, centre: float) -> tuple[float, float]:
        """The sums of deviations from another centre, and of their squares."""
        (total, square), apart, count = self.sums, self.low - centre, self.places.size
        return total + count * apart, square + 2 * apart * total + count * apart * apart

    def cells_of(self, numbers: Floats) -> Integers:
        """Gives the cell of each number, shape (n,)."""
        with np.errstate(over="ignore"):
            moved = (numbers - self.low) * self.scale
        return np.clip(moved, 0, CELLS - 1, out=moved).astype(np.int64)

    def with_tails(self, cells: Integers) -> Booleans:
        """Chooses cells and those of the lowest and highest few numbers, where edges lie beside the places.

        Returns:
            Whether each cell is chosen, shape (cells,).
        """
        few = self.upto[-1] // _TAIL
        low, high = np.searchsorted(self.upto, (few, self.upto[-1] - few), side="right")
        chosen = np.zeros(CELLS, dtype=np.bool_)
        chosen[: low + 1] = chosen[high:] = True
        chosen[cells] = True
        return chosen

    def inside(self, numbers: Floats, chosen: Booleans) -> Floats | None:
        """Sorts the numbers in the chosen cells; None where that is much of all.

        Args:
            numbers: Those that were counted.
            chosen: Whether each cell is, shape (cells,).
        """
        count = int(self.counts[chosen].sum())
        if count > _CROWDED * numbers.size:
            return None
        rising = self.scratch.array("rising", count, np.float64)
        begun, room = 0, self.scratch.array("chosen", _CHUNK, np.bool_)
        for start, part in _chunks(numbers):
            picked = _picked(chosen, self.places[start : start + part.size], room[: part.size])
            rising[begun : begun + picked.size] = part[picked]
            begun += picked.size
        rising.sort()
        return rising


def _chunks(numbers: Floats) -> Iterator[tuple[int, Floats]]:
    """Parts that stay in the processor's cache, and long enough that threads seldom wait for each other."""
    for start in range(0, numbers.size, _CHUNK):
        yield start, numbers[start : start + _CHUNK]


def _square(numbers: Floats) -> float:
    """The sum of squares, by BLAS in rows too short for its threads, which cost more than they bring."""
    rows = numbers[: numbers.size // _ROW * _ROW].reshape(-1, _ROW)
    rest = numbers[rows.size :]
    return float(np.vecdot(rows, rows).sum() + np.einsum("i,i", rest, rest))


def _picked(chosen: Booleans, places: NDArray[np.uint16], room: Booleans) -> Integers:
    return np.flatnonzero(np.take(chosen, places, mode="wrap", out=room))
