"""The sample-ratio check: whether requests reach the arms as they were meant to.

Where they do not (a cache in front, a client that asks again when it dislikes an answer, a routing that is
broken) the arms are no fair comparison, and no number of theirs may be believed. Each entity counts once.
"""

from __future__ import annotations

import numpy as np

from everloop.deploy.guards.look import FALSE_STOPS, Look, first_of_each
from everloop.deploy.rollout import GuardFinding
from everloop.measure.evidence import split_evidence

NAME = "split"


def split_finding(look: Look) -> GuardFinding | None:
    """Says whether the arms' parts are not the ones that were drawn.

    None where nothing was drawn, and where the log does not show which requests are of one entity: they
    keep one arm together, and each would count as a draw.
    """
    requests = look.requests.only(look.requests.drawn)
    if not (requests.second.size and look.has_entities):
        return None
    first = first_of_each(requests.unit)
    second, chance = requests.second[first], requests.chance[first]
    money = float(split_evidence(second, chance).max())
    meant = float(chance.mean())
    answer = "harm" if money >= -np.log(FALSE_STOPS) else "fine"
    return GuardFinding(
        NAME,
        answer,
        f"about {meant:.1%} of entities with the challenger",
        f"{int(second.sum())} of {second.size} ({second.mean():.1%})",
        {"odds": float(np.exp(min(money, 25.0))), "needed": 1 / FALSE_STOPS, "units": int(second.size)},
    )
