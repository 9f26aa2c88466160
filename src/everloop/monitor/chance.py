"""What chance alone does to a column: samples drawn again from its histogram, hundreds at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everloop.measure.cells import Scratch
from everloop.measure.distances import Pairs
from everloop.measure.histogram import Histogram
from everloop.measure.normal_numbers import draw_normal

_MANY_ROWS = 1000
_NORMAL_FROM = 20.0
_CELLS = 1 << 14
_ROWS_A_BIN = 16
_ROWS_AT_ONCE = 1 << 15
_SMALL_PART = 5
_MOST_EXACT = 10**9

Table = NDArray[np.float64]
Sides = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Chance:
    """Draws a reference and a window again from a histogram.

    Attributes:
        whole: The histogram.
        draws: How many samples.
        random: The source of chance.
        scratch: What large samples are written in; each is good until the next is drawn.
        part: The share of rows that are in the histogram's segment; the others are left out, so that how
            many are in it is chance, too.
    """

    whole: Histogram
    draws: int
    random: np.random.Generator
    scratch: Scratch
    part: float = 1.0

    def windows(self, sizes: list[int]) -> Iterator[tuple[int, Pairs]]:
        """Draws pairs of a reference and a window for windows of each size.

        Where both have more than 1,000 rows each bin is drawn for itself, which is much faster and leaves
        the number of rows to chance, too: the size of a distance varies by 1 / (2 sqrt(rows)). Smaller
        windows are parted from the reference where they are a small part of it: those hold what the rest
        never had as often as a new one does.
        """
        counts = np.array([*self.whole.counts, self.whole.missing], dtype=np.float64)
        before = counts / counts.sum()
        after = self._window_shares(before)
        drawn = None
        for size in sizes:
            if min(size, self.whole.rows) > _MANY_ROWS:
                expected = before * self.whole.rows, after[: counts.size] * size
                yield size, self._pairs(self._both(expected, (self.whole.rows, size)))
            elif size * self.part * _SMALL_PART <= self.whole.rows <= _MOST_EXACT:
                yield size, self._parted(size)
            else:
                drawn = self._one(before, self.whole.rows) if drawn is None else drawn
                yield size, self._pairs((drawn, self._one(after, size)[:, : counts.size]))

    def _parted(self, size: int) -> Pairs:
        """Draws windows of the reference's own rows, without putting back: each with the rest of them."""
        counts = np.array([*self.whole.counts, self.whole.missing], dtype=np.int64)
        outside = round(counts.sum() * (1 / self.part - 1))
        drawn = self.random.multivariate_hypergeometric(
            np.append(counts, outside), size, size=self.draws, method="marginals"
        )
        after = drawn[:, : counts.size].astype(np.float64)
        return Pairs.parted(self.whole, after[:, :-1], after[:, -1])

    def _pairs(self, sides: Sides) -> Pairs:
        before, after = sides
        return Pairs.drawn(self.whole, before[:, :-1], after[:, :-1], before[:, -1], after[:, -1])

    def _window_shares(self, shares: Table) -> Table:
        """The chances of a window's rows: of those that the reference has once, others come."""
        empty, once = _never_filled(self.whole), _filled_once(self.whole)
        chances = shares.copy()
        if empty.size:
            # Good, Biometrika 40 (1953): the share of what was seen once is that of what was never seen.
            chances[once] = 0.0
            nearest = empty[np.abs(empty - once[:, None]).argmin(axis=1)]
            np.add.at(chances, nearest, shares[once])
        return np.append(chances * self.part, 1 - self.part) if self.part < 1 else chances

    def _one(self, shares: Table, rows: int) -> Table:
        """Draws samples of so many rows, shape (draws, bins)."""
        if rows > _MANY_ROWS:
            return _counts_of_chance(shares * rows, self.draws, self.random)
        return _sampled_bins(shares, rows, self.draws, self.random).astype(np.float64)

    def _both(self, expected: tuple[Table, Table], rows: tuple[int, int]) -> Sides:
        """Draws both sides of each bin at once, shape (draws, bins), where many rows are expected in both.

        Distances see how far the shares of both sides are apart, and to first order nothing else. So that
        is drawn, a normal number with the skew that the difference of two Poisson counts has, and parted
        between the sides as their variances are. Where few are expected each side is drawn for itself.

        Source:
            Cornish and Fisher, Revue de l'Institut International de Statistique 5 (1938).
        """
        many = np.minimum(*expected) > _NORMAL_FROM
        sides = [np.where(many, side, 1.0) for side in expected]
        variances = [side / whole**2 for side, whole in zip(sides, rows, strict=True)]
        spread = np.sqrt(variances[0] + variances[1])
        skew = (variances[1] / rows[1] - variances[0] / rows[0]) / spread**3
        moved, before, after = (
            self.scratch.array(name, self.draws * many.size, np.float32).reshape(self.draws, many.size)
            for name in ("chance", "before", "after")
        )
        draw_normal(self.random, moved)
        np.multiply(moved, moved, out=before)
        before -= 1
        before *= (skew / 6).astype(np.float32)
        moved += before
        np.multiply(moved, (-variances[0] * rows[0] / spread).astype(np.float32), out=before)
        np.multiply(moved, (variances[1] * rows[1] / spread).astype(np.float32), out=after)
        for drawn, side in ((before, expected[0]), (after, expected[1])):
            np.add(drawn, side.astype(np.float32), out=drawn)
            few = side[~many]
            drawn[:, ~many] = self.random.poisson(few, (self.draws, few.size))
        return before, after


def _counts_of_chance(expected: Table, draws: int, random: np.random.Generator) -> Table:
    """Draws Poisson counts; where many are expected, from the normal distribution with their skew."""
    drawn, many = np.empty((draws, expected.size)), expected > _NORMAL_FROM
    drawn[:, ~many] = random.poisson(expected[~many], (draws, int(np.count_nonzero(~many))))
    moved = np.empty((draws, int(np.count_nonzero(many))), dtype=np.float32)
    draw_normal(random, moved)
    drawn[:, many] = expected[many] + np.sqrt(expected[many]) * moved + (moved * moved - 1) / 6
    return drawn


def _sampled_bins(shares: Table, rows: int, draws: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draws how many of so many rows fall into each bin, shape (draws, bins)."""
    if rows > _ROWS_A_BIN * np.count_nonzero(shares):
        return random.multinomial(rows, shares / shares.sum(), draws)
    # Each row's bin: most cells of the line from 0 to 1 lie in one; only where one ends is it searched for.
    ends = np.cumsum(shares)
    ends *= _CELLS / ends[-1]
    bin_of = np.searchsorted(ends, np.arange(_CELLS), side="right")
    bin_of[ends[ends < _CELLS].astype(np.int64)] = -1
    drawn = np.empty((draws, shares.size), dtype=np.int64)
    step = max(1, _ROWS_AT_ONCE // rows)
    for start in range(0, draws, step):
        part = drawn[start : start + step]
        at = random.random(len(part) * rows) * _CELLS
        bins = bin_of[at.astype(np.int64)]
        parted = np.flatnonzero(bins < 0)
        bins[parted] = np.searchsorted(ends, at[parted], side="right")
        bins += np.repeat(shares.size * np.arange(len(part)), rows)
        part[:] = np.bincount(bins, minlength=part.size).reshape(part.shape)
    return drawn


def _never_filled(whole: Histogram) -> NDArray[np.int64]:
    """The bins of what the reference never had: other categories, numbers between and beyond its own."""
    if whole.bins.kind == "categorical":
        return np.array([whole.bins.size - 1])
    return np.flatnonzero(np.asarray(whole.counts) == 0)


def _filled_once(whole: Histogram) -> NDArray[np.int64]:
    counts = whole.counts[:-1] if whole.bins.kind == "categorical" else whole.counts
    return np.flatnonzero(np.asarray(counts) == 1)
