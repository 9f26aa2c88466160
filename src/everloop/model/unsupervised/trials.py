"""Trying configurations one after another until there are no more, or no more time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import EverloopError, TrainingFailed
from everloop.core.progress import Event
from everloop.model.trained import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from everloop.core.progress import Progress
    from everloop.model.learners.learner import Learner
    from everloop.model.searching import Budget

SEARCHING = 0.5
"""The share of a time budget after which no further trial is begun."""

FEWEST = 4
"""With fewer trials there is hardly a choice: so many may use all of the time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What judging a configuration found.

    Attributes:
        fold_scores: The metric on each fold.
        rows: How many rows it was fitted on.
        facts: Numbers that a choice may look at beside the metric.
    """

    fold_scores: tuple[float, ...]
    rows: int
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial with the learner that made it and what was found beside its score."""

    trial: Trial
    learner: Learner
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The mean of the metric over the folds; NaN where the trial failed."""
        return float("nan") if self.trial.score is None else self.trial.score


def run_trials(
    proposals: Iterable[tuple[Learner, dict[str, Any]]],
    judge: Callable[[Learner, Mapping[str, Any]], Finding],
    budget: Budget,
    *,
    started: float,
    progress: Progress,
) -> list[Tried]:
    """Judges configurations in turn; one that fails is named, and the next one is tried.

    Args:
        proposals: What is tried, the surest first.
        judge: Fits and judges one.
        budget: The most trials, or seconds.
        started: When the training began, by `time.perf_counter`.
        progress: Is told of each.

    Raises:
        TrainingFailed: When none came to a model.
    """
    done: list[Tried] = []
    for number, (learner, configuration) in enumerate(proposals):
        spent = time.perf_counter() - started
        share = SEARCHING if number >= FEWEST else 1.0
        late = budget.seconds is not None and spent > share * budget.seconds
        full = budget.trials is not None and number >= budget.trials
        if any(one.trial.error is None for one in done) and (late or full):
            break
        done.append(_tried(number, learner, configuration, judge))
        trial = done[-1].trial
        found = trial.error or f"{trial.score:.4g}"
        fraction = spent / budget.seconds if budget.seconds else (number + 1) / (budget.trials or 1)
        told = f"trial {number + 1}: {learner.name} {_said(configuration)}: {found}"
        progress(Event("model", told, fraction=min(1.0, fraction)))
    if not any(one.trial.error is None for one in done):
        errors = "; ".join(dict.fromkeys(f"{one.learner.name}: {one.trial.error}" for one in done))
        raise TrainingFailed(f"None of {len(done)} trials came to a model. {errors}")
    return done


def _tried(
    number: int,
    learner: Learner,
    configuration: dict[str, Any],
    judge: Callable[[Learner, Mapping[str, Any]], Finding],
) -> Tried:
    begun = time.perf_counter()
    error, found = None, Finding((), 0)
    try:
        found = judge(learner, configuration)
    except EverloopError as fault:
        error = fault.message
    except (ValueError, ArithmeticError, MemoryError) as fault:  # a library's, on rows that it cannot take
        error = f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"
    known = [score for score in found.fold_scores if not np.isnan(score)]
    if error is None and not known:
        error = "the metric is not defined on any fold"
    trial = Trial(
        number=number,
        learner=learner.name,
        configuration=configuration,
        score=None if error else float(np.mean(known)),
        fold_scores=found.fold_scores,
        rows=found.rows,
        error=error,
        seconds=time.perf_counter() - begun,
    )
    return Tried(trial, learner, found.facts)


def _said(configuration: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in configuration.items())
