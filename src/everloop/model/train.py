"""From parts of a table to a trained model: select, search, calibrate, decide, fit, evaluate."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.progress import Event, silent
from everloop.model.columns import column_kinds
from everloop.model.deciding import decided_and_evaluated
from everloop.model.features import Features
from everloop.model.finishing import Finished, finish
from everloop.model.fitted_apart import proof_sentence, prove_members
from everloop.model.folds import Fold, FoldPlan, make_folds
from everloop.model.learners.image_net import require_grids
from everloop.model.learners.registry import learners_for
from everloop.model.limits import within
from everloop.model.mitigation import mitigable, require_groups
from everloop.model.pace import slowness_of
from everloop.model.parity_rows import rows_of
from everloop.model.priced_features import features_that_pay
from everloop.model.quick_model import load_quick_learner
from everloop.model.searching import Budget, run_search
from everloop.model.selection import select_features
from everloop.model.targets import labelled, require_learnable
from everloop.model.trained import FeatureChoice, Trained
from everloop.model.training_inputs import Stakes
from everloop.model.trial import Material
from everloop.model.tried_features import try_features
from everloop.model.weighing import learners_that_weigh, learning_weights
from everloop.table.schema import schema_of
from everloop.table.weights import counted_rows, row_counts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from everloop.core.progress import Progress
    from everloop.model.columns import ColumnKinds
    from everloop.model.training_inputs import Parts, TrainingSettings
    from everloop.runtime.plan import Plan
    from everloop.spec.frame import Frame
    from everloop.table.expression import Expression

MEASURED = 60
"""So many rows show how long an answer takes."""

ENSEMBLE = "ensemble"
SELECTING = 0.1
"""The share of a time budget that feature selection may use, once its learner is loaded."""

STEADY = 0
"""What the choice of columns draws comes from this and no other seed: the same rows keep the same columns."""

LATE = 0.25
"""Where so much of a budget is gone once that learner is loaded, nothing is selected."""


def train(
    parts: Parts,
    frame: Frame,
    settings: TrainingSettings,
    *,
    stakes: Stakes | None = None,
    journal: Path | None = None,
    progress: Progress = silent,
    started: float | None = None,
) -> Trained:
    """Trains a model.

    Everything is decided on folds of the train and validation parts together; the winner is then
    fitted on all of their rows. Only the evaluation sees the test part.

    Args:
        parts: The rows.
        frame: The problem.
        settings: What is asked for.
        stakes: What decisions are worth, where that is known.
        journal: A file of finished trials, so that a killed training goes on.
        progress: Told what happens.
        started: When the budget began by `time.perf_counter`; now, where left out.

    Returns:
        The model, with everything that led to it.

    Raises:
        DataFault: When the rows cannot be learned from.
        ModelFault: When a learner is not known.
        TrainingFailed: When no trial came to a model.
    """
    began, computed = time.perf_counter(), time.process_time()
    started = began if started is None else started
    stakes, parts = stakes or Stakes(), counted(parts, frame)
    learners = learners_for(frame.task, settings.learners)
    require_groups(parts.train, frame, settings)  # before hours are spent on what cannot be decided
    learners, budget = mitigable(learners, settings)
    learners = learners_that_weigh(learners, frame, settings)
    material, kinds, steady = _material(parts, frame, settings)
    require_grids(learners, kinds.kept)
    chosen, features, note = _selected(
        replace(material, folds=steady, seed=STEADY), kinds, settings, started, progress
    )
    chosen, features = _paid(chosen, features, settings, stakes)
    material = replace(chosen, folds=material.folds, seed=material.seed)
    found = run_search(
        material,
        learners,
        budget,
        journal=journal,
        progress=progress,
        started=started,
        workers=settings.threads,
        evaluated_rows=parts.test.height if parts.test is not None else 0,
        tuner=settings.tuner,
        slowness=slowness_of(time.perf_counter() - began, time.process_time() - computed),
    )
    progress(Event("model", f"fitting the members of the model; the best alone has {found.best.score:.4f}"))
    done = finish(
        found,
        material,
        recent=settings.by == "time",
        accepts=_limits(material, settings),
        workers=settings.threads,
    )
    proof = prove_members(done.members, found.learners, material)
    learner, configuration = _told(done)
    trained = Trained(
        frame=frame,
        plan=done.plan,
        learner=learner,
        configuration=configuration,
        estimator=done.estimator,
        target_type=_target_type(parts.train, frame),
        seed=settings.seed,
        trials=found.trials,
        features=features,
        notes=(note, *done.notes, proof_sentence(proof)),
        fitted_apart=proof,
    )
    return decided_and_evaluated(trained, found, done, material, parts, settings, stakes)


def counted(parts: Parts, frame: Frame) -> Parts:
    """Leaves out the rows that count nothing."""
    validation, test = (
        None if table is None else counted_rows(table, frame) for table in (parts.validation, parts.test)
    )
    return replace(parts, train=counted_rows(parts.train, frame), validation=validation, test=test)


def material_of(parts: Parts, frame: Frame, settings: TrainingSettings) -> Material:
    """Gives what trials work on, with every column that can be a feature."""
    return _material(parts, frame, settings)[0]


def _material(
    parts: Parts, frame: Frame, settings: TrainingSettings
) -> tuple[Material, ColumnKinds, tuple[Fold, ...]]:
    """Gives what trials work on, what became of each column, and the folds that columns are chosen on."""
    import polars as pl

    table, actual = labelled(parts.train, frame)
    held_out = None
    if parts.validation is not None and parts.validation.height:
        rows, more = labelled(parts.validation, frame)
        held_out = np.arange(table.height, table.height + rows.height)
        table, actual = pl.concat([table, rows], how="vertical_relaxed"), np.concatenate([actual, more])
    require_learnable(actual, frame)
    table, definitions = _with_definitions(table, parts)
    raw = (name for name in frame.inputs if name not in parts.replaced)
    kinds = column_kinds(table, tuple(dict.fromkeys((*raw, *definitions))))
    kinds.dropped.update({name: f"{clean} stands for it" for name, clean in parts.replaced.items()})
    features = Features(kinds.kept, schema_of(table).types, definitions)
    plan = FoldPlan(
        by=settings.by,
        group=settings.group,
        count=5 if table.height <= 2_000 else 3,
        seed=settings.seed,
        twins=settings.twins,
    )
    folds = make_folds(table, frame, actual, plan, held_out)
    steady = (
        folds
        if settings.seed == STEADY or not settings.select
        else make_folds(table, frame, actual, replace(plan, seed=STEADY), held_out)
    )
    material = Material(
        table=table,
        frame=frame,
        actual=actual,
        features=features,
        folds=folds,
        seed=settings.seed,
        threads=1,  # folds run side by side instead
        weights=learning_weights(table, frame, actual, settings),
        counts=row_counts(table, frame),
    )
    return material, kinds, steady


def _with_definitions(table: pl.DataFrame, parts: Parts) -> tuple[pl.DataFrame, dict[str, Expression]]:
    """Adds what is defined and not yet a column."""
    from everloop.table.feature import derive

    absent = [one for one in parts.definitions if one.name not in table.columns]
    return (
        derive(table, absent).collect() if absent else table,
        {one.name: one.expression for one in parts.definitions},
    )


def _selected(
    material: Material, kinds: ColumnKinds, settings: TrainingSettings, started: float, progress: Progress
) -> tuple[Material, tuple[FeatureChoice, ...], str]:
    left_out = tuple(FeatureChoice(name, False, reason) for name, reason in kinds.dropped.items())
    left_out += tuple(
        FeatureChoice(n, False, r) for n, r in material.frame.excluded.items() if n not in kinds.dropped
    )
    if not settings.select:
        kept = tuple(FeatureChoice(name, True, "selection is switched off") for name in material.features)
        return material, kept + left_out, "Feature selection is switched off."
    load_quick_learner(material)
    until = _selecting_until(started, settings.budget)
    selection = select_features(material, out_of_time=lambda: time.perf_counter() > until)
    progress(Event("model", selection.note))
    gains = {choice.name: choice.gain for choice in selection.features if choice.gain is not None}
    material, tried = try_features(
        replace(material, features=material.features.only(selection.kept)),
        selection.fits,
        gains,
        out_of_time=lambda: time.perf_counter() > until,
    )
    helping = [choice.name for choice in tried if choice.kept]
    note = f"{selection.note} Made and kept: {', '.join(helping)}." if helping else selection.note
    return material, selection.features + tried + left_out, note


def _selecting_until(started: float, budget: Budget) -> float:
    """Says when selection ends; at once where loading a library took so long that the time is for trials."""
    if budget.seconds is None:
        return float("inf")
    spent = time.perf_counter() - started
    if spent > LATE * budget.seconds:
        return float("-inf")
    return started + spent + SELECTING * (budget.seconds - spent)


def _paid(
    material: Material, features: tuple[FeatureChoice, ...], settings: TrainingSettings, stakes: Stakes
) -> tuple[Material, tuple[FeatureChoice, ...]]:
    """Leaves out what costs more than it earns; what was chosen of the same feature before gives way."""
    material, priced = features_that_pay(material, settings.feature_costs, stakes.worth, settings.required)
    decided = {choice.name: choice for choice in priced}
    return material, tuple(
        replace(decided[one.name], gain=one.gain) if one.name in decided else one for one in features
    )


def _limits(material: Material, settings: TrainingSettings) -> Callable[[Plan, Any], str | None]:
    return within(
        material.frame,
        lambda plan: rows_of(plan, material.table.head(MEASURED)),
        latency=settings.max_latency,
        size=settings.max_size,
    )


def _told(done: Finished) -> tuple[str, dict[str, Any]]:
    """Gives the name of what was trained and what it was given; of several the members."""
    if len(done.members) == 1:
        only = done.members[0].trial
        return only.learner, only.refit_configuration
    members = [
        {
            "learner": one.trial.learner,
            "weight": round(one.weight, 6),
            "trial": one.trial.number,
            "configuration": one.trial.refit_configuration,
        }
        for one in done.members
    ]
    return ENSEMBLE, {"members": members}


def _target_type(table: pl.DataFrame, frame: Frame) -> str:
    return str(schema_of(table.select(frame.target)).types[frame.target])
