"""The search: a portfolio first, then configurations by what was learned, within a budget.

Large tables are searched on a part of their rows; the best configurations are then tried on all
(successive halving with two rungs; Jamieson and Talwalkar, AISTATS 2016). Folds of a few trials run side by
side, each in a process of its own; a proposal knows the trials up to a fixed distance before it, so that with
a number of trials the same seed gives the same search.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import TrainingFailed
from everloop.core.progress import Event, silent
from everloop.measure.metrics import METRICS
from everloop.model.budget import Budget, Spending
from everloop.model.closing import Closing
from everloop.model.contained import failure
from everloop.model.estimator_file import load_writer
from everloop.model.journal import Journal
from everloop.model.learners.learner import StopsEarly
from everloop.model.learners.registry import BUILT_IN
from everloop.model.pace import Pace
from everloop.model.quick_model import QUICK_LEARNER
from everloop.model.ranked import by_turns, ranked
from everloop.model.running import Planned, RunningTrial, is_quick
from everloop.model.search_space import Proposals, Variants, portfolio_of, strong_on_many_rows
from everloop.model.trained import Trial
from everloop.model.trial import FoldMatrices, judged_positions, largest_fold, warm_up
from everloop.model.workers import HERE, Workers, workers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from everloop.core.progress import Progress
    from everloop.model.learners.learner import Learner
    from everloop.model.trial import Material

__all__ = ["FEWEST_ROWS", "LOW_RUNG_ROWS", "Budget", "Found", "run_search"]

LOW_RUNG_ROWS = 25_000
"""Training rows of a trial on the low rung; a table of less than twice as many has one rung only."""

PROMOTED = 3
MOST_PROMOTED = 20
EXPLORING = 0.4
"""The share of the time that goes to the low rung, where there are two."""

FIRST_TRIES = 0.75
"""Until so much of the time is used, a learner that was not tried yet may be."""

FEWEST_ROWS = 2_000
"""Training rows that a learner's first trial gets at least, where there is no time for more."""

UNLUCKY = 3
"""So many proposals in a row that would not fit into the time end the exploration."""

ENDING_MEMBERS = 8
ENDING_CAUTION = 1.3
MOST_ENDING = 0.25
"""The share of the time that the last fits of an ensemble's members may have kept for them."""

PREPARATIONS = 2
"""How often a preparation is fitted to prove that it was apart: so many differ between members."""

FIRST_SHARE = 0.3
FIRST_SECONDS = 30.0
HANG_SECONDS = 900.0
"""Where no time is set a fit that takes longer is taken to hang."""

STOPPING = 0.75
"""A fit stops adding rounds after so much of what is left, to have time for its scores."""

LOADING = 3.0
"""A library is loaded only where so many times the longest load so far is left: it cannot be ended."""

BUSY = 2.0
"""On a machine that is so many times slower than it computes small fits are made in children too."""

GRACE = 0.03
"""A fit that stops by itself is ended when it is so much of the budget late."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search ends with.

    Attributes:
        trials: All trials in their order.
        best: The best one.
        learners: Every learner by name.
        rows: Positions of the rows that judged, in the order of what the trials' models said.
        journal: What they said.
        matrices: Encoded folds with their preparations.
        pace: What was learned of how long fits take.
        spending: What is left of the budget.
        closing: Seconds that are to be left after the last fit.
    """

    trials: tuple[Trial, ...]
    best: Trial
    learners: dict[str, Learner]
    rows: NDArray[np.int64]
    journal: Journal
    matrices: FoldMatrices
    pace: Pace
    spending: Spending
    closing: float = 0.0

    @property
    def ranked(self) -> list[Trial]:
        """The trials that have a score, the best first."""
        return ranked(self.trials, self.matrices.material.frame.metric)

    def without(self, learners: Collection[str]) -> Found | None:
        """Gives the same without the trials of some learners; None where no other came to a model."""
        trials = tuple(trial for trial in self.trials if trial.learner not in learners)
        rest = replace(self, trials=trials)
        return replace(rest, best=rest.ranked[0]) if rest.ranked else None

    @property
    def left(self) -> float:
        """Seconds that the last fits may still take."""
        return self.spending.left - self.closing

    @property
    def learner(self) -> Learner:
        """The best trial's learner."""
        return self.learners[self.best.learner]


@dataclass(slots=True)
class _Search:
    """A search as it goes on."""

    material: Material
    learners: tuple[Learner, ...]
    spending: Spending
    journal: Journal
    progress: Progress
    workers: Workers
    count: int
    closing: Closing
    matrices: FoldMatrices
    pace: Pace
    trials: list[Trial] = field(default_factory=list)
    running: OrderedDict[int, RunningTrial] = field(default_factory=OrderedDict)
    loaded: dict[str, str | None] = field(default_factory=dict)
    longest_load: float = 0.0
    best: Trial | None = None

    # Time -------------------------------------------------------------------------------------------

    def left(self) -> float:
        """Seconds that trials may still take: the last fits and the evaluation are kept free."""
        return self.spending.left - self.ending()

    def ending(self) -> float:
        """Seconds that the last fits of the likely members and their evaluation will take."""
        total = self.spending.seconds
        if total == float("inf"):
            return 0.0
        known = ranked(self.trials, self.material.frame.metric)
        rows = self.material.table.height
        by_name = {one.name: one for one in self.learners}
        fits = [
            ENDING_CAUTION * self.pace.of_last_fit(by_name[each.learner], each, rows)
            for each in known[:ENDING_MEMBERS]
        ]
        if self.keeps_estimators or not fits:
            fits = []
        together = max(max(fits, default=0.0), sum(fits) / self.count)
        again = 0.0 if self.keeps_estimators else self.matrices.seconds(rows)
        return self.closed() + again + max(fits[0] if fits else 0.0, min(MOST_ENDING * total, together))

    def closed(self) -> float:
        """Gives the seconds that what follows the last fit will take."""
        largest = max((trial.rows for trial in self.trials), default=0)
        rows = largest if self.keeps_estimators else self.material.table.height
        times = 1 if self.keeps_estimators else PREPARATIONS
        return self.closing.seconds(
            self.spending.seconds,
            slowness=self.pace.slowness,
            preparing=times * self.matrices.seconds(rows),
        )

    @property
    def keeps_estimators(self) -> bool:
        """Whether a trial's own model may be the last: with one holdout, where every second counts."""
        return len(self.material.folds) == 1 and self.spending.budget.seconds is not None

    def keeps(self, one: RunningTrial) -> bool:
        """Whether the model of a trial's next fold is kept: a holdout's, or one that spares a last fit.

        The latter are of learners that add rounds, whose fits are long and files small; and, of any learner,
        of the trials that were begun before there was a model, so that one is there whatever happens.
        """
        if self.keeps_estimators:
            return True
        learner = one.planned.learner
        small = isinstance(learner, StopsEarly) and not learner.capabilities.large
        in_time = self.spending.budget.seconds is not None
        return in_time and one.begun == largest_fold(self.material) and (small or self.best is None)

    def tried(self, learner: Learner) -> bool:
        """Whether a learner has had a trial, or has one under way."""
        under_way = (one.planned.learner.name for one in self.running.values())
        return learner.name in {*(trial.learner for trial in self.trials), *under_way}

    def expected(self, one: Planned) -> float:
        """Gives the seconds that a trial will take, its folds side by side."""
        fits = [
            self.pace.of_fit(one.learner, one.configuration, min(len(fold.train), one.most_rows))
            for fold in self.material.folds
        ]
        rows = max(min(len(fold.train), one.most_rows) for fold in self.material.folds)
        known = any(trial.rows >= rows for trial in self.trials)
        # Rows that nothing was tried on yet are to be prepared, and once more to prove that it was apart.
        preparing = 0.0 if known or not self.keeps_estimators else 2 * self.matrices.seconds(rows)
        return max(*fits, sum(fits) / self.count) + preparing

    def affordable(self, one: Planned, share: float) -> Planned | None:
        """Gives the trial, on as many rows as are likely to end in time; None where there is no time.

        A learner that had no trial yet may use more of the time and is tried on fewer rows rather
        than not at all: on a slow machine, too, learners are compared.
        """
        if self.tried(one.learner) or self.best is None:
            return one if self.fits(one, share) else None
        while one.most_rows > FEWEST_ROWS:
            if self.fits(one, max(share, FIRST_TRIES)):
                return one
            one = replace(one, most_rows=max(one.most_rows // 2, FEWEST_ROWS))
        first = FIRST_TRIES * self.spending.seconds - self.spending.spent
        return one if self.expected(one) <= first and self.loads_in_time(one.learner) else None

    def loads_in_time(self, learner: Learner) -> bool:
        """Whether a learner's library is there, or likely to be in good time: it is loaded here."""
        return learner.name in self.loaded or self.spending.left >= LOADING * self.longest_load

    def fits(self, one: Planned, share: float = 1.0) -> bool:
        """Whether a trial is likely to end in time; the first is always tried."""
        if self.spending.budget.seconds is None:
            return True
        if self.best is None:
            return True
        if not self.loads_in_time(one.learner):
            return False
        return self.expected(one) <= min(self.left(), share * self.spending.seconds - self.spending.spent)

    def limits(self) -> tuple[float, float]:
        """Gives the seconds after which a fit stops by itself, and after which it is ended."""
        total = self.spending.seconds
        if total == float("inf"):
            return float("inf"), HANG_SECONDS
        if self.best is None:
            turns = -(-len(self.material.folds) // self.count)
            stops = max(min(FIRST_SHARE * total, STOPPING * self.left() / turns), 1.0)
            return stops, max(2 * stops, FIRST_SECONDS)
        left = max(self.left(), 0.1)
        return STOPPING * left, left + max(0.5, GRACE * total)

    # Trials -----------------------------------------------------------------------------------------

    def run(self, plans: Iterator[Planned]) -> None:
        """Makes trials, a few side by side, as long as `plans` gives any."""
        more = True
        while True:
            while self.workers.free:
                waiting = next((one for one in self.running.values() if one.to_begin), None)
                if waiting is not None:
                    self._start(waiting)
                elif more and len(self.running) < 2 * self.count:
                    if self.must_wait():
                        break
                    planned = next(plans, None)
                    more = planned is not None and self._begin(planned)
                else:
                    break
                self._settle()
            if not self.workers.busy:
                if more:
                    continue
                return
            outcome = self.workers.wait()
            number, fold = outcome.key
            self.running[number].outcomes[fold] = outcome
            self._settle()

    def must_wait(self) -> bool:
        """Whether nothing can be planned before it is known how long the first trial takes."""
        late = self.spending.spent >= FIRST_SHARE * self.spending.seconds
        return self.best is None and bool(self.running) and late

    def _begin(self, planned: Planned) -> bool:
        number = len(self.trials) + len(self.running)
        known = self.journal.find(number, planned.learner.name, planned.configuration, planned.most_rows)
        rivals = [trial.fold_scores for trial in self.known_to(number) if trial.score is not None]
        running = RunningTrial(number, planned, self.material, rivals, self.spending.timer(), known)
        self.running[number] = running
        return True

    def known_to(self, number: int) -> list[Trial]:
        """Gives the trials that one of this number may know of, whatever ended first."""
        return self.trials[: max(0, number - 2 * self.count + 1)]

    def _start(self, one: RunningTrial) -> None:
        learner = one.planned.learner
        if learner.name not in self.loaded:
            begun = self.spending.timer()
            self.loaded[learner.name] = self._load(learner)
            self.longest_load = max(self.longest_load, self.spending.timer() - begun)
        error = self.loaded[learner.name]
        if error is not None:
            one.fail(error)
            return
        stops, limit = self.limits()
        try:
            task = one.next_task(self.matrices, stops, limit, keep=self.keeps(one))
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except Exception as found:  # noqa: BLE001  (a preparation that fails is this trial's failure)
            one.fail(failure(found))
            return
        if task.here and self.spending.budget.seconds is not None:
            quick = is_quick(learner, one.planned.configuration, one.rows, self.pace)
            task = replace(task, here=quick and self.pace.slowness <= BUSY)
        self.workers.start(task)

    def _load(self, learner: Learner) -> str | None:
        """Loads a learner's library once, for all children; another's code runs in children alone."""
        if learner.name not in BUILT_IN:
            return None
        try:
            warm_up(learner, self.material)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  (a library may raise anything; the search goes on)
            return failure(error)
        return None

    def _settle(self) -> None:
        """Takes the finished trials in the order of their numbers."""
        while self.running and next(iter(self.running.values())).finished:
            _, one = self.running.popitem(last=False)
            if one.known is not None:
                trial = one.known
                self.spending.earlier += trial.seconds / self.count  # so many were made side by side
            else:
                trial, scores, estimator = one.done(self.spending.timer() - one.started)
                self.journal.add(trial, one.planned.most_rows, scores, estimator)
            self.trials.append(trial)
            if trial.score is not None:
                seconds = one.fit_seconds() if one.known is None else trial.seconds / one.folds
                self.pace.learn_load(seconds, one.computed_seconds())
                self.pace.learn(one.planned.learner, trial.refit_configuration, trial.rows, seconds)
                if one.known is None:
                    self.pace.learn_trial(trial, seconds)
                if self.best is None or self.signed(trial.score) > self.signed(self.best.score or 0.0):
                    self.best = trial
            self._tell(trial)

    def signed(self, score: float) -> float:
        """Gives the score so that more is better."""
        return score if METRICS[self.material.frame.metric].greater_is_better else -score

    def _tell(self, trial: Trial) -> None:
        result = trial.ending if trial.score is None else f"{trial.score:.4f}"
        best = f"; best {self.best.score:.4f} ({self.best.learner})" if self.best else ""
        budget, spent = self.spending.budget, self.spending.spent
        fraction = spent / budget.seconds if budget.seconds else len(self.trials) / (budget.trials or 1)
        self.progress(
            Event(
                "model",
                f"trial {trial.number + 1}: {trial.learner} {result}{best}",
                fraction=min(1.0, fraction),
                seconds_left=max(0.0, self.spending.left) if budget.seconds else None,
                facts={"trial": trial.number, "learner": trial.learner, "score": trial.score},
            )
        )


def run_search(  # noqa: PLR0913  (what a search may be told)
    material: Material,
    learners: tuple[Learner, ...],
    budget: Budget,
    *,
    journal: Path | None = None,
    progress: Progress = silent,
    timer: Callable[[], float] = time.perf_counter,
    started: float | None = None,
    workers: int = 2,
    evaluated_rows: int = 0,
    tuner: str = HERE,
    slowness: float = 1.0,
) -> Found:
    """Searches for the best learners and configurations.

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
        workers: How many folds are fitted side by side.
        evaluated_rows: On how many rows the model is evaluated afterwards, within the budget.
        tuner: Whose workers fit them; see `workers.workers_of`.
        slowness: How busy the machine was so far, as `Pace.slowness` says it, before anything is fitted.

    Raises:
        TrainingFailed: When no trial came to a model; the reasons are named.
    """
    largest = max(len(fold.train) for fold in material.folds)
    rungs = (LOW_RUNG_ROWS, largest) if largest >= 2 * LOW_RUNG_ROWS else (largest,)
    promoted = 0 if len(rungs) == 1 else _promoted(budget)
    judged = sum(len(judged_positions(material, fold)) for fold in range(len(material.folds)))
    outputs = len(material.frame.classes) if material.frame.task == "multiclass" else 1
    load_writer()
    with workers_of(tuner, workers) as fitting:
        search = _Search(
            material=material,
            learners=learners,
            spending=Spending(budget, timer, timer() if started is None else started),
            journal=Journal(journal),
            progress=progress,
            workers=fitting,
            count=workers,
            closing=Closing(judged, evaluated_rows, outputs),
            matrices=FoldMatrices(material),
            pace=Pace(len(material.features), len(material.frame.classes), slowness),
        )
        many_rows = len(rungs) > 1
        plans = _explored(search, rungs[0], promoted, EXPLORING if promoted else 1.0, many_rows=many_rows)
        search.run(plans)
        if promoted:
            search.run(_promoting(search, rungs[-1], promoted))
    return _found(search)


def _explored(
    search: _Search, most_rows: int, promoted: int, share: float, *, many_rows: bool
) -> Iterator[Planned]:
    """Gives the portfolio, then what is proposed, until this rung's part of the budget is used."""
    trials = search.spending.budget.trials
    count = float("inf") if trials is None else max(1, trials - promoted)
    variants = Variants.of(search.material.frame, search.material.actual)
    portfolio = portfolio_of(search.learners, variants)
    if many_rows and count < len(search.learners):
        likely = strong_on_many_rows(search.learners)
        portfolio = [*likely, *(pair for pair in portfolio if pair not in likely)]
    if search.spending.spent >= FIRST_SHARE * search.spending.seconds:
        # There may be time for one trial alone: that of the learner whose library selection has loaded.
        loaded = [pair for pair in portfolio if pair[0].name == QUICK_LEARNER][:1]
        portfolio = [*loaded, *(pair for pair in portfolio if pair not in loaded)]
    for learner, configuration in portfolio:
        if len(search.trials) + len(search.running) >= count:
            return
        one = search.affordable(Planned(learner, configuration, most_rows), share)
        if one is not None:
            yield one
    proposals = Proposals(
        search.learners,
        seed=search.material.seed,
        greater_is_better=METRICS[search.material.frame.metric].greater_is_better,
        variants=variants,
    )
    unlucky = 0
    # Where nothing has worked, neither the portfolio nor as many tries again, more will not help.
    patience = 2 * len(search.trials) + 2 * len(search.running) + UNLUCKY
    while unlucky < UNLUCKY:
        number = len(search.trials) + len(search.running)
        if number >= count or (search.best is None and number >= patience):
            return
        proposals.learn_all(search.known_to(number))
        learner, configuration = proposals.propose(number)
        one = Planned(learner, configuration, most_rows, may_prune=True)
        unlucky = 0 if search.fits(one, share) else unlucky + 1
        if not unlucky:
            yield one


def _promoted(budget: Budget) -> int:
    """Gives how many configurations go on to all rows; with a time, as many as fit into it.

    Of three trials one does; where there are fewer, they are for comparing.
    """
    if budget.trials is None:
        return MOST_PROMOTED
    return min(PROMOTED, max(budget.trials // 4, int(budget.trials > 2)))


def _promoting(search: _Search, most_rows: int, promoted: int) -> Iterator[Planned]:
    """Gives the best configurations of the low rung on all rows, those that fit into the time."""
    by_name = {one.name: one for one in search.learners}
    for trial in by_turns(ranked(search.trials, search.material.frame.metric)):
        one = Planned(by_name[trial.learner], dict(trial.configuration), most_rows)
        if promoted and search.fits(one):
            promoted -= 1
            yield one


def _found(search: _Search) -> Found:
    if search.best is None:
        reasons = {f"{trial.learner}: {trial.error}" for trial in search.trials}
        raise TrainingFailed(
            f"None of {len(search.trials)} trials came to a model. " + "; ".join(sorted(reasons)[:5]),
            hint="everloop check, and look at the target, the features and the split",
        )
    folds = range(len(search.material.folds))
    return Found(
        trials=tuple(search.trials),
        best=search.best,
        learners={one.name: one for one in search.learners},
        rows=np.concatenate([judged_positions(search.material, fold) for fold in folds]),
        journal=search.journal,
        matrices=search.matrices,
        pace=search.pace,
        spending=search.spending,
        closing=search.closed(),
    )
