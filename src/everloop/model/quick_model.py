"""A quick model, fitted on each fold: what is decided about columns rests on what it says of held-out rows.

One fit for each fold serves all that is asked of the same columns. What a change of the columns gains is
measured row by row and averaged over blocks of rows that follow each other: sixty of them show how much of
it is chance, which three folds cannot, and rows that are alike because they are neighbours count once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.gains import gain_chances
from everloop.measure.metrics import METRICS
from everloop.model.folds import thinned
from everloop.model.learners.registry import learner
from everloop.model.preparation import PreparationSettings, fit_preparation
from everloop.model.row_losses import own_losses
from everloop.model.scoring import raw_scores
from everloop.model.trial import fit_on, fold_score, warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from everloop.model.trial import Material
    from everloop.runtime.plan import Plan

QUICK_LEARNER = "lightgbm"
QUICK = {"rounds": 60, "learning_rate": 0.15, "leaves": 15, "min_samples_leaf": 10}
QUICK_ROWS = 12_000
QUICK_JUDGED = 6_000
BLOCKS = 60
"""So many blocks of rows judge, in all folds together."""

MUTUAL = 2**0.5
"""How much wider the error of a mean gain is where folds learn from each other.

What two folds have in common by chance speaks twice: in the one, judged by what was learned from the other,
and in the other. So the variance of the mean is twice that of folds that are independent.
"""


@dataclass(frozen=True, slots=True)
class QuickFit:
    """A quick model of one fold.

    Attributes:
        plan: Its preparation.
        estimator: The fitted estimator.
        X: The rows that judge, encoded, (m, width).
        rows: Their positions, (m,).
        scores: What it says of them, as `scoring.raw_scores` gives it.
    """

    plan: Plan
    estimator: Any
    X: NDArray[np.float64]
    rows: NDArray[np.int64]
    scores: NDArray[np.float64]


def load_quick_learner(material: Material) -> None:
    """Loads the quick learner, which takes seconds that are no part of how long a selection takes."""
    warm_up(learner(QUICK_LEARNER), material)


def quick_fits(
    material: Material, *, out_of_time: Callable[[], bool] = lambda: False
) -> tuple[QuickFit, ...] | None:
    """Fits the quick model on each fold; None where, asked before a fit, it is out of time."""
    fits: list[QuickFit] = []
    for number in range(len(material.folds)):
        if out_of_time():
            return None
        fits.append(_quick_fit(material, number))
    return tuple(fits)


def _quick_fit(material: Material, number: int) -> QuickFit:
    from everloop.runtime.plan_table import encode_table

    quick = learner(QUICK_LEARNER)
    fold = material.folds[number]
    train, judging = thinned(fold.train, QUICK_ROWS), thinned(fold.validation, QUICK_JUDGED)
    settings = PreparationSettings.of(quick.capabilities, seed=material.seed)
    table = material.table.select(material.features.columns)
    plan, X = fit_preparation(
        table[train], material.frame, material.features, settings, material.actual[train]
    )
    estimator = fit_on(quick, X, material.actual[train], material, QUICK, material.counts_of(train))
    judged = np.asarray(encode_table(plan, table[judging]))
    return QuickFit(plan, estimator, judged, judging, raw_scores(estimator, judged, material.frame))


def signed_score(material: Material, fit: QuickFit, scores: NDArray[np.float64]) -> float:
    """Gives the problem's metric of scores of the rows that judge, more being better."""
    score = fold_score(material.frame, material.actual[fit.rows], scores, material.counts_of(fit.rows))
    return score if METRICS[material.frame.metric].greater_is_better else -score


def block_losses(
    material: Material, fits: Sequence[QuickFit], said: Sequence[NDArray[np.float64]] | None = None
) -> NDArray[np.float64]:
    """Gives the mean loss of each block of the rows that judge, (blocks,).

    Args:
        material: The rows.
        fits: The quick models.
        said: Scores that are judged in place of the models' own, for each fit.
    """
    count = -(-BLOCKS // len(fits))
    found: list[float] = []
    for fit, scores in zip(fits, said or [fit.scores for fit in fits], strict=True):
        losses = own_losses(material.frame, material.actual[fit.rows], scores)
        counts = material.counts_of(fit.rows)
        if counts is not None:
            losses = losses * counts / counts.mean()
        found += [float(block.mean()) for block in np.array_split(losses, count) if len(block)]
    return np.array(found)


def chances_of(material: Material, gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the chance of each gain, (blocks, things) or (blocks,), where in truth nothing is gained."""
    mutual = any(
        np.isin(one.train, other.validation).any() and np.isin(other.train, one.validation).any()
        for one, other in pairwise(material.folds)
    )
    return gain_chances(gains.reshape(len(gains), -1), widened=MUTUAL if mutual else 1.0)


def quick_errors(
    material: Material, fits: Sequence[QuickFit]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gives what the quick model gets wrong on rows that it has not seen.

    Returns:
        The rows, and for each the actual less what was said: of a class its 1 or 0 less its chance (of
        several the most frequent one's).
    """
    rows = np.concatenate([fit.rows for fit in fits])
    said, actual = np.concatenate([fit.scores for fit in fits]), material.actual[rows]
    if said.ndim == 2:
        frequent = int(np.bincount(actual.astype(np.int64)).argmax())
        said, actual = said[:, frequent], actual == frequent
    return rows, np.asarray(actual, dtype=np.float64) - said


def quick_scores(material: Material) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gives what quick models say of rows of each fold that they have not seen: rows and scores."""
    fits = quick_fits(material) or ()
    return np.concatenate([fit.rows for fit in fits]), np.concatenate([fit.scores for fit in fits])
