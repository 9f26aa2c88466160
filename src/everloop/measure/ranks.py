"""Ranks of numbers without sorting all of them: what lies below an edge, what stands at a place.

A million numbers are first counted in thousands of equal cells, which takes a sixth of sorting them. Only
the cells in which an edge or a place falls, a few in a hundred, are then sorted, so every answer is exact.

Example:
    >>> ranked = Ranked.of([3.0, 1.0, float("nan"), 2.0])
    >>> ranked.below([2.0, 9.0]).tolist(), ranked.at([0])[0].tolist(), ranked.missing
    ([1, 3], [1.0], 1)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everloop.measure.arrays import Booleans, Floats, Integers, possibly_missing

_CELLS = 1 << 14
_CHUNK = 1 << 18
_MANY = 1 << 16
_SAMPLE = 1000
_TAIL = 250
# Cells that hold more than this share of the numbers are not worth telling from the rest.
_CROWDED = 0.4


@dataclass(frozen=True)
class Ranked:
    """Numbers whose ranks can be asked for.

    Attributes:
        finite: The finite ones, in any order, shape (n,).
        missing: How many others were NaN.
        lowest: How many were -infinity.
        highest: How many were +infinity.
    """

    finite: Floats
    missing: int = 0
    lowest: int = 0
    highest: int = 0
    _grid: _Grid | None = field(default=None, repr=False)
    _kept: list[_Held] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def of(cls, values: ArrayLike) -> Ranked:
        """Takes numbers, NaN for missing.

        Raises:
            DataFault: When they are no numbers.
        """
        array = possibly_missing(values, "values")
        grid = _Grid.over(array)
        if grid is not None:
            return cls(array, _grid=grid)
        finite = array[np.isfinite(array)]
        lowest, highest = int(np.count_nonzero(array == -np.inf)), int(np.count_nonzero(array == np.inf))
        missing = array.size - finite.size - lowest - highest
        return cls(finite, missing, lowest, highest, _Grid.over(finite))

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest finite number; +infinity and -infinity where there is none."""
        held = self._held(np.empty(0, dtype=np.int64))
        if held is not None:
            return float(held.rising[0]), float(held.rising[-1])
        return float(self.finite.min(initial=np.inf)), float(self.finite.max(initial=-np.inf))

    def moments(self, centre: float) -> tuple[float, float]:
        """The sums of deviations from a centre and of their squares; NaN when they leave the doubles."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self._grid is not None:
                sums = self._grid.moments(centre, self.finite.size)
            else:
                moved = self.finite - centre
                # Not by BLAS, whose threads cost more than they bring here.
                sums = float(moved.sum()), float(np.einsum("i,i", moved, moved))
        return sums if np.isfinite(sums).all() else (float("nan"), float("nan"))

    def below(self, edges: ArrayLike) -> Integers:
        """Counts the finite numbers below each edge, shape (edges,)."""
        wanted = np.asarray(edges, dtype=np.float64)
        if self._grid is not None:
            held = self._held(self._grid.cells_of(wanted))
            if held is not None:
                return held.below(wanted)
        return np.searchsorted(self._rising, wanted, side="left").astype(np.int64)

    def at(self, places: ArrayLike) -> tuple[Floats, Integers]:
        """Gives the finite numbers that stand at places of the rising order, the first being 0.

        Returns:
            The numbers, and how many are equal to each, both of shape (places,).
        """
        wanted = np.asarray(places, dtype=np.int64)
        if self._grid is not None:
            held = self._held(np.searchsorted(self._grid.upto, wanted, side="right"))
            if held is not None:
                return held.at(wanted)
        return _standing(self._rising, wanted)

    def distinct(self, most: int) -> Floats | None:
        """Gives the finite numbers, each once and rising; None where there are more than ``most``."""
        grid = self._grid
        if grid is not None and np.count_nonzero(np.diff(grid.upto, prepend=0)) > most:
            return None
        rising = self._rising
        # Compared, not subtracted: the ends of the doubles are further apart than a double says.
        firsts = np.flatnonzero(
            np.concatenate((np.ones(min(1, rising.size), bool), rising[1:] != rising[:-1]))
        )
        return rising[firsts] if firsts.size <= most else None

    def _held(self, cells: Integers) -> _Held | None:
        """Sorts what is in some cells and in the outermost ones; kept, for edges that lie at places."""
        grid = self._grid
        if grid is None:
            return None
        wanted = grid.with_tails(cells)
        if self._kept and np.isin(wanted, self._kept[-1].chosen, assume_unique=True).all():
            return self._kept[-1]
        held = grid.held(self.finite, wanted)
        if held is not None:
            self._kept[:] = [held]
        return held

    @cached_property
    def _rising(self) -> Floats:
        return np.sort(self.finite)


@dataclass(frozen=True)
class _Grid:
    """Equal cells over most of many finite numbers; the outermost hold what lies beyond.

    The cell of a number is computed by steps that never fall where numbers rise, so cells are in order.

    Attributes:
        middle: About the middle of the numbers.
        scale: How many cells there are to one.
        first: The place of the middle among the cells.
        places: The cell of each number, shape (n,).
        upto: How many numbers are in the cells up to each, shape (cells,).
        sums: The sums of the numbers less the middle, and of their squares.
    """

    middle: float
    scale: float
    first: float
    places: NDArray[np.uint16]
    upto: Integers
    sums: tuple[float, float]

    @classmethod
    def over(cls, numbers: Floats) -> _Grid | None:
        """Counts numbers in cells; None where they are few, not all finite, or mostly the same."""
        if numbers.size < _MANY:
            return None
        sample = np.sort(numbers[:: numbers.size // _SAMPLE])
        low, middle, high = sample[2], float(sample[sample.size // 2]), sample[-3]
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            scale = (_CELLS - 1) / (high - low)
            first = float((middle - low) * scale)
        if not (np.isfinite(first) and np.isfinite(scale) and scale > 0):
            return None
        places, counts = np.empty(numbers.size, dtype=np.uint16), np.zeros(_CELLS, dtype=np.int64)
        sums = np.zeros(2)
        for start, part in _chunks(numbers):
            with np.errstate(over="ignore", invalid="ignore"):
                moved = part - middle
                sums += moved.sum(), np.einsum("i,i", moved, moved)
            # One number that is not finite makes the sums so, too.
            if not np.isfinite(sums).all():
                return None
            cells = _cells(moved, scale, first)
            places[start : start + part.size] = cells
            counts += np.bincount(cells, minlength=_CELLS)
        total, square = sums.tolist()
        return cls(middle, float(scale), first, places, np.cumsum(counts), (total, square))

    def moments(self, centre: float, count: int) -> tuple[float, float]:
        """Moves the sums to another centre."""
        (total, square), apart = self.sums, self.middle - centre
        return total + count * apart, square + 2 * apart * total + count * apart * apart

    def cells_of(self, numbers: Floats) -> Integers:
        with np.errstate(over="ignore"):
            return _cells(numbers - self.middle, self.scale, self.first)

    def with_tails(self, cells: Integers) -> Integers:
        """Adds the cells of the lowest and highest few numbers, where edges lie beside the places."""
        few = self.upto[-1] // _TAIL
        low, high = np.searchsorted(self.upto, (few, self.upto[-1] - few), side="right")
        chosen = np.zeros(_CELLS, dtype=np.bool_)
        chosen[: low + 1] = chosen[high:] = True
        chosen[cells] = True
        return np.flatnonzero(chosen)

    def held(self, finite: Floats, chosen: Integers) -> _Held | None:
        """Sorts what is in some cells; None where that is much of all."""
        sizes = self.upto[chosen] - np.where(chosen > 0, self.upto[chosen - 1], 0)
        if sizes.sum() > _CROWDED * finite.size:
            return None
        wanted = np.zeros(_CELLS, dtype=np.bool_)
        wanted[chosen] = True
        parts = [
            part[_picked(wanted, self.places[start : start + part.size])] for start, part in _chunks(finite)
        ]
        return _Held(self, chosen, sizes, np.sort(np.concatenate(parts)))


@dataclass(frozen=True)
class _Held:
    """The numbers of some cells, rising; of all other cells only how many there are is known."""

    grid: _Grid
    chosen: Integers
    sizes: Integers
    rising: Floats

    @property
    def _skipped(self) -> Integers:
        """How many numbers of other cells lie before each chosen cell."""
        skipped: Integers = self.grid.upto[self.chosen] - np.cumsum(self.sizes)
        return skipped

    def below(self, edges: Floats) -> Integers:
        cell = np.searchsorted(self.chosen, self.grid.cells_of(edges))
        found: Integers = np.searchsorted(self.rising, edges, side="left") + self._skipped[cell]
        return found

    def at(self, places: Integers) -> tuple[Floats, Integers]:
        cell = np.searchsorted(self.grid.upto[self.chosen], places, side="right")
        return _standing(self.rising, places - self._skipped[cell])


def _standing(rising: Floats, places: Integers) -> tuple[Floats, Integers]:
    found = rising[places]
    equal = np.searchsorted(rising, found, side="right") - np.searchsorted(rising, found, side="left")
    return found, equal.astype(np.int64)


def _chunks(finite: Floats) -> Iterator[tuple[int, Floats]]:
    """Parts that stay in the processor's cache, and long enough that threads seldom wait for each other."""
    for start in range(0, finite.size, _CHUNK):
        yield start, finite[start : start + _CHUNK]


def _cells(moved: Floats, scale: float, first: float) -> Integers:
    """The cells of numbers less the middle, in place."""
    with np.errstate(over="ignore"):
        np.multiply(moved, scale, out=moved)
    moved += first
    return np.clip(moved, 0, _CELLS - 1, out=moved).astype(np.int64)


def _picked(wanted: Booleans, places: NDArray[np.uint16]) -> Integers:
    return np.flatnonzero(np.take(wanted, places, mode="wrap"))
