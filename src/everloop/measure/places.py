"""Rows in the order of their scores, as places: what ranks alike, with how many positives are expected there.

Few rows are sorted, and each distinct score is a place. Many are counted in equal cells: the rows of a cell
are a place too, over which they are spread, where the curve of chances is straight inside it and nothing is
asked of a score in it. That is as exact as sorting: of two rows of a cell, which of them is the higher
changes an area under the curve by less than 1e-8, and the sum of precisions has a closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from everloop.measure.arrays import Booleans, Floats, Integers

CELLS = 1 << 16
MANY = 1 << 17
"""Fewer rows are sorted."""

CROWDED = 64
"""A cell of more rows is sorted, unless they all have one score."""

_LOOKED_AT = 32
"""At one of so many rows it is looked whether scores are shared; then all are sorted. What that does not find
changes the sum of precisions by less than 1e-8."""

_CHUNK = 1 << 17


@dataclass(frozen=True)
class Places:
    """Places of rows, the lowest score first.

    Attributes:
        scores: The score of each place, shape (places,); of one over which rows are spread their mean.
        rows: How many rows there are, shape (places,).
        found: How many positives are expected, shape (places,).
        spread: Whether the rows of a place have different scores, shape (places,).
    """

    scores: Floats
    rows: Floats
    found: Floats
    spread: Booleans

    def below(self, edges: Floats) -> Integers:
        """Counts the places below each edge, one of those that were asked for."""
        return np.searchsorted(self.scores, edges, side="left")


def places_of(scores: Floats, curve: Callable[[Floats], Floats], edges: Floats) -> Places:
    """Gives the places of rows.

    Args:
        scores: Finite, shape (n,).
        curve: From scores to chances, rising and straight between `edges`.
        edges: The scores between which the curve is straight, and those that `Places.below` is asked for,
            rising.
    """
    cells = _Cells.of(scores, edges) if scores.size >= MANY else None
    if cells is None:
        return _sorted(scores, curve)
    told = _sorted(scores[np.flatnonzero(cells.sorted[cells.of_row])], curve)
    kept = np.flatnonzero((cells.rows > 0) & ~cells.sorted)
    rows, alike = cells.rows[kept].astype(np.float64), cells.alike[kept]
    means = np.where(alike, cells.some[kept], cells.sums[kept] / rows)
    return _merged(told, Places(means, rows, rows * curve(means), ~alike))


@dataclass(frozen=True)
class _Cells:
    """Equal cells between the lowest score and the highest.

    Attributes:
        of_row: The cell of each row, shape (n,).
        rows: How many rows there are, shape (cells,).
        sums: Of their scores, shape (cells,).
        some: The score of any of them, shape (cells,).
        alike: Whether they all have one score, shape (cells,).
        sorted: Which cells' rows are to be sorted, shape (cells,).
    """

    of_row: NDArray[np.uint16]
    rows: Integers
    sums: Floats
    some: Floats
    alike: Booleans
    sorted: Booleans

    @classmethod
    def of(cls, scores: Floats, edges: Floats) -> _Cells | None:
        """Counts rows in cells; None where all are to be sorted anyway."""
        low, high = float(scores.min()), float(scores.max())
        width = high - low
        scale = CELLS / width if width else np.inf
        if not 0 < scale < np.inf:
            return None
        of_row = np.empty(scores.size, dtype=np.uint16)
        rows, sums, some = np.zeros(CELLS, dtype=np.int64), np.zeros(CELLS), np.zeros(CELLS)
        for part, cell in _chunks(scores, of_row):
            moved = (part - low) * scale
            np.copyto(cell, np.minimum(moved, CELLS - 1, out=moved), casting="unsafe")
            place = cell.astype(np.int64)
            rows += np.bincount(place, minlength=CELLS)
            sums += np.bincount(place, part, CELLS)
            some[place] = part
        other = np.zeros(CELLS, dtype=np.bool_)
        for part, cell in _chunks(scores, of_row):
            other[cell[part != some[cell]]] = True
        chosen = other & (rows > CROWDED)
        inside = edges[(edges >= low) & (edges <= high)]
        chosen[np.minimum((inside - low) * scale, CELLS - 1).astype(np.int64)] = True
        found = cls(of_row, rows, sums, some, ~other, chosen)
        return None if found._share(scores) else found

    def _share(self, scores: Floats) -> bool:
        """Says whether rows of cells share scores without all of them doing so."""
        mixed = ~self.alike & ~self.sorted
        rising = np.sort(scores[::_LOOKED_AT][mixed[self.of_row[::_LOOKED_AT]]])
        return bool((rising[1:] == rising[:-1]).any())


def _chunks(scores: Floats, cells: NDArray[np.uint16]) -> Iterator[tuple[Floats, NDArray[np.uint16]]]:
    """Parts of rows that stay in the processor's cache."""
    for start in range(0, scores.size, _CHUNK):
        yield scores[start : start + _CHUNK], cells[start : start + _CHUNK]


def _sorted(scores: Floats, curve: Callable[[Floats], Floats]) -> Places:
    rising = np.sort(scores)
    chance = curve(rising)
    places = Places(rising, np.broadcast_to(1.0, rising.size), chance, np.broadcast_to(False, rising.size))
    tied = rising[1:] == rising[:-1]
    if not tied.any():
        return places
    starts = np.flatnonzero(np.concatenate(([True], ~tied)))
    rows = np.diff(starts, append=rising.size).astype(np.float64)
    none = np.broadcast_to(False, starts.size)
    return replace(
        places, scores=rising[starts], rows=rows, found=np.add.reduceat(chance, starts), spread=none
    )


def _merged(first: Places, second: Places) -> Places:
    scores = np.concatenate((first.scores, second.scores))
    order = np.argsort(scores, kind="stable")
    rest = (
        np.concatenate((getattr(first, name), getattr(second, name))) for name in ("rows", "found", "spread")
    )
    return Places(scores[order], *(values[order] for values in rest))
