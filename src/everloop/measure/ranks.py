"""Ranks of numbers without sorting all of them: what lies below an edge, what stands at a place.

A million numbers are first counted in thousands of equal cells, which takes a sixth of sorting them. Only
the cells in which an edge or a place falls, a few in a hundred, are then sorted, so every answer is exact.

Example:
    >>> ranked = Ranked.of([3.0, 1.0, float("nan"), 2.0])
    >>> ranked.below([2.0, 9.0]).tolist(), ranked.at([0])[0].tolist(), ranked.missing
    ([1, 3], [1.0], 1)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.arrays import Booleans, Floats, Integers, possibly_missing
from everloop.measure.cells import Grid, Scratch


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
    _grid: Grid | None = field(default=None, repr=False)
    _kept: list[_Held] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def of(cls, values: ArrayLike, scratch: Scratch | None = None, edges: Floats | None = None) -> Ranked:
        """Takes numbers, NaN for missing.

        Args:
            values: The numbers, shape (n,).
            scratch: Where to write on the way. What is ranked with it can be asked until the next is.
            edges: What `below` will be asked for, where it is known; anything else then takes long.

        Raises:
            DataFault: When they are no numbers.
        """
        array = possibly_missing(values, "values")
        scratch = scratch or Scratch()
        grid = Grid.over(array, scratch, edges)
        if grid is not None:
            return cls(array, _grid=grid, _kept=_first(grid))
        finite = array[np.isfinite(array)]
        lowest, highest = int(np.count_nonzero(array == -np.inf)), int(np.count_nonzero(array == np.inf))
        missing = array.size - finite.size - lowest - highest
        grid = Grid.over(finite, scratch, edges)
        return cls(finite, missing, lowest, highest, grid, _first(grid))

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
                sums = self._grid.moments(centre)
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
        if grid is not None and np.count_nonzero(grid.counts) > most:
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
        if self._kept and self._kept[-1].chosen[cells].all():
            return self._kept[-1]
        chosen = grid.with_tails(cells)
        rising = grid.inside(self.finite, chosen)
        if rising is None:
            return None
        self._kept[:] = [_Held.of(grid, chosen, rising)]
        return self._kept[-1]

    @cached_property
    def _rising(self) -> Floats:
        return np.sort(self.finite)


@dataclass(frozen=True)
class _Held:
    """The numbers of chosen cells, rising; of all other cells only how many there are is known.

    Attributes:
        grid: The cells.
        chosen: Whether each is chosen, shape (cells,).
        rising: The numbers.
        skipped: How many numbers of other cells lie before each cell, shape (cells,).
    """

    grid: Grid
    chosen: Booleans
    rising: Floats
    skipped: Integers

    @classmethod
    def of(cls, grid: Grid, chosen: Booleans, rising: Floats) -> _Held:
        skipped = np.cumsum(np.where(chosen, 0, grid.counts))
        return cls(grid, chosen, rising, skipped)

    def below(self, edges: Floats) -> Integers:
        found: Integers = np.searchsorted(self.rising, edges, side="left")
        return found + self.skipped[self.grid.cells_of(edges)]

    def at(self, places: Integers) -> tuple[Floats, Integers]:
        cell = np.searchsorted(self.grid.upto, places, side="right")
        return _standing(self.rising, places - self.skipped[cell])


def _first(grid: Grid | None) -> list[_Held]:
    return [] if grid is None or grid.held is None else [_Held.of(grid, *grid.held)]


def _standing(rising: Floats, places: Integers) -> tuple[Floats, Integers]:
    found = rising[places]
    equal = np.searchsorted(rising, found, side="right") - np.searchsorted(rising, found, side="left")
    return found, equal.astype(np.int64)
