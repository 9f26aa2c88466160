"""Deals rows to parts by chance: from what rows hold and a seed, whatever their order.

Rows of one key stay together. Keys are drawn by a hash of the key and the seed, so the same rows are
dealt alike however they are sorted, and another seed deals them otherwise.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from everloop.table.twins import mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.uint64]
    Rows = NDArray[np.int8]

TRAIN, VALIDATION, TEST, LEFT_OUT = 0, 1, 2, -1


def deal(
    keys: Keys, validation: float, test: float, seed: int, strata: NDArray[np.int64] | None = None
) -> Rows:
    """Deals whole keys to the parts until each has its share of rows, within each stratum.

    A part's share of a stratum is off by at most half the rows of its largest key at either end. Where
    a stratum has a key for each part, each part gets one.

    Args:
        keys: Which rows stay together, (n,).
        validation: The share of rows for validation.
        test: The share for test.
        seed: Of the chance.
        strata: Each row's stratum, (n,); a key is of the least of its rows' strata.

    Returns:
        0 for training, 1 for validation, 2 for test, (n,).
    """
    distinct, inverse, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    of_key = np.zeros(len(distinct), dtype=np.int64)
    if strata is not None:
        of_key = np.full(len(distinct), np.iinfo(np.int64).max)
        np.minimum.at(of_key, inverse, strata)
    drawn = np.lexsort((mixed(distinct, seed), of_key))
    part = np.full(len(distinct), TRAIN, dtype=np.int8)
    edges = np.flatnonzero(np.diff(of_key[drawn], prepend=-1, append=-1))
    for start, end in pairwise(edges):
        members = drawn[start:end]
        part[members] = _dealt(sizes[members], validation, test)
    return np.asarray(part[inverse], dtype=np.int8)


def _dealt(sizes: NDArray[np.int64], validation: float, test: float) -> Rows:
    rows = int(sizes.sum())
    # A key goes where its middle row falls.
    middle = np.cumsum(sizes) - sizes / 2
    part = np.full(len(sizes), TRAIN, dtype=np.int8)
    part[middle < (test + validation) * rows] = VALIDATION
    part[middle < test * rows] = TEST
    wanted = [code for code, share in ((TEST, test), (VALIDATION, validation)) if share > 0]
    if len(sizes) > len(wanted) and len(np.unique(part)) <= len(wanted):
        return _one_each(sizes, validation, test, wanted)
    return part


def _one_each(sizes: NDArray[np.int64], validation: float, test: float, wanted: list[int]) -> Rows:
    """Cuts keys so that each part has one at least, and none is further from its share than it must be."""
    count, ends = len(sizes), np.cumsum(sizes)
    shares = {TEST: test * ends[-1], VALIDATION: validation * ends[-1]}
    part = np.full(count, TRAIN, dtype=np.int8)
    if len(wanted) == 1:
        last = int(np.abs(ends[:-1] - shares[wanted[0]]).argmin())
        part[: last + 1] = wanted[0]
        return part
    first = np.arange(count - 2)  # the last key of the test part
    after = np.searchsorted(ends, ends[first] + shares[VALIDATION])
    best: tuple[float, int, int] = (np.inf, 0, 1)
    for near in (after - 1, after):
        second = np.clip(near, first + 1, count - 2)  # the last key of the validation part
        off = np.maximum(
            np.abs(ends[first] - shares[TEST]), np.abs(ends[second] - ends[first] - shares[VALIDATION])
        )
        place = int(off.argmin())
        best = min(best, (float(off[place]), place, int(second[place])))
    part[: best[2] + 1] = VALIDATION
    part[: best[1] + 1] = TEST
    return part
