"""Bets on the mean of differences between the versions: that it is below, that it is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from everloop.deploy.guards.look import Budget, Floats
from everloop.measure.evidence import mean_evidence
from everloop.measure.sequential import FEWEST, asymptotic_radius

_ROOM = 1.5


@dataclass(frozen=True, slots=True)
class Bets:
    """What is bet on.

    Attributes:
        harm: The challenger is worse by more than this.
        fine: It is worse by less than this.
        budget: How often the guard may err.
    """

    harm: float
    fine: float
    budget: Budget


def paired_bets(differences: Floats, reach: Floats, bets: Bets) -> tuple[Floats, Floats]:
    """Bets on differences that are bounded.

    A row's own bound may tell what it is about, so bets rest on the bounds before it: a difference counts
    up to one and a half times the largest that was possible until then.

    Args:
        differences: Challenger less champion, greater being better, in the order they came, (n,).
        reach: The largest that each could be, (n,).
        bets: What is bet on.

    Returns:
        The logarithm of the money after each row: of the bets on harm, of those on none.
    """
    if not differences.size or not reach.max() > 0:
        return np.zeros(0), np.zeros(0)
    before = np.maximum.accumulate(np.concatenate((reach[:1], reach[:-1])))
    most = _ROOM * np.where(before > 0, before, reach.max())
    counted = np.clip(differences, -most, most)
    return (
        mean_evidence(counted + bets.harm, reach=most + bets.harm, above=False),
        mean_evidence(counted + bets.fine, reach=most, above=True),
    )


def unbounded_bets(differences: Floats, bets: Bets) -> tuple[Floats, Floats]:
    """The same for differences without a bound, by a confidence sequence for large samples.

    Where a bound of the sequence has passed the margin, the money has passed what the budget asks.

    Source:
        Waudby-Smith et al., arXiv 2103.06476, theorem 2.2.
    """
    rows = np.arange(1, differences.size + 1)
    if rows.size < FEWEST:
        return np.zeros(0), np.zeros(0)
    mean = np.cumsum(differences) / rows
    square = np.cumsum(differences**2) / rows - mean**2
    spread = np.sqrt(np.maximum(square, 0) * rows / np.maximum(1, rows - 1))
    # Twice the error at two sides is the error at one.
    back, on = (asymptotic_radius(rows, 2 * alpha) * spread for alpha in (bets.budget.back, bets.budget.on))
    enough = rows >= FEWEST
    harm = enough & (mean + back < -bets.harm)
    fine = enough & (mean - on > -bets.fine) & (spread > 0)
    return np.where(harm, -np.log(bets.budget.back), 0.0), np.where(fine, -np.log(bets.budget.on), 0.0)
