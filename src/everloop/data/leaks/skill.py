"""How well one column alone tells the target: a small tree, judged on rows that it was not made of.

The tree is CART's (Breiman et al. 1984) on one column: splits that leave least variance of the target,
best first. Half of the rows make it and the other half judge it, then the other way round, so that a
column of many values gains nothing by learning rows by heart.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.data.leaks.values import codes_of, numbers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from everloop.data.leaks.values import Floats, Target

MOST_LEAVES = 64
LEAST_ROWS = 5
ROWS_PER_VALUE = 5
"""Text of fewer rows a value on average says which row it is, not which class."""


@dataclass(frozen=True)
class Skill:
    """What one column knows of the target.

    Attributes:
        score: Of classes the multiclass Matthews correlation (Gorodkin 2004), of numbers the share
            of the ranks' variance; 1 tells everything, 0 nothing.
        right: The share of rows whose class is told right; of numbers the same as `score`.
        rows: On how many rows it was judged.
    """

    score: float
    right: float
    rows: int

    @property
    def surely(self) -> float:
        """The score less its standard error: what is wrong is known to one in the root of its rows."""
        wrong = (1 - self.right) * self.rows
        return float(self.score - (1 - self.score) / np.sqrt(wrong)) if wrong > 0 else self.score


def column_skill(column: pl.Series, target: Target, *, seed: int = 0) -> Skill | None:
    """Judges what a column alone tells of the target.

    Args:
        column: The column, (n,).
        target: The target of the same rows.
        seed: Of the halves.

    Returns:
        The skill, or None where the column cannot be judged: text of nearly one row a value.
    """
    predicted = _predicted(column, target, seed)
    return None if predicted is None else _judged(predicted, target)


def lucky_columns(best: Skill, behind: Sequence[Skill], *, numbers: bool) -> float:
    """Gives how many other columns are expected to do as well as the best in as many new rows.

    Each is taken to know what it showed: of classes its right rows are binomial; of numbers its correlation
    is normal after Fisher's transformation, with the variance 1 / (rows - 3).

    Args:
        best: What the column showed.
        behind: What the others did.
        numbers: Whether the target is a number.

    Example:
        >>> best, other = Skill(0.93, 29 / 30, 30), Skill(0.6, 0.8, 30)
        >>> round(lucky_columns(best, [other], numbers=False), 4)
        0.0105
    """
    from scipy.stats import binom, norm

    if not behind:
        return 0.0
    if not numbers:
        right = round(best.right * best.rows)
        return float(binom.sf(right - 1, best.rows, [one.right for one in behind]).sum())
    known = np.sqrt(np.clip([best.score, *(one.score for one in behind)], 0.0, 1 - 1e-12))
    apart = np.arctanh(known[0]) - np.arctanh(known[1:])
    return float(norm.sf(apart * np.sqrt(max(best.rows - 3, 1))).sum())


def right_where_wrong(column: pl.Series, other: pl.Series, target: Target) -> tuple[float, int]:
    """Judges how often one column tells the class right in rows in which another tells it wrong.

    Rows that are hard for one honest column are hard for the next; a copy is right in them as elsewhere.

    Args:
        column: The column, (n,).
        other: The other, (n,).
        target: The target of the same rows, of classes.

    Returns:
        The share of right ones, and in how many rows the other is wrong.
    """
    ours, theirs = _predicted(column, target), _predicted(other, target)
    if ours is None or theirs is None:
        return 0.0, 0
    actual = target.matrix.argmax(axis=1)
    hard = theirs.argmax(axis=1) != actual
    return float((ours.argmax(axis=1) == actual)[hard].mean()) if hard.any() else 0.0, int(hard.sum())


def _predicted(column: pl.Series, target: Target, seed: int = 0) -> Floats | None:
    half = np.random.default_rng(seed).permutation(target.rows) % 2 == 0
    predicted = np.empty_like(target.matrix)
    numbers = numbers_of(column)
    if numbers is None:
        codes, distinct = codes_of(column)
        if distinct * ROWS_PER_VALUE > target.rows:
            return None
        for made in (half, ~half):
            predicted[~made] = _category_means(codes, distinct, target.matrix, made)[codes[~made]]
    else:
        for made in (half, ~half):
            predicted[~made] = _tree_means(numbers, target.matrix, made)
    return predicted


def _judged(predicted: Floats, target: Target) -> Skill:
    if not target.names:
        actual = target.matrix[:, 0]
        spread = float(((actual - actual.mean()) ** 2).sum())
        score = 1.0 - float(((actual - predicted[:, 0]) ** 2).sum()) / spread if spread else 0.0
        return Skill(score, score, target.rows)
    told, actual = predicted.argmax(axis=1), target.matrix.argmax(axis=1)
    return Skill(_matthews(told, actual, len(target.names)), float((told == actual).mean()), target.rows)


def _matthews(told: Any, actual: Any, classes: int) -> float:
    table = np.bincount(told * classes + actual, minlength=classes * classes).reshape(classes, classes)
    rows, said, are = float(table.sum()), table.sum(axis=1), table.sum(axis=0)
    above = float(np.trace(table)) * rows - float(said @ are)
    below = np.sqrt((rows**2 - float(said @ said)) * (rows**2 - float(are @ are)))
    return float(above / below) if below > 0 else 0.0


def _category_means(codes: Any, distinct: int, matrix: Floats, made: Any) -> Floats:
    overall = matrix[made].mean(axis=0)
    counts = np.bincount(codes[made], minlength=distinct)
    sums = np.stack(
        [np.bincount(codes[made], weights=one[made], minlength=distinct) for one in matrix.T], axis=1
    )
    return np.asarray((sums + overall) / (counts[:, None] + 1.0), dtype=np.float64)


def _tree_means(numbers: Floats, matrix: Floats, made: Any) -> Floats:
    """Gives the mean target of each other row's leaf; missing values are a leaf of their own."""
    known = made & ~np.isnan(numbers)
    overall = matrix[made].mean(axis=0)
    absent = made & np.isnan(numbers)
    of_absent = (matrix[absent].sum(axis=0) + overall) / (absent.sum() + 1.0)
    cuts, means = _grow(numbers[known], matrix[known])
    others = numbers[~made]
    leaf = np.searchsorted(cuts, others, side="right")
    found = means[leaf] if len(means) else overall
    return np.asarray(np.where(np.isnan(others)[:, None], of_absent, found), dtype=np.float64)


def _grow(numbers: Floats, matrix: Floats) -> tuple[Floats, Floats]:
    """Grows the tree; gives its cuts in order (a leaf begins at its cut) and the leaves' means."""
    order = np.argsort(numbers, kind="stable")
    x, y = numbers[order], matrix[order]
    if not len(x):
        return np.empty(0), np.empty((0, matrix.shape[1]))
    sums = np.vstack([np.zeros(y.shape[1]), np.cumsum(y, axis=0)])
    least = max(LEAST_ROWS, len(x) // 2_000)
    waiting = [(*_best_cut(x, sums, 0, len(x), least), 0, len(x))]
    starts = [0]
    while waiting and len(starts) < MOST_LEAVES:
        gain, cut, start, end = heapq.heappop(waiting)
        if gain >= 0:
            break
        starts.append(cut)
        for a, b in ((start, cut), (cut, end)):
            heapq.heappush(waiting, (*_best_cut(x, sums, a, b, least), a, b))
    starts = sorted(starts)
    ends = [*starts[1:], len(x)]
    means = np.stack([(sums[b] - sums[a]) / (b - a) for a, b in zip(starts, ends, strict=True)])
    # A cut lies half-way, so that rows that were not seen fall to the nearer side.
    cuts = np.array([(x[start - 1] + x[start]) / 2 for start in starts[1:]])
    return cuts, means


def _best_cut(x: Floats, sums: Floats, start: int, end: int, least: int) -> tuple[float, int]:
    """Finds the cut of a leaf that explains most; gives the gain as a negative number, 0 for none."""
    places = np.arange(start + least, end - least + 1)
    places = places[x[places - 1] != x[places]] if len(places) else places
    if not len(places):
        return 0.0, start
    left, right = sums[places] - sums[start], sums[end] - sums[places]
    whole = sums[end] - sums[start]
    gains = (left**2).sum(axis=1) / (places - start) + (right**2).sum(axis=1) / (end - places)
    best = int(gains.argmax())
    gain = float(gains[best] - (whole**2).sum() / (end - start))
    return (-gain if gain > 1e-9 else 0.0), int(places[best])
