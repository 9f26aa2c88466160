"""From parts of a table to a model that was not taught: try, choose, fit on all rows, evaluate."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.progress import Event, silent
from everloop.measure.weighted_mean import effective_rows
from everloop.model.evaluation import Evaluation
from everloop.model.learners.registry import learners_for
from everloop.model.train import counted
from everloop.model.trained import Trained
from everloop.model.unsupervised import anomaly, clustering
from everloop.model.unsupervised.acting import act
from everloop.model.unsupervised.material import fit_rows, material_of
from everloop.model.unsupervised.outcome import Chosen
from everloop.model.unsupervised.trials import run_trials
from everloop.model.weighing import learners_that_weigh, unweighed_notes
from everloop.table.schema import schema_of
from everloop.table.weights import counted_rows, row_counts

if TYPE_CHECKING:
    import polars as pl

    from everloop.core.progress import Progress
    from everloop.model.training_inputs import Parts, Stakes, TrainingSettings
    from everloop.spec.frame import Frame

CHOOSERS: dict[str, Any] = {"anomaly": anomaly, "clustering": clustering}
"""A task -> what is tried for it, how that is judged, chosen, finished and evaluated; each by that name."""


def train_unsupervised(
    parts: Parts,
    frame: Frame,
    settings: TrainingSettings,
    *,
    stakes: Stakes | None = None,
    progress: Progress = silent,
) -> Trained:
    """Trains a model without learning from a target.

    Everything is decided on folds of the train and validation parts together; the winner is then fitted
    on all of their rows. Only the evaluation sees the test part; where there is none, it sees the rows
    that were learned from, and says so.

    Args:
        parts: The rows.
        frame: The problem; an anomaly's may have a target, whose labels choose and judge.
        settings: What is asked for.
        stakes: What acting on rows is worth, where that has a price.
        progress: Is told what happens.

    Raises:
        DataFault: When the rows cannot be learned from.
        ModelFault: When a learner is not known.
        TrainingFailed: When no trial came to a model.
    """
    started = time.perf_counter()
    task = CHOOSERS[frame.task]
    asked, parts = learners_for(frame.task, settings.learners), counted(parts, frame)
    learners = learners_that_weigh(asked, frame, settings)
    material, features = material_of(parts, frame, settings)
    tried = run_trials(
        task.proposals(learners, settings.seed),
        partial(task.judge, material),
        settings.budget,
        started=started,
        progress=progress,
    )
    best, reason = task.choose(tried, frame)
    progress(Event("model", f"fitting {best.learner.name} on all {material.table.height} rows"))
    rows = np.arange(material.table.height)
    fitted = fit_rows(best.learner, best.trial.configuration, material, rows)
    made = Trained(
        frame=frame,
        plan=fitted.plan,
        learner=best.learner.name,
        configuration=dict(best.trial.configuration),
        estimator=fitted.estimator,
        target_type=_target_type(material.table, frame),
        seed=settings.seed,
        trials=tuple(one.trial for one in tried),
        features=features,
        notes=(reason, *unweighed_notes(asked, learners)),
    )
    test = parts.test if parts.test is not None and parts.test.height else None
    held_out = material.table if test is None else _derived(test, parts)
    chosen = Chosen(best, made, effective_rows(row_counts(held_out, frame), held_out.height))
    trained: Trained = task.finish(chosen, material, settings)
    judged = task.judged(trained, chosen, material, held_out, settings)
    if stakes is not None and stakes.acting is not None:
        trained, judged = act(trained, judged, stakes.acting, material.table, held_out, settings.required)
    return replace(trained, evaluation=judged if test is not None else replace(judged, part="training rows"))


def _derived(test: pl.DataFrame, parts: Parts) -> pl.DataFrame:
    from everloop.table.feature import derive

    absent = [one for one in parts.definitions if one.name not in test.columns]
    return derive(test, absent).collect() if absent else test


def _target_type(table: pl.DataFrame, frame: Frame) -> str:
    return str(schema_of(table.select(frame.target)).types[frame.target]) if frame.is_labelled else "text"


def evaluate_rows(trained: Trained, table: pl.DataFrame) -> Evaluation:
    """Evaluates a model on any rows, by labels where they are known and by what needs none."""
    table = counted_rows(table, trained.frame)
    metrics = CHOOSERS[trained.frame.task].measured(trained, table)
    return Evaluation(
        part="table",
        rows=table.height,
        metric=trained.frame.metric,
        metrics=metrics,
        threshold=trained.threshold,
        classes=trained.frame.classes,
    )
