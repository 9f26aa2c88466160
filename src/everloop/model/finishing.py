"""From trials to the model: which of them make it, with which weights, fitted on which rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault, TrainingFailed
from everloop.measure.metrics import METRICS
from everloop.model.compile.registry import compiles, kind_of
from everloop.model.contained import Task, run_all
from everloop.model.ensemble import Ensemble
from everloop.model.estimator_file import estimator_bytes, estimator_of
from everloop.model.folds import thinned
from everloop.model.greedy import greedy_weights
from everloop.model.preparation import PreparationSettings, fit_preparation
from everloop.model.ranked import by_turns, ranked
from everloop.model.trial import final_positions, final_rows, fit_on, fold_score, largest_fold
from everloop.model.union_plan import united

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from everloop.model.searching import Found
    from everloop.model.trained import Trial
    from everloop.model.trial import Material
    from everloop.runtime.plan import Plan

CANDIDATES = 30
"""So many trials are weighed, the best of each learner first."""

SELECTED_ON = 12_000
"""Weights are chosen on at most so many rows."""

LEAST_SECONDS = 0.2
"""A last fit may always take so long."""

CHOOSING = -0.5
"""Weights are chosen until so much of what is kept for the end is used; then those so far are taken."""

MOST_SMALLER = 8
"""So many other trials are tried where the model is too slow or too large."""

SURROGATES = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
"""What chooses weights where the metric judges decisions, which need a threshold of their own each time."""


@dataclass(frozen=True, slots=True)
class Member:
    """A trial that is part of the model.

    Attributes:
        trial: The trial.
        weight: What its answer counts.
        plan: Its preparation.
        estimator: Fitted.
        rows: Positions of the rows that it was fitted on; None means all.
    """

    trial: Trial
    weight: float
    plan: Plan
    estimator: Any
    rows: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The model, before calibration and threshold.

    Attributes:
        members: What it is made of, the heaviest first.
        plan: The preparation of all of them.
        estimator: The one member's, or an `Ensemble`.
        scores: What its members' twins said of rows that they had not seen.
        notes: What was decided, in sentences.
    """

    members: tuple[Member, ...]
    plan: Plan
    estimator: Any
    scores: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def finish(
    found: Found,
    material: Material,
    *,
    recent: bool = False,
    accepts: Callable[[Plan, Any], str | None] = lambda _plan, _estimator: None,
    workers: int = 2,
) -> Finished:
    """Chooses the members and fits them.

    Members learn from all rows. With one holdout and a time budget the models of the trials themselves are
    taken, which saves the time of fitting them again, unless the rows are in the order of time, where the
    last ones matter most, and there is time.

    Args:
        found: What the search ended with.
        material: The rows.
        recent: Whether the rows that judged are the latest ones.
        accepts: Says why a model cannot be used, such as that it answers too slowly; members are left out
            until it does not.
        workers: How many fits side by side.

    Raises:
        TrainingFailed: When no member could be fitted.
    """
    found, members, notes = _compiled_members(found, material, recent=recent, workers=workers)
    while True:
        done = assembled(found.journal.scores, material, members, notes)
        refused = accepts(done.plan, done.estimator)
        if refused is None:
            return done
        if len(members) == 1:
            return _smaller(found, material, done, refused, accepts, workers)
        left_out = members[-1].trial
        notes = (*notes, f"{left_out.learner} (trial {left_out.number + 1}) was left out: {refused}")
        members = members[:-1]


def _compiled_members(
    found: Found, material: Material, *, recent: bool, workers: int
) -> tuple[Found, list[Member], tuple[str, ...]]:
    """Chooses members and fits them: those that compile, wherever any learner's do.

    A learner that was brought need not have a compiled form. What serves without a training library goes
    before a better score; it is told what was passed over. Where no learner has one, the first choice stays.

    Returns:
        The search without the trials that were passed over, the members, and sentences.
    """
    passed_over: tuple[str, ...] = ()
    chosen = choose_members(found, material)
    members, notes = _fitted(found, material, chosen, recent=recent, workers=workers)
    first = found, members, notes
    while heavy := _uncompiled(members):
        passed_over += tuple(
            f"{name} (best score {_best_score(found, name):.4g}) was passed over: its {kind} has no compiled "
            "form."
            for name, kind in heavy.items()
        )
        rest = found.without(heavy)
        if rest is None:
            return _lightest(*first)
        found, chosen = rest, choose_members(rest, material)
        try:
            members, notes = _fitted(found, material, chosen, recent=recent, workers=workers)
        except TrainingFailed:
            return _lightest(*first)
    return found, members, passed_over + notes


def _uncompiled(members: Iterable[Member]) -> dict[str, str]:
    """Gives the learners of members that have no compiled form, each with the kind of its estimator."""
    return {one.trial.learner: kind_of(one.estimator) for one in members if not compiles(one.estimator)}


def _lightest(
    found: Found, members: list[Member], notes: tuple[str, ...]
) -> tuple[Found, list[Member], tuple[str, ...]]:
    """Gives the members that compile, of a learner some of whose estimators do; where none does, all."""
    light = [one for one in members if compiles(one.estimator)]
    kinds = ", ".join(f"{kind} of {name}" for name, kind in _uncompiled(members).items())
    if light:
        return found, light, (*notes, f"Members without a compiled form were left out: {kinds}.")
    told = f"No learner came to an estimator with a compiled form, so it serves in a Python runtime: {kinds}."
    return found, members, (*notes, told)


def _best_score(found: Found, learner: str) -> float:
    return next(trial.score or 0.0 for trial in found.ranked if trial.learner == learner)


def _smaller(
    found: Found,
    material: Material,
    done: Finished,
    refused: str,
    accepts: Callable[[Plan, Any], str | None],
    workers: int,
) -> Finished:
    """Gives the best other trial that can be used, of another learner first; where none can, what is."""
    last = done.members[0].trial
    known = [trial for trial in found.ranked if trial.number != last.number]
    bests = {trial.learner: trial for trial in reversed(known) if trial.learner != last.learner}
    firsts = [trial for trial in known if bests.get(trial.learner) is trial]
    others = [trial for trial in known if bests.get(trial.learner) is not trial]
    for trial in [*firsts, *others][:MOST_SMALLER]:
        if found.left <= 0:
            break
        members, _ = refitted(found, material, [(trial, 1.0)], workers)
        if members and accepts(members[0].plan, members[0].estimator) is None:
            told = f"{last.learner} (trial {last.number + 1}) was given up: {refused}"
            return assembled(found.journal.scores, material, members, (*done.notes, told))
    return replace(done, notes=(*done.notes, refused))


def choose_members(found: Found, material: Material) -> list[tuple[Trial, float]]:
    """Gives the trials with their weights, the heaviest first; the best alone where no mean is better."""
    known = ranked(by_turns(found.ranked)[:CANDIDATES], material.frame.metric)
    step = max(1, -(-len(found.rows) // SELECTED_ON))
    rows = found.rows[::step]
    answers = [found.journal.scores(trial)[::step] for trial in known]
    worth = _worth(material, rows)
    weights = greedy_weights(
        answers, worth, seed=material.seed, out_of_time=lambda: found.left < CHOOSING * found.closing
    )
    together = np.sum([w * one for w, one in zip(weights, answers, strict=True) if w], axis=0)
    if worth(together) <= worth(answers[0]):
        return [(known[0], 1.0)]
    order = np.argsort(-weights, kind="stable")
    return [(known[place], float(weights[place])) for place in order if weights[place] > 0]


def _worth(material: Material, rows: NDArray[np.int64]) -> Callable[[NDArray[np.float64]], float]:
    frame, actual, counts = material.frame, material.actual[rows], material.counts_of(rows)
    if METRICS[frame.metric].needs == "decision":
        frame = replace(frame, metric=SURROGATES[frame.task])
    sign = 1.0 if METRICS[frame.metric].greater_is_better else -1.0
    return lambda scores: sign * fold_score(frame, actual, scores, counts)


def _fitted(
    found: Found, material: Material, chosen: list[tuple[Trial, float]], *, recent: bool, workers: int
) -> tuple[list[Member], tuple[str, ...]]:
    affordable = _affordable(found, material, chosen, workers)
    holdout = len(material.folds) == 1
    whole = len(affordable) == len(chosen)
    if holdout and not (recent and whole) and all(found.journal.estimator(trial) for trial, _ in chosen):
        kept = _kept(found, material, chosen)
        if kept:
            return kept, ()
    members, failed = refitted(found, material, affordable, workers) if affordable else ([], ())
    there = {one.trial.number for one in members}
    absent = [pair for pair in chosen if pair[0].number not in there]
    folded = [pair for pair in absent if found.journal.estimator(pair[0]) is not None]
    kept = _kept(found, material, folded)
    notes = _of_time(len(kept), len(absent) - len(kept))
    members = sorted([*members, *kept], key=lambda one: -one.weight)
    if not members:
        members, more = _whatever_there_is(found, material, workers)
        failed += more
    if not members:
        raise TrainingFailed(
            "No model could be fitted on all rows. " + " ".join(failed),
            hint="name a learner that ships in model.learners, or have yours give estimators of "
            "scikit-learn, LightGBM, XGBoost or CatBoost",
        )
    return members, notes + failed


def _whatever_there_is(
    found: Found, material: Material, workers: int
) -> tuple[list[Member], tuple[str, ...]]:
    """Gives a model where no chosen member is to be had: the best that was kept, else the cheapest fit."""
    known = found.ranked
    for trial in known:
        if found.journal.estimator(trial) is not None:
            return _kept(found, material, [(trial, 1.0)]), _of_time(1, 0)
    cheapest = min(known, key=lambda trial: trial.seconds)
    return refitted(found, material, [(cheapest, 1.0)], workers, limited=False)


def _of_time(kept: int, left_out: int) -> tuple[str, ...]:
    found = []
    if kept:
        is_are = "member is" if kept == 1 else "members are"
        found.append(f"{kept} {is_are} as a fold made: there was no time to fit on all rows.")
    if left_out:
        found.append(f"Members left out, since they could not be fitted in time: {left_out}.")
    return tuple(found)


def _affordable(
    found: Found, material: Material, chosen: list[tuple[Trial, float]], workers: int
) -> list[tuple[Trial, float]]:
    """Gives the members whose last fits are likely to end in time."""
    left, total = found.left, 0.0
    taken: list[tuple[Trial, float]] = []
    for trial, weight in chosen:
        learner = found.learners[trial.learner]
        seconds = found.pace.of_last_fit(learner, trial, material.table.height)
        total += seconds / workers
        if max(seconds, total) <= left:
            taken.append((trial, weight))
        else:
            total -= seconds / workers
    return taken


def _kept(found: Found, material: Material, chosen: list[tuple[Trial, float]]) -> list[Member]:
    """Gives members as a fold made them, the one that learned from most rows.

    Args:
        found: What the search ended with.
        material: The rows.
        chosen: Trials whose estimators were kept, with their weights.
    """
    members = []
    fold = largest_fold(material)
    for trial, weight in chosen:
        try:
            estimator = estimator_of(found.journal.estimator(trial) or b"")
        except ModelFault:  # the fit on all rows tells it
            continue
        learner = found.learners[trial.learner]
        rows = thinned(material.folds[fold].train, trial.rows)
        settings = PreparationSettings.of(learner.capabilities, seed=material.seed)
        plan = found.matrices.plan(fold, settings, trial.rows)
        members.append(Member(trial, weight, plan, estimator, rows))
    return members


def refitted(
    found: Found,
    material: Material,
    chosen: list[tuple[Trial, float]],
    workers: int,
    *,
    limited: bool = True,
) -> tuple[list[Member], tuple[str, ...]]:
    """Fits trials on all rows.

    Returns:
        Those that could be fitted, and sentences about the others.
    """
    prepared: dict[Any, tuple[Plan, NDArray[Any], NDArray[Any]]] = {}
    tasks: list[Task] = []
    plans: list[Plan] = []
    for trial, _ in chosen:
        learner = found.learners[trial.learner]
        settings = PreparationSettings.of(learner.capabilities, seed=material.seed)
        key = (settings, learner.capabilities.most_rows)
        if key not in prepared:
            table, actual = final_rows(learner, material)
            plan, X = fit_preparation(table, material.frame, material.features, settings, actual)
            prepared[key] = plan, X.astype(np.float32 if settings.float32 else np.float64), actual
        plan, X, actual = prepared[key]
        plans.append(plan)
        tasks.append(_task(found, material, trial, plan, X, actual, limited=limited))
    members, failed = [], []
    outcomes = run_all(tasks, workers)
    for (trial, weight), plan, outcome in zip(chosen, plans, outcomes, strict=True):
        if outcome.error is not None:
            failed.append(f"{trial.learner} could not be fitted on all rows: {outcome.error}.")
            continue
        try:
            estimator = estimator_of(outcome.values["estimator"].tobytes())
        except ModelFault as fault:  # of a learner that was brought: another's types are not for us to trust
            failed.append(f"{trial.learner} cannot be kept: {fault.message}")
            continue
        members.append(Member(trial, weight, plan, estimator))
    return members, tuple(failed)


def _task(
    found: Found,
    material: Material,
    trial: Trial,
    plan: Plan,
    X: NDArray[Any],
    actual: NDArray[Any],
    *,
    limited: bool,
) -> Task:
    from everloop.model.running import OWN_PROCESS, runs_here
    from everloop.model.searching import HANG_SECONDS

    learner = found.learners[trial.learner]
    weights = material.weights_of(final_positions(learner, material))

    def fit() -> dict[str, Any]:
        estimator = fit_on(learner, X, actual, material, trial.refit_configuration, weights, plan)
        return {"estimator": np.frombuffer(estimator_bytes(estimator), dtype=np.uint8)}

    seconds = max(LEAST_SECONDS, found.left) if limited else HANG_SECONDS
    here = runs_here(learner, X.size)
    if here and found.spending.budget.seconds is not None:
        here = found.pace.of_last_fit(learner, trial, len(X)) <= OWN_PROCESS
    return Task(trial.number, fit, min(seconds, HANG_SECONDS), here=here)


def assembled(
    said_of: Callable[[Trial], NDArray[np.float64]],
    material: Material,
    members: list[Member],
    notes: tuple[str, ...],
) -> Finished:
    """Makes one model of its members.

    Args:
        said_of: Gives what a trial's models said of rows that they had not seen.
        material: The rows.
        members: The heaviest first.
        notes: What was decided, in sentences.
    """
    total = sum(one.weight for one in members)
    members = [replace(one, weight=one.weight / total) for one in members]
    said = [one.weight * said_of(one.trial) for one in members]
    scores = np.sum(said, axis=0)
    if len(members) == 1:
        only = members[0]
        return Finished((only,), only.plan, only.estimator, said_of(only.trial), notes)
    plan, slots = united([one.plan for one in members])
    classes = 0 if material.frame.task == "regression" else len(material.frame.classes)
    estimator = Ensemble([one.estimator for one in members], slots, [one.weight for one in members], classes)
    return Finished(tuple(members), plan, estimator, scores, notes)
