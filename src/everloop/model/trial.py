"""One trial: a learner with a configuration, fitted and judged on each fold."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.metrics import METRICS, compute
from everloop.model.class_weights import put_right, row_weights
from everloop.model.estimator_file import estimator_bytes
from everloop.model.folds import Fold, thinned
from everloop.model.learners.learner import StopsEarly, Watch
from everloop.model.preparation import PreparationSettings, fit_preparation
from everloop.model.scoring import raw_scores
from everloop.model.target_scale import TargetScale
from everloop.runtime.plan import GridEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.features import Features
    from everloop.model.learners.learner import Learner
    from everloop.runtime.plan import Plan
    from everloop.spec.frame import Frame

MATRIX_BYTES = 800 * 2**20
"""Encoded folds are kept for the next trial up to this size together."""

THRESHOLDS_TRIED = 101
MOST_JUDGED = 25_000
"""No fold is judged on more rows; every trial is judged on the same ones."""


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
        weights: What each row counts in a fit, (n,); None counts them alike.
        counts: What each counts where it judges, by the problem's own weight, (n,); None counts them alike.
    """

    table: pl.DataFrame
    frame: Frame
    actual: NDArray[Any]
    features: Features
    folds: tuple[Fold, ...]
    seed: int = 0
    threads: int = 2
    weights: NDArray[np.float64] | None = None
    counts: NDArray[np.float64] | None = None

    def weights_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Gives what the rows at these positions count."""
        return None if self.weights is None else self.weights[rows]

    def counts_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Gives what the rows at these positions count where they judge."""
        return None if self.counts is None else self.counts[rows]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A fold as a learner reads it.

    Attributes:
        X: Rows to learn from.
        train: Their positions.
        Xv: Rows that judge.
        validation: Their positions.
        plan: The preparation, fitted on the rows to learn from.
    """

    X: NDArray[Any]
    train: NDArray[np.int64]
    Xv: NDArray[Any]
    validation: NDArray[np.int64]
    plan: Plan

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return int(self.X.nbytes + self.Xv.nbytes)


@dataclass(slots=True)
class FoldMatrices:
    """Encoded folds, the last used kept while they fit into memory.

    Attributes:
        material: What is encoded.
    """

    material: Material
    _kept: OrderedDict[Any, Encoded] = field(default_factory=OrderedDict)
    _plans: dict[Any, Plan] = field(default_factory=dict)
    _largest: tuple[int, float] = (1, 0.0)

    def get(self, number: int, settings: PreparationSettings, most_rows: int) -> Encoded:
        """Gives a fold, with at most so many rows to learn from."""
        train = thinned(self.material.folds[number].train, most_rows)
        key = (number, settings, len(train))
        if key not in self._kept:
            start = time.perf_counter()
            self._kept[key] = self._encode(number, train, settings)
            self._plans[key] = self._kept[key].plan
            rows = len(train) + len(self._kept[key].validation)
            self._largest = max(self._largest, (rows, time.perf_counter() - start))
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(one.nbytes for one in self._kept.values()) > MATRIX_BYTES:
            self._kept.popitem(last=False)
        return self._kept[key]

    def seconds(self, rows: int) -> float:
        """Gives how long a preparation of so many rows is likely to take."""
        known, seconds = self._largest
        return seconds * max(1.0, rows / known)

    def plan(self, number: int, settings: PreparationSettings, most_rows: int) -> Plan:
        """Gives a fold's preparation."""
        key = (number, settings, len(thinned(self.material.folds[number].train, most_rows)))
        return self._plans[key] if key in self._plans else self.get(number, settings, most_rows).plan

    def _encode(self, number: int, train: NDArray[np.int64], settings: PreparationSettings) -> Encoded:
        from everloop.runtime.plan_table import encode_table

        one = self.material
        validation = judged_positions(one, number)
        table = one.table.select(one.features.columns)
        plan, X = fit_preparation(table[train], one.frame, one.features, settings, one.actual[train])
        Xv = np.asarray(encode_table(plan, table[validation]))
        kind = np.float32 if settings.float32 else np.float64
        return Encoded(X.astype(kind), train, Xv.astype(kind), validation, plan)


def largest_fold(material: Material) -> int:
    """Gives the number of the fold that learns from most rows; by time that is the last."""
    sizes = [len(fold.train) for fold in material.folds]
    return sizes.index(max(sizes))


def judged_positions(material: Material, number: int) -> NDArray[np.int64]:
    """Gives the positions of the rows that judge on a fold."""
    return thinned(material.folds[number].validation, MOST_JUDGED)


def fit_fold(
    learner: Learner,
    configuration: Mapping[str, Any],
    material: Material,
    encoded: Encoded,
    *,
    seconds: float = float("inf"),
    keep: bool = False,
) -> dict[str, Any]:
    """Fits a learner on a fold and scores the rows that judge.

    Args:
        learner: The learner.
        configuration: What it is given.
        material: What the search works on.
        encoded: The fold.
        seconds: After so many a learner that stops early ends with what it has.
        keep: Whether the estimator is given back too.

    Returns:
        ``scores``; ``rounds``, None for a learner that has none; ``seconds``, and for how many of them the
        processor worked, ``computed``; ``estimator`` as bytes.
    """
    start, computed = time.perf_counter(), time.process_time()
    y, rounds = material.actual[encoded.train], None
    own = material.weights_of(encoded.train)
    scale = TargetScale(y, configuration)
    watch = _watch(material, encoded, y, seconds, configuration, scale)
    if isinstance(learner, StopsEarly) and watch is not None and "rounds" not in configuration:
        estimator, rounds = learner.fit_watched(
            encoded.X,
            scale.forward(y),
            watch,
            task=material.frame.task,
            configuration=configuration,
            weights=row_weights(y, configuration, own),
            seed=material.seed,
            threads=material.threads,
        )
        estimator = scale.put_back(put_right(estimator, y, configuration))
    else:
        estimator = fit_on(learner, encoded.X, y, material, configuration, own, encoded.plan)
    found: dict[str, Any] = {
        "scores": raw_scores(estimator, encoded.Xv, material.frame),
        "rounds": rounds,
        "seconds": time.perf_counter() - start,
        "computed": time.process_time() - computed,
    }
    if keep:
        found["estimator"] = np.frombuffer(estimator_bytes(estimator), dtype=np.uint8)
    return found


def _watch(
    material: Material,
    encoded: Encoded,
    y: NDArray[Any],
    seconds: float,
    configuration: Mapping[str, Any],
    scale: TargetScale,
) -> Watch | None:
    """Gives what watches a fit; None where the rows that judge have no class that is learned."""
    actual = material.actual[encoded.validation]
    if material.frame.task == "regression":
        return Watch(encoded.Xv, scale.forward(actual), seconds, material.counts_of(encoded.validation))
    known = np.isin(actual, y)
    if _of_one_class(y, material) or not known.any():
        return None
    rows = slice(None) if known.all() else known
    counts = material.counts_of(encoded.validation[rows])
    return Watch(encoded.Xv[rows], actual[rows], seconds, row_weights(actual[rows], configuration, counts))


def warm_up(learner: Learner, material: Material) -> None:
    """Makes a learner load its libraries, which takes seconds that are no part of how long its fits take."""
    if learner.capabilities.loads:
        import_module(learner.capabilities.loads)
        return
    X = np.arange(20.0)[:, None]
    y = X[:, 0] if material.frame.task == "regression" else np.arange(20) % 2
    small = {name: 1 for name in ("rounds", "trees") if name in learner.portfolio[0]}
    if isinstance(learner, StopsEarly):
        small["rounds"] = 1
    fit_on(learner, X, y, replace(material, threads=1), {**learner.portfolio[0], **small})


def fit_on(
    learner: Learner,
    X: NDArray[np.float64],
    y: NDArray[Any],
    material: Material,
    configuration: Mapping[str, Any],
    own: NDArray[np.float64] | None = None,
    plan: Plan | None = None,
) -> Any:
    """Fits a learner; rows of one class alone give a model that always says so.

    Args:
        learner: The learner.
        X: Encoded rows.
        y: Their actuals.
        material: What the search works on.
        configuration: What the learner is given.
        own: What each row counts, times what its class does by the configuration.
        plan: What encoded the rows, for a learner that reads images.
    """
    if learner.capabilities.reads_grids and plan is not None:
        configuration = {**configuration, "grids": grids_in(plan)}
    if _of_one_class(y, material):
        from sklearn.dummy import DummyClassifier

        return DummyClassifier(strategy="prior").fit(X[:1], y[:1])
    scale = TargetScale(y, configuration)
    estimator = learner.fit(
        X,
        scale.forward(y),
        task=material.frame.task,
        configuration=configuration,
        weights=row_weights(y, configuration, own),
        seed=material.seed,
        threads=material.threads,
    )
    return scale.put_back(put_right(estimator, y, configuration))


def grids_in(plan: Plan) -> tuple[tuple[int, int, int, int], ...]:
    """Gives the first slot, rows, columns and channels of each image or sound."""
    return tuple(
        (one.offset, one.rows, one.columns, one.channels)
        for one in plan.encoders
        if isinstance(one, GridEncoder)
    )


def _of_one_class(y: NDArray[Any], material: Material) -> bool:
    return material.frame.task != "regression" and bool(y.min() == y.max())


def fit_final(learner: Learner, configuration: Mapping[str, Any], material: Material) -> tuple[Plan, Any]:
    """Fits preparation and learner on all rows."""
    settings = PreparationSettings.of(learner.capabilities, seed=material.seed)
    table, actual = final_rows(learner, material)
    plan, X = fit_preparation(table, material.frame, material.features, settings, actual)
    weights = material.weights_of(final_positions(learner, material))
    return plan, fit_on(learner, X, actual, material, configuration, weights, plan)


def final_rows(learner: Learner, material: Material) -> tuple[pl.DataFrame, NDArray[Any]]:
    """Gives the rows that a learner is fitted on in the end, as many as it takes, with their actuals."""
    rows = final_positions(learner, material)
    table = material.table.select(material.features.columns)
    return (table[rows] if len(rows) < table.height else table), material.actual[rows]


def final_positions(learner: Learner, material: Material) -> NDArray[np.int64]:
    """Gives the positions of the rows that a learner is fitted on in the end."""
    rows = material.table.height
    return thinned(np.arange(rows), learner.capabilities.most_rows or rows)


def fold_score(
    frame: Frame,
    actual: NDArray[Any],
    scores: NDArray[np.float64],
    counts: NDArray[np.float64] | None = None,
) -> float:
    """Gives the problem's metric; one that judges decisions is given its best threshold."""
    metric = METRICS[frame.metric]
    if metric.needs != "decision" or frame.task != "binary":
        return compute(frame.metric, actual, scores, counts)
    grid = np.unique(np.quantile(scores, np.linspace(0, 1, THRESHOLDS_TRIED)))
    found = [compute(frame.metric, actual, (scores >= cut).astype(np.float64), counts) for cut in grid]
    known = [number for number in found if not np.isnan(number)]
    return (max(known) if metric.greater_is_better else min(known)) if known else float("nan")
