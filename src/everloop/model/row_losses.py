"""What each row adds to a metric's loss, so that the loss of any slice is a sum over its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.measure.metrics import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.model.judged import Judged
    from everloop.spec.frame import Frame


@dataclass(frozen=True, slots=True)
class RowLosses:
    """Losses by row, in strata that weigh alike: all rows, or the classes of a ranking.

    Attributes:
        strata: Whether a row is in each stratum, (n, strata).
        sums: Its loss there, 0 elsewhere, (n, strata).
        squares: The loss squared, (n, strata).
    """

    strata: NDArray[np.float64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]

    def of(self, rows: NDArray[np.int64]) -> RowLosses:
        """Takes some rows."""
        return RowLosses(self.strata[rows], self.sums[rows], self.squares[rows])

    def mean(self, counts: NDArray[np.float64], sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """The loss of slices whose strata have these counts and sums, (..., strata) to (...)."""
        unknown = np.full(np.shape(sums), np.nan)
        each = np.divide(sums, counts, out=unknown, where=np.asarray(counts) > 0)
        found: NDArray[np.float64] = each.mean(axis=-1)
        return found

    def excess(
        self, counts: NDArray[np.float64], sums: NDArray[np.float64], squares: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """How many standard errors slices lose more than the rows outside them; NaN where not known.

        Args:
            counts: Rows of each slice and stratum, (..., strata).
            sums: Their losses.
            squares: Their squared losses.
        """
        totals = (each.sum(axis=0) for each in (self.strata, self.sums, self.squares))
        other = [total - part for total, part in zip(totals, (counts, sums, squares), strict=True)]
        gap = self.mean(counts, sums) - self.mean(other[0], other[1])
        errors = self._error(counts, sums, squares) + self._error(*other)
        unknown = np.full(np.shape(gap), np.nan)
        certainty: NDArray[np.float64] = np.divide(gap, np.sqrt(errors), out=unknown, where=errors > 0)
        return certainty

    def _error(
        self, counts: NDArray[np.float64], sums: NDArray[np.float64], squares: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        known = counts > 1
        mean = np.divide(sums, counts, out=np.full(np.shape(sums), np.nan), where=known)
        spread = np.divide(squares, counts, out=np.full(np.shape(sums), np.nan), where=known) - mean**2
        error = (np.maximum(spread, 0) / np.maximum(counts, 1)).mean(axis=-1) / counts.shape[-1]
        return np.asarray(error, dtype=np.float64)


def losses_for(judged: Judged) -> RowLosses | None:
    """Gives the rows' losses that stand for the problem's metric; None where there are none.

    A metric of decisions counts wrong ones, one of chances takes the log loss, one of numbers the squared
    error (the absolute one for the metrics that are made of it). For one that ranks, a row's loss is the
    share of the other class on its wrong side, and both classes weigh alike.
    """
    metric, actual = METRICS[judged.frame.metric], judged.actual
    if judged.frame.task != "regression" and metric.needs == "decision":
        return _single((judged.decisions != actual).astype(np.float64))
    if judged.frame.task == "binary" and metric.needs == "score":
        return _by_class(judged.scores, actual == 1)
    return _single(own_losses(judged.frame, actual, judged.scores))


def own_losses(frame: Frame, actual: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the loss of each row by itself, (n,).

    Of chances that is the log loss; of numbers the squared error, or the absolute one for the metrics that
    are made of it.

    Args:
        frame: The problem.
        actual: Class indices or numbers, (n,).
        scores: As `scoring.raw_scores` gives them.
    """
    if frame.task == "regression":
        errors = np.abs(scores - actual)
        return errors**2 if frame.metric in ("rmse", "r2", "explained_variance") else errors
    chance = (
        scores[np.arange(len(actual)), actual.astype(int)]
        if scores.ndim == 2
        else np.abs(1 - actual - scores)
    )
    return np.asarray(-np.log(np.clip(chance, 1e-6, 1)), dtype=np.float64)


def _single(losses: NDArray[np.float64]) -> RowLosses:
    column = losses.astype(np.float64)[:, None]
    return RowLosses(np.ones_like(column), column, column**2)


def _by_class(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> RowLosses | None:
    if positive.all() or not positive.any():
        return None
    strata = np.stack([positive, ~positive], axis=1).astype(np.float64)
    losses = np.zeros((len(scores), 2))
    for column, (mine, theirs) in enumerate(((positive, ~positive), (~positive, positive))):
        other = np.sort(scores[theirs])
        ends = (np.searchsorted(other, scores[mine], side=side) for side in ("left", "right"))
        below = sum(ends) / (2 * other.size)
        losses[mine, column] = below if column else 1 - below
    return RowLosses(strata, losses, losses**2)
