"""Feature selection that pays: columns that do not help on held-out rows are left out.

A quick model is fitted on each fold, and each column is shuffled in the rows that judge: what is lost is
the column's gain (permutation importance; Breiman 2001, Fisher et al. 2019). A column that has nothing to
do with the others and the target gains nothing in the mean, whatever the model made of it; so blocks of rows
show which gains are surely more, and of the columns taken to help a tenth at most is noise (Benjamini and
Hochberg 1995). The others are left out if the model without them is not worse, by loss and metric; else
only those that look most like noise.

Columns that look useless by chance make a model worse on other rows than on those that chose them, so few
rows leave out only what looks most like noise, and very few nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from everloop.measure.gains import false_share
from everloop.model.quick_model import QuickFit, block_losses, chances_of, quick_fits, signed_score
from everloop.model.scoring import raw_scores
from everloop.model.trained import FeatureChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from everloop.model.features import Features
    from everloop.model.trial import Material
    from everloop.runtime.plan import Plan

FEWEST_ROWS = 200
FEWEST_SELECTED_BY = 2_000
"""With fewer rows no column is left out: what seems to be noise there often helps on other rows."""

FEWEST_STRICT = 5_000
"""With fewer rows a column that helps a little is not told from noise: only what looks most like it goes."""

REPEATS = 3
NOISE = 0.1
"""No greater share of the columns that are taken to help is noise."""

SPARED = 0.3
"""Where it is too much to leave out all others, those go whose gain chance alone gives more often."""

WORSE = 0.2
"""A model without the weak columns is worse where chance alone makes it look so bad less often than this."""

LOWER = 2e-3
"""Nor may its metric be lower by more than this share of it and than its standard error over the folds."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What was decided.

    Attributes:
        features: Every column that could be a feature, kept or not.
        note: What was done, in a sentence.
        fits: Quick models of the kept columns; none where there was no time for them.
    """

    features: tuple[FeatureChoice, ...]
    note: str
    fits: tuple[QuickFit, ...] = field(default=(), compare=False, repr=False)

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns to use."""
        return tuple(choice.name for choice in self.features if choice.kept)


def select_features(material: Material, *, out_of_time: Callable[[], bool] = lambda: False) -> Selection:
    """Decides which columns help.

    Args:
        material: The rows, their folds and every column that can be a feature.
        out_of_time: Asked between fits; true ends the selection with all columns kept.
    """
    names = list(material.features)
    if len(names) < 2 or material.table.height < FEWEST_ROWS:
        why = "one column" if len(names) < 2 else f"{material.table.height} rows"
        return _all_kept(names, f"All columns are kept: {why} is too little to select by.")
    fits = quick_fits(material, out_of_time=out_of_time)
    lost = None if fits is None else _lost_by_shuffling(material, fits, out_of_time)
    if fits is None or lost is None:
        return _all_kept(names, "All columns are kept: there was no time to select.")
    measured = dict(zip(names, lost.gains.tolist(), strict=True))
    chances = chances_of(material, lost.blocks)
    helpful = [_below(names, chances, SPARED)]
    if material.table.height >= FEWEST_STRICT:
        helpful.insert(0, _below(names, false_share(chances), NOISE))
    if len(helpful[0]) == len(names):
        return _all_kept(names, "All columns help on held-out rows.", measured, fits)
    if material.table.height < FEWEST_SELECTED_BY:
        few = f"{material.table.height} rows are too few to tell a weak one from noise"
        return _all_kept(names, f"All columns are kept: {few}.", measured, fits)
    return _without_others(material, fits, helpful, measured, out_of_time)


def _below(names: list[str], chances: NDArray[np.float64], level: float) -> tuple[str, ...]:
    """Gives the columns whose chance is at most a level, or the one with the least."""
    most = max(level, float(chances.min()))
    return tuple(name for name, chance in zip(names, chances, strict=True) if chance <= most)


def _without_others(
    material: Material,
    fits: tuple[QuickFit, ...],
    helpful: Sequence[tuple[str, ...]],
    measured: dict[str, float],
    out_of_time: Callable[[], bool],
) -> Selection:
    """Keeps the first of the choices with which the model is as good as with all columns."""
    names = list(material.features)
    losses = block_losses(material, fits)
    for kept in dict.fromkeys(helpful):
        fewer = replace(material, features=material.features.only(kept))
        found = None if len(kept) == len(names) else quick_fits(fewer, out_of_time=out_of_time)
        if found is None:
            break
        worse = chances_of(material, block_losses(fewer, found) - losses)[0] < WORSE
        if not worse and not _lower(_metrics(material, fits), _metrics(fewer, found)):
            return _chosen(names, kept, measured, found)
    return _all_kept(names, "All columns are kept: together the weak ones help.", measured, fits)


def _metrics(material: Material, fits: Sequence[QuickFit]) -> NDArray[np.float64]:
    return np.array([signed_score(material, fit, fit.scores) for fit in fits])


def _lower(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    lost = before - after
    noise = lost.std(ddof=1) / np.sqrt(len(lost)) if len(lost) > 1 else 0.0
    return bool(lost.mean() > max(noise, LOWER * abs(before.mean())))


def _chosen(
    names: list[str], kept: tuple[str, ...], measured: dict[str, float], fits: tuple[QuickFit, ...]
) -> Selection:
    reasons = {
        True: "it helps on held-out rows",
        False: "shuffling it on held-out rows changes the metric by no more than noise",
    }
    choices = tuple(FeatureChoice(n, n in kept, reasons[n in kept], measured[n]) for n in names)
    left_out = f"{len(names) - len(kept)} of {len(names)} columns do not help and are left out."
    return Selection(choices, left_out, fits)


def _all_kept(
    names: list[str], note: str, gains: dict[str, float] | None = None, fits: tuple[QuickFit, ...] = ()
) -> Selection:
    choices = tuple(FeatureChoice(n, True, "it may help", None if gains is None else gains[n]) for n in names)
    return Selection(choices, note, fits)


@dataclass(frozen=True, slots=True)
class _Lost:
    """What shuffling costs: the loss of each block, (blocks, columns), and the metric, (columns,)."""

    blocks: NDArray[np.float64]
    gains: NDArray[np.float64]


def _lost_by_shuffling(
    material: Material, fits: Sequence[QuickFit], out_of_time: Callable[[], bool]
) -> _Lost | None:
    """Shuffles each column a few times, or as often as there is time for; None where once is too often."""
    base = block_losses(material, fits)
    metric = [signed_score(material, fit, fit.scores) for fit in fits]
    random = np.random.default_rng(material.seed)
    repeats: list[_Lost] = []
    for _ in range(REPEATS):
        orders = [random.permutation(len(fit.rows)) for fit in fits]
        blocks = np.zeros((len(base), len(material.features)))
        gains = np.zeros((len(fits), len(material.features)))
        for i, name in enumerate(material.features):
            said = [_shuffled(material, fit, name, order) for fit, order in zip(fits, orders, strict=True)]
            if any(scores is not fit.scores for scores, fit in zip(said, fits, strict=True)):
                blocks[:, i] = block_losses(material, fits, said) - base
                pairs = zip(metric, fits, said, strict=True)
                gains[:, i] = [score - signed_score(material, fit, scores) for score, fit, scores in pairs]
            if out_of_time():
                break
        else:
            repeats.append(_Lost(blocks, gains))
            continue
        break
    if not repeats:
        return None
    mean = [np.mean([getattr(one, name) for one in repeats], axis=0) for name in ("blocks", "gains")]
    return _Lost(mean[0], mean[1].mean(axis=0))


def _shuffled(material: Material, fit: QuickFit, name: str, order: NDArray[np.int64]) -> NDArray[np.float64]:
    """Gives what a model says where a column is in another order; its own where it reads none of it."""
    places = slots_of(fit.plan, material.features)[name]
    used = getattr(fit.estimator, "feature_importances_", np.ones(fit.X.shape[1])) > 0
    if not used[places].any():
        return fit.scores
    kept = fit.X[:, places].copy()
    fit.X[:, places] = kept[order]
    said = raw_scores(fit.estimator, fit.X, material.frame)
    fit.X[:, places] = kept
    return said


def slots_of(plan: Plan, features: Features) -> dict[str, list[int]]:
    """Gives the slots of each feature; the parts of a time are the time's."""
    parts: dict[str, str] = {}
    if plan.derived:
        from everloop.table.expression import Expression

        derived = {item.name: Expression.from_dict(item.expression).columns for item in plan.derived}
        parts = {
            name: next(iter(reads), name) for name, reads in derived.items() if name not in features.kinds
        }
    slots: dict[str, list[int]] = {name: [] for name in features}
    for encoder in plan.encoders:
        feature = parts.get(encoder.column, encoder.column)
        slots[feature].extend(range(encoder.offset, encoder.offset + encoder.width))
    return slots
