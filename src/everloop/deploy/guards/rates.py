"""Guards on how often something happens to a request: errors, contract violations, slow answers.

Against a bound every request of the challenger counts. Against the champion those count that either arm
could have got, each by its chance: so both see the same times, and a rate that drifts for both is no harm.
Harm is looked for among the events alone (Lindon and Malek), an entity's first one, since what happens to
one entity again says little of the versions.
"""

from __future__ import annotations

import numpy as np

from everloop.core.units import Bound
from everloop.deploy.guards.answers import bounded, compared, nothing_yet, words
from everloop.deploy.guards.look import Booleans, Budget, Floats, Look, Requests, first_of_each
from everloop.deploy.rollout import GuardFinding
from everloop.measure.betting import rate_sequence
from everloop.measure.evidence import contrast, mean_before, mean_evidence, ratio_evidence
from everloop.spec.fields import Against

TOLERANCE = 0.01
"""`not worse` without a margin is shown where the rate is less than a point above the champion's."""


def error_rate(name: str, required: Bound | Against, look: Look, budget: Budget) -> GuardFinding:
    """How often a version fails, or gives no number, on a row that keeps its contract."""
    requests = look.requests.only(~look.requests.refused)
    return rate(name, required, requests, requests.failed, budget)


def contract_violations(name: str, required: Bound | Against, look: Look, budget: Budget) -> GuardFinding:
    """How often a row violates the contract of the version that is to answer."""
    return rate(name, required, look.requests, look.requests.refused, budget)


def rate(
    name: str,
    required: Bound | Against,
    requests: Requests,
    event: Booleans,
    budget: Budget,
    *,
    by_unit: bool = True,
) -> GuardFinding:
    """Answers whether an event is as rare as required.

    Args:
        name: The guard.
        required: A bound on the challenger's rate, or how it is to compare with the champion's.
        requests: The requests.
        event: To which of them it happened, (n,).
        budget: How often the guard may err.
        by_unit: Whether harm is counted once for each unit.
    """
    count, rows = int(event[requests.second].sum()), int(requests.second.sum())
    if isinstance(required, Bound):
        return bounded_rate(name, required, count, rows, budget)
    drawn = requests.drawn
    if not drawn.any():
        return nothing_yet(name, required, f"{count} of {rows}, none drawn beside the champion")
    second, chance, happened = requests.second[drawn], requests.chance[drawn], event[drawn]
    margin = required.margin
    money = (
        _harm(second, chance, happened, requests.unit[drawn] if by_unit else None, margin),
        difference_evidence(
            second, chance, happened.astype(np.float64), required.allowed(TOLERANCE), above=False
        ),
    )
    told = [f"{int(happened[arm].sum())} of {int(arm.sum())}" for arm in (second, ~second)]
    found = f"{told[0]} (champion {told[1]})"
    said = words(required, f"{100 * (TOLERANCE if margin is None else margin):g} points")
    return compared(name, said, found, money, budget, events=count, rows=rows)


def bounded_rate(name: str, required: Bound, count: int, rows: int, budget: Budget) -> GuardFinding:
    """Answers whether a rate keeps a bound, from its counts."""
    if not rows:
        return nothing_yet(name, required, "not known yet: no rows")
    upper = required.comparison in ("<=", "<")
    harm, fine = rate_sequence(count, rows, budget.back), rate_sequence(count, rows, budget.on)
    low, high = (harm.low, fine.high) if upper else (fine.low, harm.high)
    found = f"{count} of {rows} ({low:.2%} to {high:.2%})"
    return bounded(name, required, (low, high), found, {"events": count, "rows": rows})


def _harm(
    second: Booleans, chance: Floats, happened: Booleans, unit: np.ndarray | None, margin: float | None
) -> Floats:
    if margin:
        return difference_evidence(second, chance, happened.astype(np.float64), margin, above=True)
    events = np.flatnonzero(happened)
    if unit is not None:
        events = events[first_of_each(unit[events])]
    return ratio_evidence(second[events], chance[events])


def difference_evidence(
    second: Booleans, chance: Floats, values: Floats, margin: float, *, above: bool
) -> Floats:
    """Evidence that the challenger's mean is more (or less) than the margin above the champion's.

    Args:
        second: Whether the challenger answered, (n,).
        chance: The challenger's chance to, (n,).
        values: Of the arm that answered, within 0 and 1, (n,).
        margin: What is bet on.
        above: Whether the bet is that it is more.
    """
    mean = mean_before(values)
    of_second, of_first = (1 - mean, mean) if not above else (mean, 1 - mean)
    reach = np.maximum(of_second / chance, of_first / (1 - chance)) + margin
    return mean_evidence(
        contrast(values, second, chance) - margin, reach=np.maximum(reach, 1e-9), above=above
    )
