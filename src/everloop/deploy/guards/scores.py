"""Guards on what the versions say, actuals aside: the distribution of scores, and how often they agree."""

from __future__ import annotations

import numpy as np

from everloop.core.units import Bound
from everloop.deploy.guards.answers import bounded, nothing_yet
from everloop.deploy.guards.look import Budget, Look
from everloop.deploy.guards.rates import bounded_rate
from everloop.deploy.rollout import GuardFinding
from everloop.measure.evidence import distribution_band
from everloop.spec.fields import Against


def score_distribution(name: str, required: Bound | Against, look: Look, budget: Budget) -> GuardFinding:
    """The Kolmogorov-Smirnov distance between the scores that both arms gave, within its band at any look."""
    if isinstance(required, Against):
        return nothing_yet(name, required, "unknown: it is held against a bound")
    requests = look.requests
    given = ~np.isnan(requests.scores)
    ours, theirs = (requests.scores[given & arm] for arm in (requests.second, ~requests.second))
    if not (ours.size and theirs.size):
        return nothing_yet(name, required, "not known yet: one arm gave no score")
    distance = kolmogorov_smirnov(ours, theirs)
    room = [
        float(distribution_band(ours.size, alpha / 2) + distribution_band(theirs.size, alpha / 2))
        for alpha in (budget.back, budget.on)
    ]
    low, high = max(0.0, distance - room[0]), min(1.0, distance + room[1])
    found = f"{distance:.3f} ({low:.3f} to {high:.3f}) between {ours.size} and {theirs.size} scores"
    return bounded(name, required, (low, high), found, {"distance": distance})


def agreement(name: str, required: Bound | Against, look: Look, budget: Budget) -> GuardFinding:
    """How often both versions decide a row alike, on every row that was answered."""
    if isinstance(required, Against):
        return nothing_yet(name, required, "unknown: it is held against a bound")
    alike = look.asked.champion.decisions == look.asked.challenger.decisions
    return bounded_rate(name, required, int(alike.sum()), alike.size, budget)


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> float:
    """Gives the largest distance between two empirical distribution functions."""
    every = np.concatenate((first, second))
    shares = [np.searchsorted(np.sort(one), every, side="right") / one.size for one in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())
