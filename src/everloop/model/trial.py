"""One trial: a learner with a configuration, fitted and judged on each fold."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.metrics import METRICS, compute
from everloop.model.folds import Fold, thinned
from everloop.model.preparation import PreparationSettings, fit_preparation
from everloop.model.scoring import raw_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.features import Features
    from everloop.model.learners.learner import Learner
    from everloop.runtime.plan import Plan
    from everloop.spec.frame import Frame

MATRIX_BYTES = 400 * 2**20
"""Encoded folds are kept for the next trial up to this size together."""

THRESHOLDS_TRIED = 101
JUDGED_PER_TRAINED = 2


@dataclass(frozen=True, slots=True)
class Material:
    """What every trial of a search works on.

    Attributes:
        table: The rows to develop on.
        frame: The problem.
        actual: Class indices or numbers, (n,).
        features: What a model may read.
        folds: How the rows are divided.
        seed: What all chance is drawn from.
        threads: How many threads a learner may use.
    """

    table: pl.DataFrame
    frame: Frame
    actual: NDArray[Any]
    features: Features
    folds: tuple[Fold, ...]
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Scores of rows by models that had not seen them.

    Attributes:
        rows: Positions of the rows, (m,).
        scores: As `scoring.raw_scores` gives them, (m,) or (m, classes).
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a trial found.

    Attributes:
        fold_scores: The metric on each fold on which it is defined.
        rows: Training rows of the largest fold.
        out_of_fold: The scores behind it.
        complete: False when time ran out before the last fold.
        fitting_seconds: How long fitting and scoring took, without the preparation.
    """

    fold_scores: tuple[float, ...]
    rows: int
    out_of_fold: OutOfFold
    complete: bool = True
    fitting_seconds: float = 0.0

    @property
    def score(self) -> float:
        """The mean over the folds on which the metric is defined; NaN where it is on none."""
        return float(np.mean(self.fold_scores)) if self.fold_scores else float("nan")


@dataclass(slots=True)
class FoldMatrices:
    """Encoded folds, the last used kept while they fit into memory."""

    material: Material
    _kept: OrderedDict[Any, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(
        default_factory=OrderedDict
    )

    def get(
        self, number: int, settings: PreparationSettings, most_rows: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Gives training matrix and rows, validation matrix and rows of a fold."""
        fold = self.material.folds[number]
        train, validation = (
            thinned(fold.train, most_rows),
            thinned(fold.validation, JUDGED_PER_TRAINED * most_rows),
        )
        key = (number, settings, len(train))
        if key not in self._kept:
            self._kept[key] = self._encode(train, validation, settings)
        self._kept.move_to_end(key)
        X, Xv = self._kept[key]
        self._forget()
        return X, train, Xv, validation

    def _encode(
        self, train: NDArray[np.int64], validation: NDArray[np.int64], settings: PreparationSettings
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        from everloop.runtime.plan_table import encode_table

        one = self.material
        table = one.table.select(one.features.columns)
        plan, X = fit_preparation(table[train], one.frame, one.features, settings, one.actual[train])
        return X, np.asarray(encode_table(plan, table[validation]))

    def _forget(self) -> None:
        while (
            len(self._kept) > 1 and sum(X.nbytes + Xv.nbytes for X, Xv in self._kept.values()) > MATRIX_BYTES
        ):
            self._kept.popitem(last=False)


def judge(
    learner: Learner,
    configuration: Mapping[str, Any],
    matrices: FoldMatrices,
    *,
    most_rows: int,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Judgement:
    """Fits and judges a learner on each fold.

    Args:
        learner: The learner.
        configuration: What it is given.
        matrices: The encoded folds.
        most_rows: Training rows beyond this are left out, evenly over their order.
        out_of_time: Asked between folds; true ends the trial with the folds that are done.
    """
    one = matrices.material
    settings = PreparationSettings.of(learner.capabilities, seed=one.seed)
    most_rows = min(most_rows, learner.capabilities.most_rows or most_rows)
    scores: list[float] = []
    parts: list[NDArray[np.float64]] = []
    positions: list[NDArray[np.int64]] = []
    rows, seconds = 0, 0.0
    for number in range(len(one.folds)):
        if parts and out_of_time():
            break
        X, train, Xv, validation = matrices.get(number, settings, most_rows)
        start = time.perf_counter()
        estimator = fit_on(learner, X, one.actual[train], one, configuration)
        predicted = raw_scores(estimator, Xv, one.frame)
        seconds += time.perf_counter() - start
        scores.append(fold_score(one.frame, one.actual[validation], predicted))
        parts.append(predicted)
        positions.append(validation)
        rows = max(rows, len(train))
    found = OutOfFold(np.concatenate(positions), np.concatenate(parts))
    defined = tuple(score for score in scores if not np.isnan(score))
    return Judgement(defined, rows, found, len(parts) == len(one.folds), seconds)


def warm_up(learner: Learner, material: Material) -> None:
    """Makes a learner load its libraries, which takes seconds that are no part of how long its fits take."""
    X = np.arange(20.0)[:, None]
    y = X[:, 0] if material.frame.task == "regression" else np.arange(20) % 2
    small = {name: 1 for name in ("rounds", "trees") if name in learner.portfolio[0]}
    fit_on(learner, X, y, material, {**learner.portfolio[0], **small})


def fit_on(
    learner: Learner,
    X: NDArray[np.float64],
    y: NDArray[Any],
    material: Material,
    configuration: Mapping[str, Any],
) -> Any:
    """Fits a learner; rows of one class alone give a model that always says so."""
    if material.frame.task != "regression" and y.min() == y.max():
        from sklearn.dummy import DummyClassifier

        return DummyClassifier(strategy="prior").fit(X[:1], y[:1])
    return learner.fit(
        X,
        y,
        task=material.frame.task,
        configuration=configuration,
        seed=material.seed,
        threads=material.threads,
    )


def fit_final(learner: Learner, configuration: Mapping[str, Any], material: Material) -> tuple[Plan, Any]:
    """Fits preparation and learner on all rows."""
    settings = PreparationSettings.of(learner.capabilities, seed=material.seed)
    table, actual = final_rows(learner, material)
    plan, X = fit_preparation(table, material.frame, material.features, settings, actual)
    return plan, fit_on(learner, X, actual, material, configuration)


def final_rows(learner: Learner, material: Material) -> tuple[pl.DataFrame, NDArray[Any]]:
    """Gives the rows that a learner is fitted on in the end, as many as it takes, with their actuals."""
    rows = thinned(np.arange(material.table.height), learner.capabilities.most_rows or material.table.height)
    table = material.table.select(material.features.columns)
    return (table[rows] if len(rows) < table.height else table), material.actual[rows]


def fold_score(frame: Frame, actual: NDArray[Any], scores: NDArray[np.float64]) -> float:
    """Gives the problem's metric; one that judges decisions is given its best threshold."""
    metric = METRICS[frame.metric]
    if metric.needs != "decision" or frame.task != "binary":
        return compute(frame.metric, actual, scores)
    grid = np.unique(np.quantile(scores, np.linspace(0, 1, THRESHOLDS_TRIED)))
    found = [compute(frame.metric, actual, (scores >= cut).astype(np.float64)) for cut in grid]
    known = [number for number in found if not np.isnan(number)]
    return (max(known) if metric.greater_is_better else min(known)) if known else float("nan")
