"""The search: a portfolio first, then configurations by what was learned, within a budget.

Large tables are searched on a part of their rows; the best configurations are then tried on all
(successive halving with two rungs; Jamieson and Talwalkar, AISTATS 2016).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import EverloopError, TrainingFailed, UsageFault
from everloop.core.progress import Event, silent
from everloop.measure.metrics import METRICS
from everloop.model.journal import Journal
from everloop.model.pace import Pace
from everloop.model.search_space import Proposals, portfolio_of
from everloop.model.trained import Trial
from everloop.model.trial import FoldMatrices, Judgement, judge, warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from everloop.core.progress import Progress
    from everloop.model.learners.learner import Learner
    from everloop.model.trial import Material, OutOfFold

LOW_RUNG_ROWS = 25_000
"""Training rows of a trial on the low rung; a table of less than twice as many has one rung only."""

PROMOTED = 3
MOST_PROMOTED = 20
EXPLORING = 0.55
"""The share of the time that goes to the low rung, where there are two."""

FIRST_TRIES = 0.75
"""Until so much of the time is used, a learner that was not tried yet may be."""

FEWEST_ROWS = 2_000
"""Training rows that a learner's first trial gets at least, where there is no time for more."""

UNLUCKY = 3
"""So many proposals in a row that would not fit into the time end the exploration."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to search: seconds, or a number of trials, which makes a search deterministic."""

    seconds: float | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        given = [amount for amount in (self.seconds, self.trials) if amount is not None]
        if len(given) != 1 or not given[0] > 0:
            raise UsageFault(
                f"A budget is seconds or a number of trials above 0, not {self.seconds} and {self.trials}.",
                hint="budget: 2m, or budget: {trials: 50}",
            )


@dataclass(frozen=True, slots=True)
class Found:
    """What a search ends with.

    Attributes:
        trials: All trials in their order.
        best: The best one.
        learner: Its learner.
        out_of_fold: Scores of its models on rows that they had not seen.
        pace: What was learned of how long fits take.
    """

    trials: tuple[Trial, ...]
    best: Trial
    learner: Learner
    out_of_fold: OutOfFold
    pace: Pace


@dataclass(slots=True)
class _Search:
    """A search as it goes on."""

    material: Material
    learners: tuple[Learner, ...]
    budget: Budget
    journal: Journal
    progress: Progress
    timer: Callable[[], float]
    started: float
    matrices: FoldMatrices
    pace: Pace
    trials: list[Trial] = field(default_factory=list)
    replayed_seconds: float = 0.0
    best: Trial | None = None
    best_judgement: Judgement | None = None

    # Time -------------------------------------------------------------------------------------------

    def spent(self) -> float:
        return self.timer() - self.started + self.replayed_seconds

    def left(self) -> float:
        """Seconds that trials may still take: the final fit and its evaluation are kept free."""
        if self.budget.seconds is None:
            return float("inf")
        return self.budget.seconds - self.spent() - self.pace.ending(self.best, self.material.table.height)

    def tried(self, learner: Learner) -> bool:
        """Whether a learner had a trial."""
        return any(trial.learner == learner.name for trial in self.trials)

    def affordable_rows(
        self, learner: Learner, configuration: Mapping[str, Any], most_rows: int, share: float
    ) -> int:
        """Gives on how many training rows a trial is likely to end in time; 0 where there is no time.

        A learner that had no trial yet may use more of the time and is tried on fewer rows rather
        than not at all: on a slow machine, too, learners are compared.
        """
        if self.tried(learner):
            return most_rows if self.fits(learner, configuration, most_rows, share) else 0
        rows = most_rows
        while rows > FEWEST_ROWS:
            if self.fits(learner, configuration, rows, max(share, FIRST_TRIES)):
                return rows
            rows = max(rows // 2, FEWEST_ROWS)
        expected = self.pace.of_trial(learner, configuration, self._train_rows(rows))
        return rows if self.best is None or expected <= self.first_tries_left() else 0

    def first_tries_left(self) -> float:
        """Seconds that first trials on the fewest rows may still take, whatever the ending will need."""
        seconds = self.budget.seconds
        return float("inf") if seconds is None else FIRST_TRIES * seconds - self.spent()

    def fits(
        self, learner: Learner, configuration: Mapping[str, Any], most_rows: int, share: float = 1.0
    ) -> bool:
        """Whether a trial is likely to end in time; the first is always tried."""
        if self.budget.seconds is None or self.best is None:
            return True
        expected = self.pace.of_trial(learner, configuration, self._train_rows(most_rows))
        return expected <= min(self.left(), share * self.budget.seconds - self.spent())

    def _train_rows(self, most_rows: int) -> int:
        return sum(min(len(fold.train), most_rows) for fold in self.material.folds)

    # Trials -----------------------------------------------------------------------------------------

    def run(self, learner: Learner, configuration: dict[str, Any], most_rows: int) -> Trial:
        """Runs a trial, or takes it from the journal; a failure is a trial with its reason."""
        number = len(self.trials)
        trial = self.journal.find(number, learner.name, configuration, most_rows)
        judgement = None
        if trial is None:
            trial, judgement = self._try(number, learner, configuration, most_rows)
            self.journal.add(trial, most_rows)
        else:
            self.replayed_seconds += trial.seconds
        self.trials.append(trial)
        if trial.error is None:
            seconds = trial.seconds if judgement is None else judgement.fitting_seconds
            self.pace.learn(learner, configuration, self._train_rows(most_rows), seconds)
        self._compare(trial, judgement)
        self._tell(trial)
        return trial

    def _try(
        self, number: int, learner: Learner, configuration: dict[str, Any], most_rows: int
    ) -> tuple[Trial, Judgement | None]:
        start = self.timer()
        blank = Trial(number, learner.name, configuration, None)
        first = not self.tried(learner) and most_rows <= FEWEST_ROWS
        time_left = self.first_tries_left if first else self.left
        try:
            if not self.tried(learner):
                warm_up(learner, self.material)
            judgement = judge(
                learner,
                configuration,
                self.matrices,
                most_rows=most_rows,
                out_of_time=lambda: time_left() <= 0,
            )
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  (a learner may raise anything; the search goes on)
            return replace(blank, error=_reason(error), seconds=self.timer() - start), None
        seconds = self.timer() - start
        if not judgement.complete and self.best is not None:
            return replace(
                blank, error="out of time before its last fold", rows=judgement.rows, seconds=seconds
            ), None
        if not np.isfinite(judgement.score):
            reason = f"{self.material.frame.metric} is not defined on any fold"
            return replace(blank, error=reason, rows=judgement.rows, seconds=seconds), None
        done = replace(
            blank,
            score=judgement.score,
            fold_scores=judgement.fold_scores,
            rows=judgement.rows,
            seconds=seconds,
        )
        return done, judgement

    def _compare(self, trial: Trial, judgement: Judgement | None) -> None:
        """Keeps the best; more rows go before a better score, since only they are compared alike."""
        if trial.score is None:
            return
        if self.best is None or self._rank(trial) > self._rank(self.best):
            self.best, self.best_judgement = trial, judgement

    def _rank(self, trial: Trial) -> tuple[int, float]:
        return self._rung(trial), self.signed(trial.score or 0.0)

    def _rung(self, trial: Trial) -> int:
        return int(trial.rows > LOW_RUNG_ROWS)

    def signed(self, score: float) -> float:
        """Gives the score so that more is better."""
        return score if METRICS[self.material.frame.metric].greater_is_better else -score

    def _tell(self, trial: Trial) -> None:
        result = f"failed: {trial.error}" if trial.score is None else f"{trial.score:.4f}"
        best = f"; best {self.best.score:.4f} ({self.best.learner})" if self.best else ""
        seconds, count = self.budget.seconds, self.budget.trials
        fraction = self.spent() / seconds if seconds else len(self.trials) / (count or 1)
        self.progress(
            Event(
                "model",
                f"trial {trial.number + 1}: {trial.learner} {result}{best}",
                fraction=min(1.0, fraction),
                seconds_left=max(0.0, seconds - self.spent()) if seconds else None,
                facts={"trial": trial.number, "learner": trial.learner, "score": trial.score},
            )
        )


def run_search(
    material: Material,
    learners: tuple[Learner, ...],
    budget: Budget,
    *,
    journal: Path | None = None,
    progress: Progress = silent,
    timer: Callable[[], float] = time.perf_counter,
    started: float | None = None,
) -> Found:
    """Searches for the best learner and configuration.

    With a number of trials the result depends on the material and its seed alone; with seconds it
    also depends on how fast the machine is, and at least one trial is always made.

    Args:
        material: What every trial works on.
        learners: Which learners, the cheapest first.
        budget: When to end.
        journal: A file of finished trials, read and continued.
        progress: Told after each trial.
        timer: Seconds from any start.
        started: When the budget began by the timer; now, where left out.

    Raises:
        TrainingFailed: When no trial came to a model; the reasons are named.
    """
    search = _Search(
        material=material,
        learners=learners,
        budget=budget,
        journal=Journal(journal),
        progress=progress,
        timer=timer,
        started=timer() if started is None else started,
        matrices=FoldMatrices(material),
        pace=Pace(width=len(material.features)),
    )
    largest = max(len(fold.train) for fold in material.folds)
    rungs = (LOW_RUNG_ROWS, largest) if largest >= 2 * LOW_RUNG_ROWS else (largest,)
    promoted = 0 if len(rungs) == 1 else _promoted(budget)
    _explore(search, rungs[0], promoted, EXPLORING if promoted else 1.0)
    if promoted:
        _promote(search, rungs[-1], promoted)
    return _found(search)


def _explore(search: _Search, most_rows: int, promoted: int, share: float) -> None:
    """Tries the portfolio, then what is proposed, until this rung's part of the budget is used."""
    count = float("inf") if search.budget.trials is None else max(1, search.budget.trials - promoted)
    better = METRICS[search.material.frame.metric].greater_is_better
    proposals = Proposals(search.learners, seed=search.material.seed, greater_is_better=better)
    for learner, configuration in portfolio_of(search.learners):
        if len(search.trials) >= count:
            return
        rows = search.affordable_rows(learner, configuration, most_rows, share)
        if rows:
            trial = search.run(learner, configuration, rows)
            proposals.learn_of(learner, configuration, trial.score)
    unlucky = 0
    # Where nothing has worked, neither the portfolio nor as many tries again, more will not help.
    patience = 2 * len(search.trials) + UNLUCKY
    while len(search.trials) < count and unlucky < UNLUCKY and (search.best or len(search.trials) < patience):
        learner, configuration = proposals.propose()
        if not search.fits(learner, configuration, most_rows, share):
            proposals.learn(None)
            unlucky += 1
            continue
        unlucky = 0
        proposals.learn(search.run(learner, configuration, most_rows).score)


def _promoted(budget: Budget) -> int:
    """Gives how many configurations go on to all rows; with a time, as many as fit into it."""
    return MOST_PROMOTED if budget.trials is None else max(1, min(PROMOTED, budget.trials // 4))


def _ranked(search: _Search) -> list[Trial]:
    """Ranks trials, the best of each learner before any second best: learners gain unlike from rows."""
    by_score = sorted(
        (trial for trial in search.trials if trial.score is not None),
        key=lambda trial: -search.signed(trial.score or 0.0),
    )
    places: dict[str, int] = {}
    order = []
    for position, trial in enumerate(by_score):
        places[trial.learner] = places.get(trial.learner, -1) + 1
        order.append((places[trial.learner], position, trial))
    return [trial for *_, trial in sorted(order, key=lambda item: item[:2])]


def _promote(search: _Search, most_rows: int, promoted: int) -> None:
    """Tries the best configurations of the low rung on all rows, those that fit into the time."""
    by_name = {one.name: one for one in search.learners}
    for trial in _ranked(search):
        if promoted and search.fits(by_name[trial.learner], trial.configuration, most_rows):
            search.run(by_name[trial.learner], dict(trial.configuration), most_rows)
            promoted -= 1


def _found(search: _Search) -> Found:
    best = search.best
    if best is None:
        reasons = {f"{trial.learner}: {trial.error}" for trial in search.trials}
        raise TrainingFailed(
            f"None of {len(search.trials)} trials came to a model. " + "; ".join(sorted(reasons)[:5]),
            hint="everloop check, and look at the target, the features and the split",
        )
    learner = next(one for one in search.learners if one.name == best.learner)
    judgement = search.best_judgement
    if judgement is None:  # it came from the journal
        judgement = judge(learner, best.configuration, search.matrices, most_rows=_most_rows(search, best))
    return Found(tuple(search.trials), best, learner, judgement.out_of_fold, search.pace)


def _most_rows(search: _Search, best: Trial) -> int:
    if best.rows <= LOW_RUNG_ROWS:
        return LOW_RUNG_ROWS
    return max(len(fold.train) for fold in search.material.folds)


def _reason(error: Exception) -> str:
    message = (error.message if isinstance(error, EverloopError) else str(error)).strip()
    return f"{type(error).__name__}: {message.splitlines()[0] if message else 'no message'}"
