"""Guards on lists: how often the item that was taken stood in the list that was shown, and how early.

What is taken depends on what was shown, so a list is judged by what came of it, never another version's list
by it: each arm by its own answers, drawn by chance, an entity's first one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from everloop.core.units import Bound
from everloop.deploy.guards.answers import compared, nothing_yet, words
from everloop.deploy.guards.look import Budget, Floats, Look, first_of_each
from everloop.deploy.guards.rates import bounded_rate, difference_evidence
from everloop.deploy.rollout import GuardFinding
from everloop.measure.recommendation import LIST_METRICS, list_metrics_among
from everloop.spec.fields import Against

TOLERANCE = 0.01
"""`not worse` without a margin is shown where a list has less than so much below the champion's."""


def listed_values(
    lists: Collection[Collection[str]], taken: Collection[str], named: Iterable[str] = ()
) -> dict[str, Floats]:
    """Gives what each list has by the item that was taken, by the metric's name, each (n,) within 0 and 1.

    Args:
        lists: The items that were shown, the best first.
        taken: The item that was taken; any other word for none.
        named: Metrics that are asked for beside the usual ones; other names are passed over.
    """
    names = list_metrics_among(named)
    if not lists:
        return dict.fromkeys(names, np.zeros(0))
    hits = np.zeros((len(lists), max(1, *map(len, lists))))
    for place, (shown, item) in enumerate(zip(lists, taken, strict=True)):
        at = next((k for k, one in enumerate(shown) if one == item), None)
        if at is not None:
            hits[place, at] = 1.0
    return {name: LIST_METRICS[name](hits, np.ones(len(hits))) for name in names}


def listed_metric(name: str, required: Bound | Against, look: Look, budget: Budget) -> GuardFinding:
    """A metric of lists, against a bound or against the champion's own lists."""
    known = look.known
    values = known.own.get(name)
    if values is None:
        return nothing_yet(name, required, f"unknown: it does not judge a {known.champion.frame.task} task")
    first = first_of_each(known.unit)
    if isinstance(required, Bound):
        ours = values[first][known.second[first]]
        return bounded_rate(name, required, int(ours.sum()), ours.size, budget)
    rows = np.flatnonzero((known.chance > 0) & (known.chance < 1))
    rows = rows[first_of_each(known.unit[rows])]
    second, chance, lost = known.second[rows], known.chance[rows], 1.0 - values[rows]
    if not rows.size:
        return nothing_yet(name, required, "not known yet: 0 lists with an item taken, drawn by chance")
    allowed = required.allowed(TOLERANCE)
    money = (
        difference_evidence(second, chance, lost, required.margin or 0.0, above=True),
        difference_evidence(second, chance, lost, allowed, above=False),
    )
    means = [float(1 - lost[arm].mean()) if arm.any() else float("nan") for arm in (second, ~second)]
    found = f"{means[0]:.4f} on {int(second.sum())} lists (champion {means[1]:.4f})"
    return compared(
        name, words(required, f"{allowed:g}"), found, money, budget,
        difference=means[0] - means[1], rows=int(rows.size),
    )  # fmt: skip
