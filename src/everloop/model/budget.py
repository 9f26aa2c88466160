"""How long to search, and what is left of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from everloop.core.errors import UsageFault


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


@dataclass(slots=True)
class Spending:
    """A budget as it is spent.

    Attributes:
        budget: What there is.
        timer: Seconds from any start.
        started: When the budget began by the timer.
        earlier: Seconds that an earlier attempt spent.
    """

    budget: Budget
    timer: Callable[[], float] = time.perf_counter
    started: float = 0.0
    earlier: float = 0.0

    @property
    def seconds(self) -> float:
        """The whole budget in seconds; endless where trials are counted."""
        return float("inf") if self.budget.seconds is None else self.budget.seconds

    @property
    def spent(self) -> float:
        """Seconds that are spent."""
        return self.timer() - self.started + self.earlier

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.seconds - self.spent
