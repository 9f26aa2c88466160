"""Feature selection that pays: columns that do not help on held-out rows are left out.

A quick model is fitted on each fold, and each column is shuffled in the rows that judge: what the
metric loses is the column's gain (permutation importance; Breiman 2001, Fisher et al. 2019). A column
whose gain is not above its own noise is left out, if the model without all of them is at least as good.
Columns that look useless by chance make a model worse on other rows than on those that chose them, so
few rows choose nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.metrics import METRICS
from everloop.model.folds import thinned
from everloop.model.learners.registry import learner
from everloop.model.preparation import PreparationSettings, fit_preparation
from everloop.model.scoring import raw_scores
from everloop.model.trained import FeatureChoice
from everloop.model.trial import Material, fit_on, fold_score, warm_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from everloop.model.features import Features
    from everloop.runtime.plan import Plan

QUICK_LEARNER = "lightgbm"
QUICK = {"rounds": 60, "learning_rate": 0.15, "leaves": 15, "min_samples_leaf": 10}
QUICK_ROWS = 12_000
QUICK_JUDGED = 6_000
FEWEST_ROWS = 200
FEWEST_SELECTED_BY = 1_000
"""With fewer rows no column is left out: what seems to be noise there often helps on other rows."""

REPEATS = 3
NOISE = 1.0
"""A gain of fewer standard errors is noise."""

HOLDOUT_PARTS = 4

_Fitted = tuple["Plan", Any, "NDArray[np.float64]", "NDArray[np.int64]"]
"""A preparation, an estimator, the encoded rows that judge, and their positions."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What was decided.

    Attributes:
        features: Every column that could be a feature, kept or not.
        note: What was done, in a sentence.
    """

    features: tuple[FeatureChoice, ...]
    note: str

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns to use."""
        return tuple(choice.name for choice in self.features if choice.kept)


def load_quick_learner(material: Material) -> None:
    """Loads the quick learner, which takes seconds that are no part of how long a selection takes."""
    warm_up(learner(QUICK_LEARNER), material)


def select_features(material: Material, *, out_of_time: Callable[[], bool] = lambda: False) -> Selection:
    """Decides which columns help.

    Args:
        material: The rows, their folds and every column that can be a feature.
        out_of_time: Asked between fits; true ends the selection with all columns kept.
    """
    names = list(material.features)
    if len(names) < 2 or material.table.height < FEWEST_ROWS:
        why = "one column" if len(names) < 2 else f"{material.table.height} rows"
        return _all_kept(names, f"All columns are kept: {why} is too little to select by.", None)
    base, gains = _gains(material, out_of_time)
    if base is None or gains is None:
        return _all_kept(names, "All columns are kept: there was no time to select.", None)
    mean, noise = gains.mean(axis=0), _noise(gains)
    weak = [i for i in np.argsort(mean, kind="stable") if mean[i] <= noise[i]]
    measured = {name: float(mean[i]) for i, name in enumerate(names)}
    if not weak:
        return _all_kept(names, "All columns help on held-out rows.", measured)
    if material.table.height < FEWEST_SELECTED_BY:
        few = f"{material.table.height} rows are too few to tell a weak one from noise"
        return _all_kept(names, f"All columns are kept: {few}.", measured)
    return _without(material, base, names, weak, measured, out_of_time)


def _without(
    material: Material,
    base: NDArray[np.float64],
    names: list[str],
    weak: list[Any],
    measured: dict[str, float],
    out_of_time: Callable[[], bool],
) -> Selection:
    """Leaves out all weak columns, or the weaker half of them, and so on, while the model stays as good."""
    while weak and not out_of_time():
        dropped = {names[i] for i in weak[: len(names) - 1]}
        fewer = replace(material, features=material.features.only(n for n in names if n not in dropped))
        scores = fold_scores(fewer, out_of_time=out_of_time)
        if scores is None:
            break
        if (base - scores).mean() <= 0:
            reason = "shuffling it on held-out rows changes the metric by no more than noise"
            choices = [
                FeatureChoice(
                    n, n not in dropped, reason if n in dropped else "it helps on held-out rows", measured[n]
                )
                for n in names
            ]
            return Selection(
                tuple(choices), f"{len(dropped)} of {len(names)} columns do not help and are left out."
            )
        weak = weak[: len(weak) // 2]
    return _all_kept(names, "All columns are kept: together the weak ones help.", measured)


def _all_kept(names: list[str], note: str, gains: dict[str, float] | None) -> Selection:
    choices = tuple(FeatureChoice(n, True, "it may help", None if gains is None else gains[n]) for n in names)
    return Selection(choices, note)


def _gains(
    material: Material, out_of_time: Callable[[], bool]
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Gives the metric on each fold, signed so that more is better, and the gains (samples, columns).

    Both are None where time runs out.
    """
    base: list[NDArray[np.float64]] = []
    samples: list[NDArray[np.float64]] = []
    for number in range(len(material.folds)):
        if out_of_time():
            return None, None
        fitted = _quick_fit(material, number)
        score = _part_scores(material, fitted)
        base.append(score)
        found = _fold_gains(material, number, fitted, score, out_of_time)
        if found is None:
            return None, None
        samples.extend(found)
    return np.concatenate(base), np.concatenate(samples)


def _quick_fit(material: Material, number: int) -> _Fitted:
    from everloop.runtime.plan_table import encode_table

    quick = learner(QUICK_LEARNER)
    fold = material.folds[number]
    train, validation = thinned(fold.train, QUICK_ROWS), thinned(fold.validation, QUICK_JUDGED)
    settings = PreparationSettings.of(quick.capabilities, seed=material.seed)
    table = material.table.select(material.features.columns)
    plan, X = fit_preparation(
        table[train], material.frame, material.features, settings, material.actual[train]
    )
    estimator = fit_on(quick, X, material.actual[train], material, QUICK, material.counts_of(train))
    return plan, estimator, np.asarray(encode_table(plan, table[validation])), validation


def _fold_gains(
    material: Material,
    number: int,
    fitted: _Fitted,
    score: NDArray[np.float64],
    out_of_time: Callable[[], bool],
) -> list[NDArray[np.float64]] | None:
    """Gives the gains of all columns, (parts, columns), the mean of repeats; None when time runs out."""
    plan, estimator, Xv, _ = fitted
    slots = slots_of(plan, material.features)
    used = getattr(estimator, "feature_importances_", np.ones(Xv.shape[1])) > 0
    random = np.random.default_rng([material.seed, number])
    samples = []
    for _ in range(REPEATS):
        order = random.permutation(len(Xv))
        gains = np.zeros((len(score), len(material.features)))
        for i, name in enumerate(material.features):
            places = slots[name]
            if used[places].any():  # a slot that no tree reads changes nothing
                kept = Xv[:, places].copy()
                Xv[:, places] = kept[order]
                gains[:, i] = score - _part_scores(material, fitted)
                Xv[:, places] = kept
                if out_of_time():
                    return None
        samples.append(gains)
    # Shuffling one model's rows again says nothing of how another model would do: folds do.
    return [np.mean(samples, axis=0)]


def fold_scores(
    material: Material, *, out_of_time: Callable[[], bool] = lambda: False
) -> NDArray[np.float64] | None:
    """Gives the quick model's metric on each fold, or on each part of a single one, more being better.

    Asks before each fit whether it is out of time, and then gives None.
    """
    found: list[NDArray[np.float64]] = []
    for number in range(len(material.folds)):
        if out_of_time():
            return None
        found.append(_part_scores(material, _quick_fit(material, number)))
    return np.concatenate(found)


def quick_errors(material: Material) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gives what the quick model gets wrong on rows of the first fold that it has not seen.

    Returns:
        The rows, and for each the actual less what was said: of a class its 1 or 0 less its chance (of
        several the most frequent one's).
    """
    rows = thinned(material.folds[0].validation, QUICK_JUDGED)
    _, estimator, Xv, _ = _quick_fit(material, 0)
    actual = material.actual[rows]
    said = np.asarray(raw_scores(estimator, Xv, material.frame), dtype=np.float64)
    if said.ndim == 2:
        frequent = int(np.bincount(actual.astype(np.int64)).argmax())
        said, actual = said[:, frequent], actual == frequent
    return rows, np.asarray(actual, dtype=np.float64) - said


def quick_scores(material: Material) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gives what quick models say of rows of each fold that they have not seen: rows and scores."""
    rows, said = [], []
    for number, fold in enumerate(material.folds):
        _, estimator, Xv, _ = _quick_fit(material, number)
        rows.append(thinned(fold.validation, QUICK_JUDGED))
        said.append(raw_scores(estimator, Xv, material.frame))
    return np.concatenate(rows), np.concatenate(said)


def _part_scores(material: Material, fitted: _Fitted) -> NDArray[np.float64]:
    """Scores the rows that judge; those of a single holdout in parts, which show how sure a score is."""
    _, estimator, Xv, rows = fitted
    scores = raw_scores(estimator, Xv, material.frame)
    parts = 1 if len(material.folds) > 1 else HOLDOUT_PARTS
    return np.array([_signed(material, rows[k::parts], scores[k::parts]) for k in range(parts)])


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


def _signed(material: Material, rows: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    score = fold_score(material.frame, material.actual[rows], scores, material.counts_of(rows))
    return score if METRICS[material.frame.metric].greater_is_better else -score


def _noise(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives how much of each column's mean gain over folds and repeats may be chance."""
    return np.asarray(NOISE * gains.std(axis=0, ddof=1) / np.sqrt(len(gains)))
