"""Many numbers counted in equal cells: where ranks lie is known from the counts, without sorting.

Numbers are read in parts that stay in the processor's cache; a part costs a subtraction, a
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


@dataclass
class _Chosen:
    """Gathers the numbers of chosen cells.

    Attributes:
        cells: Whether each cell is chosen, shape (cells,).
        rising: Where they are gathered; what would be more is only counted.
        room: For what is written on the way.
        count: How many there were.
    """

    cells: Booleans
    rising: Floats
    room: Booleans
    count: int = 0

    @classmethod
    def of(cls, cells: Booleans, numbers: Floats, scratch: Scratch) -> _Chosen:
        rising = scratch.array("rising", int(_CROWDED * numbers.size), np.float64)
        return cls(cells, rising, scratch.array("chosen", _CHUNK, np.bool_))

    def add(self, numbers: Floats, places: NDArray[np.integer[Any]]) -> None:
        if self.count > self.rising.size:
            return
        found = np.flatnonzero(np.take(self.cells, places, mode="wrap", out=self.room[: places.size]))
        begun, self.count = self.count, self.count + found.size
        if self.count <= self.rising.size:
            self.rising[begun : self.count] = numbers[found]

    def sorted(self) -> Floats | None:
        """Gives them rising; None where they are more than there is room for."""
        if self.count > self.rising.size:
            return None
        rising = self.rising[: self.count]
        rising.sort()
        return rising


@dataclass(frozen=True)
class Grid:
    """Equal cells over most of many finite numbers; the outermost hold what lies beyond.

    The cell of a number is computed by steps that never fall where numbers rise, so cells are in order.

    Attributes:
        low: Where the cells begin.
        scale: How many cells there are to one.
        places: The cell of each number, shape (n,); None where edges were known.
        counts: How many numbers are in each cell, shape (cells,).
        upto: How many are in the cells up to each.
        sums: The sums of the numbers less the low, and of their squares.
        scratch: What the places are written in.
        held: Where edges were known: which cells they lie in, the outermost too, and the numbers of these
            cells, rising; None where those are many.
    """

    low: float
    scale: float
    places: NDArray[np.uint16] | None
    counts: Integers
    upto: Integers
    sums: tuple[float, float]
    scratch: Scratch
    held: tuple[Booleans, Floats] | None = None

    @classmethod
    def over(cls, numbers: Floats, scratch: Scratch, edges: Floats | None = None) -> Grid | None:
        """Counts numbers in cells; None where they are few, not all finite, or mostly the same.

        Args:
            numbers: The numbers, shape (n,).
            scratch: Where to write on the way.
            edges: All that will be asked for, where that is known: then the numbers are read only once.
        """
        if numbers.size < MANY:
            return None
        sample = np.sort(numbers[:: numbers.size // _SAMPLE])
        low = float(sample[2])
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            scale = float(CELLS / (sample[-3] - low))
            if not (isfinite(low) and isfinite(scale) and scale > 0):
                return None
            chosen = None
            if edges is not None:
                cells = np.zeros(CELLS, dtype=np.bool_)
                cells[_cells(edges, low, scale)] = cells[0] = cells[-1] = True
                chosen = _Chosen.of(cells, numbers, scratch)
            return cls._counted(numbers, (low, scale), scratch, chosen)

    @classmethod
    def _counted(
        cls, numbers: Floats, begin: tuple[float, float], scratch: Scratch, chosen: _Chosen | None
    ) -> Grid | None:
        (low, scale), counts, total, square = begin, np.zeros(CELLS, dtype=np.int64), 0.0, 0.0
        places = scratch.array("places", _CHUNK if chosen else numbers.size, np.uint16)
        room, cells = scratch.array("moved", _CHUNK, np.float64), scratch.array("cells", _CHUNK, np.int64)
        for start, part in _chunks(numbers):
            moved, cell = room[: part.size], cells[: part.size]
            place = places[: part.size] if chosen else places[start : start + part.size]
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
            if chosen:
                chosen.add(part, cell)
        rising = chosen.sorted() if chosen else None
        held = None if chosen is None or rising is None else (chosen.cells, rising)
        kept, upto = None if chosen else places, np.cumsum(counts)
        return cls(low, scale, kept, counts, upto, (total, square), scratch, held)

    def moments(self, centre: float) -> tuple[float, float]:
        """The sums of deviations from another centre, and of their squares."""
        (total, square), apart, count = self.sums, self.low - centre, int(self.upto[-1])
        return total + count * apart, square + 2 * apart * total + count * apart * apart

    def cells_of(self, numbers: Floats) -> Integers:
        """Gives the cell of each number, shape (n,)."""
        return _cells(numbers, self.low, self.scale)

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

    def inside(self, numbers: Floats, cells: Booleans) -> Floats | None:
        """Sorts the numbers in chosen cells; None where that is much of all, or their cells were not kept.

        Args:
            numbers: Those that were counted.
            cells: Whether each cell is chosen, shape (cells,).
        """
        if self.places is None or self.counts[cells].sum() > int(_CROWDED * numbers.size):
            return None
        chosen = _Chosen.of(cells, numbers, self.scratch)
        for start, part in _chunks(numbers):
            chosen.add(part, self.places[start : start + part.size])
        return chosen.sorted()


def _cells(numbers: Floats, low: float, scale: float) -> Integers:
    with np.errstate(over="ignore"):
        moved = (numbers - low) * scale
    return np.clip(moved, 0, CELLS - 1, out=moved).astype(np.int64)


def _chunks(numbers: Floats) -> Iterator[tuple[int, Floats]]:
    """Parts that stay in the processor's cache, and long enough that threads seldom wait for each other."""
    for start in range(0, numbers.size, _CHUNK):
        yield start, numbers[start : start + _CHUNK]


def _square(numbers: Floats) -> float:
    """The sum of squares, by BLAS in rows too short for its threads, which cost more than they bring."""
    rows = numbers[: numbers.size // _ROW * _ROW].reshape(-1, _ROW)
    rest = numbers[rows.size :]
    return float(np.vecdot(rows, rows).sum() + np.einsum("i,i", rest, rest))
