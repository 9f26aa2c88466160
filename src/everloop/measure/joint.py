"""How far columns moved together: a small shift of what rows are, which moves many columns a little.

Each column is told by a few scores of its bins: of a number where it lies and how far it spreads, by ranks;
of a class which it is. A window's mean scores are sums over its counts, so what is kept of a window has them
already. The square of how far they moved is one statistic of all columns: what moves several columns in one
direction is in each of them. Its distribution without a shift is known from how the scores hang together in
the reference's rows.

Source:
    Scores of numbers: Neyman's smooth tests, Skandinavisk Aktuarietidskrift 20 (1937). A squared norm of
    means in many dimensions: Bai and Saranadasa, Statistica Sinica 6 (1996); as a sum of chi-squares, Box,
    Annals of Mathematical Statistics 25 (1954).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from everloop.core.extras import require
from everloop.measure.arrays import Floats, Integers
from everloop.measure.histogram import Histogram

MOST_ROWS = 10_000
"""Rows of the reference from which it is learned how columns hang together."""

_LEAST_SHARE = 0.02
_MOST_CLASSES = 8
_MOST_SCORES = 128


@dataclass(frozen=True)
class JointShift:
    """How some columns of a reference hang together.

    Attributes:
        columns: The columns, in order.
        covariance: Of the scores of a row, those of the columns one after another, shape (scores, scores).
    """

    columns: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]

    def moves(
        self, reference: Mapping[str, Histogram], before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Gives how far each score's mean moved, shape (windows, scores).

        It is told in units of the sampling error of both sides, so chance makes it as large in windows of
        any size: its covariance is then that of the scores of a row.

        Args:
            reference: The columns of the reference, whose bins are counted in.
            before: Of each column the counts of what windows are compared with, the missing ones last,
                shape (windows, bins + 1) or (1, bins + 1).
            after: Those of the windows, alike.
        """
        found = []
        for name in self.columns:
            sides = [side[name] / side[name].sum(axis=-1, keepdims=True) for side in (before, after)]
            found.append((sides[1] - sides[0]) @ scores_of(reference[name]).T)
        rows = [side[self.columns[0]].sum(axis=-1, keepdims=True) for side in (before, after)]
        moved: Floats = np.column_stack(found) / np.sqrt(1 / rows[0] + 1 / rows[1])
        return moved

    def thinned(self, moved: Floats, share: float, random: np.random.Generator) -> Floats:
        """Gives how far a part of a window's rows moved: less, and with noise that is drawn.

        Args:
            moved: How far the window moved, shape (1, scores).
            share: How much of the part's sampling variance the window has.
            random: The source of chance.
        """
        variances, directions = self._axes
        noise = random.normal(size=moved.shape) * np.sqrt(variances) @ directions.T
        found: Floats = np.sqrt(share) * moved + np.sqrt(1 - share) * noise
        return found

    def distances(self, moved: Floats) -> Floats:
        """Gives the distance of windows, shape (windows,): about 1 where nothing but chance moved them.

        Args:
            moved: How far their scores moved, shape (windows, scores), as `moves` gives it.
        """
        found: Floats = np.vecdot(moved, moved) / len(self.columns)
        return found

    def of_chance(self, draws: int, random: np.random.Generator) -> Floats:
        """Draws the distances of windows that nothing but chance moved, shape (draws,)."""
        variances = self._axes[0]
        normal = random.normal(size=(draws, variances.size))
        found: Floats = (normal * normal) @ variances / len(self.columns)
        return found

    def shares(self, reference: Mapping[str, Histogram], moved: Floats) -> dict[str, float]:
        """Gives how much of a window's distance is each column's, the most first; in all 1."""
        begin = np.cumsum([0, *(len(scores_of(reference[name])) for name in self.columns)])[:-1]
        owned = np.add.reduceat(moved[0] ** 2, begin)
        owned /= max(owned.sum(), np.finfo(float).tiny)
        order = np.argsort(-owned, kind="stable")
        return {self.columns[i]: float(owned[i]) for i in order}

    def to_dict(self) -> dict[str, Any]:
        """Gives it as what JSON can carry: of the covariance what lies on and below the diagonal."""
        lower = [list(row[: i + 1]) for i, row in enumerate(self.covariance)]
        return {"columns": list(self.columns), "covariance": lower}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JointShift:
        """Reads what `to_dict` gave."""
        rows = data["covariance"]
        lower = np.array([[*row, *[0.0] * (len(rows) - len(row))] for row in rows])
        full = lower + np.tril(lower, -1).T
        return cls(tuple(data["columns"]), tuple(map(tuple, full.tolist())))

    @cached_property
    def _axes(self) -> tuple[Floats, Floats]:
        """The variances along the principal axes, and the axes."""
        with _one_thread():
            variances, directions = np.linalg.eigh(np.array(self.covariance))
        return np.maximum(variances, 0.0), directions


def fit_joint(
    histograms: Mapping[str, Histogram], places: Mapping[str, Integers], *, classes: bool
) -> JointShift | None:
    """Learns how columns hang together.

    Args:
        histograms: The columns of the reference.
        places: Of each column the bin of some of its rows, that after the last where missing, shape (n,).
        classes: Whether those are taken that say which class a row is of (texts, and numbers of at most 8
            values), or the others.

    Returns:
        How; None where no column is of that kind, or less than two rows are known. Columns that would
        make the scores more than 128 are left out.
    """
    rows = len(next(iter(places.values()), ()))
    found: dict[str, Floats] = {}
    room = _MOST_SCORES
    for name, place in places.items():
        if is_class(histograms[name]) == classes:
            scores = scores_of(histograms[name])
            if 0 < len(scores) <= room:
                found[name] = scores[:, place]
                room -= len(scores)
    if not found or rows < 2:
        return None
    with _one_thread():
        covariance = np.atleast_2d(np.cov(np.concatenate(list(found.values()))))
    return JointShift(tuple(found), tuple(map(tuple, covariance.tolist())))


def _one_thread() -> AbstractContextManager[Any]:
    """Keeps small products to this thread.

    BLAS's others, once woken, spin for a tenth of a second and take the cores from what counts columns next.
    """
    found: AbstractContextManager[Any] = _threads().limit(limits=1, user_api="blas")
    return found


@cache
def _threads() -> Any:
    return require("threadpoolctl", extra="train").ThreadpoolController()


def is_class(histogram: Histogram) -> bool:
    """Says whether a column's values are classes: texts, and numbers of which there are few."""
    filled = sum(number > 0 for number in histogram.counts)
    return histogram.bins.kind == "categorical" or filled <= _MOST_CLASSES


def scores_of(histogram: Histogram) -> Floats:
    """Gives what a value scores by its bin, shape (scores, bins + 1); the last is that of missing ones.

    On the reference each score's mean is 0, and the variances of all of a column add up to 1.
    """
    counts = np.array([*histogram.counts, histogram.missing], dtype=np.float64)
    shares = counts / max(counts.sum(), 1.0)
    if is_class(histogram):
        scores = np.eye(shares.size)[shares >= _LEAST_SHARE]
        scores -= scores @ shares[:, None]
    else:
        present = shares[:-1] / shares[:-1].sum()
        rank = 2 * np.cumsum(present) - present - 1
        scores = np.stack((rank, (3 * rank * rank - 1) / 2))
        scores -= scores @ present[:, None]
        scores = np.column_stack((scores, np.zeros(2)))
    variance = float((scores * scores @ shares).sum())
    found: Floats = scores / np.sqrt(variance) if variance > 0 else scores[:0]
    return found
