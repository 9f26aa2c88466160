"""Numbers at places of the sorted whole, where the whole is read in parts and never held.

What is counted is how many numbers lie in each of some bins; counts of parts add up. Each reading narrows
down where the places lie, until what is left there is so little that it can be held, or a single number.

Example:
    >>> import numpy as np
    >>> parts = [np.array([5, 1, 9]), np.array([7, 3])]
    >>> values_at([0, 2, 4], lambda: parts, ends=(1, 9)).tolist()
    [1, 5, 9]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.arrays import Integers

BINS = 1 << 16

Parts = Callable[[], Iterable[Integers]]


def values_at(places: ArrayLike, parts: Parts, *, ends: tuple[int, int], bins: int = BINS) -> Integers:
    """Finds the numbers that would stand at some places if all were sorted.

    Args:
        places: From 0 on, each below how many numbers there are, shape (k,).
        parts: Gives the numbers in parts, the same ones each time it is asked.
        ends: The smallest and the largest number.
        bins: So many are counted in, and so many numbers held; two bins for each place at least.

    Returns:
        The numbers, shape (k,).
    """
    wanted = np.asarray(places, dtype=np.int64)
    low, high = (np.full(wanted.size, end, dtype=np.int64) for end in ends)
    while (low < high).any():
        edges = _edges(low, high, bins)
        counts = np.zeros(edges.size + 1, dtype=np.int64)
        for part in parts():
            counts += np.bincount(_bins(edges, part), minlength=counts.size)
        # How many numbers lie below each edge: a place is at or behind the last edge that leaves room for it.
        below = np.cumsum(counts)[:-1]
        own = np.searchsorted(below, wanted, side="right")
        found, place = np.unique(own, return_inverse=True)
        if counts[found].sum() <= bins:
            held = np.sort(np.concatenate([part[np.isin(_bins(edges, part), found)] for part in parts()]))
            before = np.cumsum(counts[found]) - counts[found]
            standing: Integers = held[before[place] + wanted - below[own - 1]]
            return standing
        low = edges[own - 1]
        high = np.minimum(high, np.append(edges, ends[1] + 1)[own] - 1)
    return low


def _bins(edges: Integers, numbers: Integers) -> Integers:
    return np.searchsorted(edges, numbers, side="right")


def _edges(low: Integers, high: Integers, bins: int) -> Integers:
    """Divides each span in which a place still lies, evenly; the last edge of one lies behind its end."""
    spans = np.unique(np.stack((low, high), axis=1), axis=0)
    steps = max(2, bins // len(spans))
    width = spans[:, 1:] + 1 - spans[:, :1]
    found: Integers = np.unique(spans[:, :1] + (np.arange(steps + 1) * (width / steps)).astype(np.int64))
    return found
