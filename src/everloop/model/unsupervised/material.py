"""The rows to learn from without a target, and a fit on some of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.core.tasks import decides_by
from everloop.model.columns import column_kinds
from everloop.model.features import Features
from everloop.model.folds import FoldPlan, make_folds, thinned
from everloop.model.preparation import PreparationSettings, fit_preparation
from everloop.model.scoring import raw_scores
from everloop.model.trained import FeatureChoice
from everloop.model.trial import Material
from everloop.table.labels import class_indices
from everloop.table.schema import schema_of
from everloop.table.weights import row_counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Learner
    from everloop.model.training_inputs import Parts, TrainingSettings
    from everloop.runtime.plan import Plan
    from everloop.spec.frame import Frame

FEWEST_ROWS = 20
FOLDS = 3
BEYOND = {"anomaly": 1.0}
"""How far outside of the training rows a number is still told from one at their border, in spans."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A preparation and an estimator, fitted on the same rows."""

    plan: Plan
    estimator: Any
    learner: str
    frame: Frame

    def encode(self, table: pl.DataFrame) -> NDArray[np.float64]:
        """Gives the rows of a table as the estimator reads them, (n, width)."""
        from everloop.runtime.plan_table import encode_table

        return np.asarray(encode_table(self.plan, table), dtype=np.float64)

    def scores(self, table: pl.DataFrame) -> NDArray[np.float64]:
        """Scores a table, as `scoring.raw_scores`."""
        return raw_scores(self.estimator, self.encode(table), self.frame)


def material_of(
    parts: Parts, frame: Frame, settings: TrainingSettings
) -> tuple[Material, tuple[FeatureChoice, ...]]:
    """Puts the rows of the train and validation parts together, and decides what is read of them.

    Returns:
        The material, whose actuals are 0/1 where an anomaly's label is known and else NaN; and every
        column with the reason why it is read or not.

    Raises:
        DataFault: When there are too few rows, or no column can be a feature.
    """
    import polars as pl

    from everloop.table.feature import derive

    tables = [one for one in (parts.train, parts.validation) if one is not None and one.height]
    table = pl.concat(tables, how="vertical_relaxed")
    if table.height < FEWEST_ROWS:
        raise DataFault(f"{table.height} rows are too few to find a pattern in; {FEWEST_ROWS} are needed.")
    absent = [one for one in parts.definitions if one.name not in table.columns]
    table = derive(table, absent).collect() if absent else table
    counts = row_counts(table, frame)
    definitions = {one.name: one.expression for one in parts.definitions}
    raw = (name for name in frame.inputs if name not in parts.replaced)
    kinds = column_kinds(table, tuple(dict.fromkeys((*raw, *definitions))))
    features = Features(kinds.kept, schema_of(table).types, definitions)
    actual = known_labels(table, frame)
    by = settings.by if frame.is_labelled or settings.by in ("time", "group") else "random"
    plan = FoldPlan(by=by, group=settings.group, count=FOLDS, seed=settings.seed, twins=settings.twins)
    material = Material(
        table=table,
        frame=frame,
        actual=actual,
        features=features,
        folds=make_folds(table, frame, actual, plan),
        seed=settings.seed,
        threads=1,
        weights=counts,
        counts=counts,
    )
    dropped = {
        **dict.fromkeys(parts.replaced, "its clean twin stands for it"),
        **kinds.dropped,
        **frame.excluded,
    }
    choices = [FeatureChoice(name, True, "a column that rows can be compared by") for name in features]
    choices += [FeatureChoice(name, False, reason) for name, reason in dropped.items()]
    return material, tuple(choices)


def known_labels(table: pl.DataFrame, frame: Frame) -> NDArray[np.float64]:
    """Gives 1 for an anomaly, 0 for a normal row, NaN where it is not known, (n,)."""
    if not frame.is_labelled:
        return np.full(table.height, np.nan)
    if frame.target not in table.columns:
        raise DataFault(f"The table has no column {frame.target!r}, which is the target.")
    return class_indices(table[frame.target], frame.classes)


def fit_rows(
    learner: Learner, configuration: Mapping[str, Any], material: Material, rows: NDArray[np.int64]
) -> Fitted:
    """Fits preparation and learner on some rows of the material, by their weights."""
    frame = material.frame
    rows = thinned(rows, learner.capabilities.most_rows or len(rows))
    settings = replace(
        PreparationSettings.of(learner.capabilities, seed=material.seed), beyond=BEYOND.get(frame.task, 0.0)
    )
    nothing, weights = np.zeros(len(rows)), material.weights_of(rows)
    table = material.table.select(material.features.columns)[rows]
    plan, X = fit_preparation(table, frame, material.features, settings, nothing, weights)
    estimator = learner.fit(
        X,
        nothing,
        task=frame.task,
        configuration=configuration,
        weights=weights,
        seed=material.seed,
        threads=material.threads,
    )
    return Fitted(plan, estimator, learner.name, frame)


def halves(material: Material, repeats: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Draws two halves of the rows, several times: whatever two models of them say should be alike."""
    random = np.random.default_rng(material.seed + 1)
    rows = material.table.height
    drawn = (random.permutation(rows) for _ in range(repeats))
    return [(np.sort(order[: rows // 2]), np.sort(order[rows // 2 :])) for order in drawn]


def sampled(rows: int, most: int, seed: int) -> NDArray[np.int64]:
    """Draws the positions of at most so many rows, in their order."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def decided(scores: NDArray[np.float64], task: str) -> NDArray[np.int64]:
    """Gives the cluster of each row from its chances, (n,)."""
    if not decides_by(task, "largest"):
        raise DataFault(f"A task of the kind {task} has no classes to choose from.")
    chosen: NDArray[np.int64] = scores.argmax(axis=1)
    return chosen
