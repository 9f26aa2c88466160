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
"""A trial is taken to last so much longer than its pace says."""

EVALUATION_SECONDS = 1.0


@dataclass(slots=True)
class Pace:
    """Seconds for each learner's unit of work; a unit is 100,000 rows at the learner's usual size.

    Attributes:
        width: Columns, for a learner that was not yet seen.
    """

    width: int
    _seen: dict[str, float] = field(default_factory=dict)
    _expected: dict[str, float] = field(default_factory=dict)

    def learn(self, learner: Learner, configuration: Mapping[str, Any], rows: int, seconds: float) -> None:
        """Takes what a trial took."""
        work = _work(configuration) * max(rows, 1) / _ROWS
        fresh = seconds / work
        known = self._seen.get(learner.name)
        self._seen[learner.name] = fresh if known is None else 0.5 * (known + fresh)
        self._expected[learner.name] = learner.capabilities.cost * max(1.0, self.width / _WIDTH)

    def of_trial(self, learner: Learner, configuration: Mapping[str, Any], rows: int) -> float:
        """Gives the seconds that a trial will take.

        Args:
            learner: The learner.
            configuration: What it is given.
            rows: Training rows of all folds together.
        """
        return CAUTION * self._unit(learner) * _work(configuration) * rows / _ROWS

    def ending(self, best: Trial | None, rows: int) -> float:
        """Gives the seconds that the final fit of the best trial and its evaluation will take."""
        if best is None or best.learner not in self._seen:
            return EVALUATION_SECONDS
        return (
            EVALUATION_SECONDS + CAUTION * self._seen[best.learner] * _work(best.configuration) * rows / _ROWS
        )

    def _unit(self, learner: Learner) -> float:
        if learner.name in self._seen:
            return self._seen[learner.name]
        declared = learner.capabilities.cost * max(1.0, self.width / _WIDTH)
        ratios = [self._seen[name] / self._expected[name] for name in self._seen]
        # A small fit has costs that do not grow with rows, which would make the machine look slow: the
        # first one pays for importing the libraries. A learner that was not tried gets the benefit.
        return declared * min(1.5, max(0.5, min(ratios, default=1.0)))


def _work(configuration: Mapping[str, Any]) -> float:
    amount = configuration.get("rounds", configuration.get("trees", 100))
    return max(0.1, float(amount) / 100)
