"""How long a fit will take, from those that were seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.model.learners.learner import Learner
    from everloop.model.trained import Trial

_ROWS, _WIDTH = 100_000.0, 25.0
CAUTION = 1.25
"""A fit is taken to last so much longer than its pace says."""

UNSEEN_ROUNDS = 3.0
"""A learner that stops early is first taken to need so many times 100 rounds."""

SHORTEST = 0.05
"""A fit of fewer seconds says nothing of how busy the machine is."""


@dataclass(slots=True)
class Pace:
    """Seconds for each learner's unit of work; a unit is 100,000 rows at the learner's usual size.

    Attributes:
        width: Columns, for a learner that was not yet seen.
        classes: How many classes are told apart, for the same.
        slowness: Seconds that pass in one that is computed: above 1 where others use the machine too.
    """

    width: int
    classes: int = 0
    slowness: float = 1.0
    _seen: dict[str, float] = field(default_factory=dict)
    _trials: dict[int, float] = field(default_factory=dict)
    _expected: dict[str, float] = field(default_factory=dict)

    def learn_load(self, seconds: float, computed: float) -> None:
        """Takes how long something took, and for how much of it the processor worked on it."""
        if min(seconds, computed) >= SHORTEST:
            self.slowness = 0.5 * (self.slowness + slowness_of(seconds, computed))

    def learn(self, learner: Learner, configuration: Mapping[str, Any], rows: int, seconds: float) -> None:
        """Takes what a fit on so many rows took."""
        fresh = seconds / (_work(learner, configuration) * max(rows, 1) / _ROWS)
        known = self._seen.get(learner.name)
        self._seen[learner.name] = fresh if known is None else 0.5 * (known + fresh)
        self._expected[learner.name] = self._declared(learner)

    def learn_trial(self, trial: Trial, seconds: float) -> None:
        """Takes what a fit of a trial took, on as many rows as it had."""
        self._trials[trial.number] = seconds

    def of_last_fit(self, learner: Learner, trial: Trial, rows: int) -> float:
        """Gives the seconds that a trial's fit on so many rows will take, once it is known how well it does.

        Of one learner a configuration takes ten times as long as another, so a trial's own fits tell best.
        """
        known = self._trials.get(trial.number)
        if known is None:
            return self.of_fit(learner, trial.refit_configuration, rows)
        return CAUTION * known * max(1.0, rows / max(trial.rows, 1))

    def knows(self, learner: Learner) -> bool:
        """Says whether a fit of this learner was seen."""
        return learner.name in self._seen

    def of_fit(self, learner: Learner, configuration: Mapping[str, Any], rows: int) -> float:
        """Gives the seconds that a fit on so many rows will take."""
        return CAUTION * self._unit(learner) * _work(learner, configuration) * rows / _ROWS

    def _unit(self, learner: Learner) -> float:
        if self.knows(learner):
            return self._seen[learner.name]
        ratios = [self._seen[name] / self._expected[name] for name in self._seen]
        # A small fit has costs that do not grow with rows, which would make the machine look slow. A learner
        # that was not tried gets the benefit.
        return self._declared(learner) * min(1.5, max(0.5, min(ratios, default=1.0)))

    def _declared(self, learner: Learner) -> float:
        classes = self.classes if learner.capabilities.class_by_class and self.classes > 2 else 1
        return float(learner.capabilities.cost * max(1.0, self.width / _WIDTH) * classes)


def slowness_of(seconds: float, computed: float) -> float:
    """Gives how many seconds pass in one that is computed; 1 where too little was to say anything.

    Loading from a cold disk looks like a busy machine as well: fits tell soon.
    """
    return max(1.0, seconds / computed) if min(seconds, computed) >= SHORTEST else 1.0


def _work(learner: Learner, configuration: Mapping[str, Any]) -> float:
    """Gives how much a configuration asks for; of rounds that nobody set, what was seen tells."""
    from everloop.model.learners.learner import StopsEarly

    trees = configuration.get("trees")
    if trees is None and isinstance(learner, StopsEarly):
        return UNSEEN_ROUNDS
    amount = configuration.get("rounds", trees or 100)
    return max(0.1, float(amount) / 100)
