"""What guards say: the evidence for and against as one of three answers, with its words and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from everloop.core.units import Bound
from everloop.deploy.guards.look import Budget
from everloop.deploy.rollout import GuardFinding
from everloop.spec.fields import Against

MOST_ODDS = 1e12


def bounded(
    name: str, required: Bound, interval: tuple[float, float], found: str, evidence: dict[str, Any]
) -> GuardFinding:
    """Answers a bound by an interval: harm where all of it breaks the bound, fine where all of it keeps it.

    Args:
        name: The guard.
        required: What the file says.
        interval: From where no lower number is refuted at the rollback's error, to where no higher one is
            at the promotion's; of a lower bound the other way round.
        found: What is known, in words.
        evidence: The numbers behind it.
    """
    low, high = interval
    upper = required.comparison in ("<=", "<")
    keeps, breaks = (high, low) if upper else (low, high)
    answer = "fine" if required.holds(keeps) else "undecided" if required.holds(breaks) else "harm"
    return GuardFinding(name, answer, str(required), found, evidence | {"low": low, "high": high})


def compared(
    name: str,
    required: str,
    found: str,
    money: tuple[NDArray[np.float64], NDArray[np.float64]],
    budget: Budget,
    **evidence: Any,
) -> GuardFinding:
    """Answers by the money that was won by betting on harm and on its absence.

    Args:
        name: The guard.
        required: What is required, in words.
        found: What is known, in words.
        money: Logarithms, after each row: of the bets on harm, of those on none. Their highest count.
        budget: How often the guard may err.
        **evidence: Further numbers behind it.
    """
    harm, fine = (float(one.max()) if one.size else 0.0 for one in money)
    answer = "harm" if harm >= -np.log(budget.back) else "fine" if fine >= -np.log(budget.on) else "undecided"
    odds = {"odds_of_harm": _odds(harm), "odds_of_none": _odds(fine)}
    needed = {"needed_for_harm": 1 / budget.back, "needed_for_none": 1 / budget.on}
    return GuardFinding(name, answer, required, found, evidence | odds | needed)


def words(required: Against, margin: str) -> str:
    """Says in words what is required of a comparison."""
    if required.better:
        return "better than the champion"
    return f"at most {margin} worse than the champion"


def nothing_yet(name: str, required: Bound | Against, why: str) -> GuardFinding:
    """Says that nothing is known: undecided, never fine."""
    return GuardFinding(name, "undecided", str(required), why)


def _odds(log_money: float) -> float:
    return float(min(MOST_ODDS, np.exp(min(log_money, 600.0))))
