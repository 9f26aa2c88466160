"""Guards on money: from actuals as they arrive, and estimated until they do.

Both versions are priced on the same rows and the differences tested, so every request with an actual
counts, whichever arm answered it. That supposes that an actual does not depend on the decision; where
decisions change outcomes, the strategy `ab` compares what the arms themselves brought, as is always done of
lists and of clusters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.core.units import Bound
from everloop.deploy.guards.answers import compared, nothing_yet, words
from everloop.deploy.guards.differences import Bets, paired_bets, unbounded_bets
from everloop.deploy.guards.look import Budget, Floats, Known, Look, first_of_each
from everloop.deploy.rollout import GuardFinding
from everloop.measure.evidence import contrast
from everloop.measure.isotonic import fit_isotonic
from everloop.measure.sequential import FEWEST
from everloop.spec.fields import Against

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.measure.worth import Worth

TOLERANCE = 0.05
"""`not worse` without a margin is shown within this share of what a decision was worth before."""
FROM_ACTUALS = "value_per_decision"


def value_per_decision(name: str, required: Bound | Against, look: Look, budget: Budget) -> GuardFinding:
    """What a decision is worth, from actuals."""
    if isinstance(required, Bound):
        return nothing_yet(name, required, "unknown: it is held against the champion")
    known = look.known
    if FROM_ACTUALS in known.own:
        return _of_own_answers(name, required, look, budget)
    champion, challenger = known.champion.values, known.challenger.values
    worth = known.champion.worth
    if champion is None or challenger is None or worth is None:
        return nothing_yet(name, required, "unknown: decisions have no price")
    harm, fine = margins(required, look.usual_value)
    if look.strategy == "ab":
        rows, differences, reach = of_arms(known, champion, challenger, worth)
    else:
        rows, differences, reach = champion.size, challenger - champion, worth.spread
    bets = Bets(harm, fine, budget)
    money = unbounded_bets(differences, bets) if reach is None else paired_bets(differences, reach, bets)
    return _told(name, required, differences, rows, money, bets, "rows with actuals")


def _of_own_answers(name: str, required: Against, look: Look, budget: Budget) -> GuardFinding:
    """Of lists and clusters each arm is priced by what came of its own answers, whatever the strategy."""
    known = look.known
    harm, fine = margins(required, look.usual_value)
    own = known.own[FROM_ACTUALS]
    rows, differences = _drawn(known, own, own)
    bets = Bets(harm, fine, budget)
    return _told(
        name,
        required,
        differences,
        rows.size,
        unbounded_bets(differences, bets),
        bets,
        "answers with actuals",
    )


def estimated_performance(name: str, required: Bound | Against, look: Look, budget: Budget) -> GuardFinding:
    """What a decision is worth by the chances that both versions' scores stand for, before actuals.

    A disagreement is priced by the mean of both versions' calibrated chances. That supposes that scores
    still mean what they meant. Where the file names `value_per_decision`, it decides alone once there
    are actuals.
    """
    if isinstance(required, Bound):
        return nothing_yet(name, required, "unknown: it is held against the champion")
    known = look.known.champion.rows.height
    if FROM_ACTUALS in look.named and known >= FEWEST:
        return GuardFinding(name, "fine", str(required), f"{known} actuals have come: they decide")
    asked, worth = look.asked, look.asked.champion.worth
    if worth is None or worth.four is None or not asked.champion.rows.height:
        return nothing_yet(name, required, "not known yet")
    if min(scores.size for scores, _ in asked.reference) < FEWEST:
        return nothing_yet(name, required, "unknown: a package keeps no reference for its scores")
    pairs = zip((asked.champion, asked.challenger), asked.reference, strict=True)
    chances = [fit_isotonic(*reference).apply(version.scores) for version, reference in pairs]
    chance = np.mean(chances, axis=0)
    ones = np.ones(chance.size)
    priced = [
        chance * worth.values(ones, version.decisions)
        + (1 - chance) * worth.values(0 * ones, version.decisions)
        for version in (asked.champion, asked.challenger)
    ]
    harm, fine = margins(required, look.usual_value)
    bets = Bets(harm, fine, budget)
    differences = priced[1] - priced[0]
    money = paired_bets(differences, np.asarray(worth.spread), bets)
    return _told(name, required, differences, differences.size, money, bets, "rows, estimated")


def margins(required: Against, usual: float | None) -> tuple[float, float]:
    """Gives how much worse is harm, and how much worse is still fine, in money.

    Both were fixed before the rollout began: by the file, or by what a decision was worth before.
    """
    base = abs(usual) if usual is not None else 0.0
    if required.margin is None:
        return 0.0, 0.0 if required.better else TOLERANCE * base
    margin = required.margin * base if required.percent else required.margin
    return margin, margin


def of_arms(
    known: Known, champion: Floats, challenger: Floats, worth: Worth
) -> tuple[int, Floats, Floats | None]:
    """What each arm's own decisions brought, an entity's first one: rows, differences and their reach."""
    rows, differences = _drawn(known, champion, challenger)
    if worth.extent is None:
        return rows.size, differences, None
    chance = known.chance[rows]
    return rows.size, differences, 2 * worth.extent[rows] / np.minimum(chance, 1 - chance)


def _drawn(known: Known, champion: Floats, challenger: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Gives the rows that either arm could have got, an entity's first, and what each says of both."""
    drawn = np.flatnonzero((known.chance > 0) & (known.chance < 1))
    rows = drawn[first_of_each(known.unit[drawn])]
    second = known.second[rows]
    values = np.where(second, challenger[rows], champion[rows])
    return rows, contrast(values, second, known.chance[rows])


def _told(
    name: str,
    required: Against,
    differences: Floats,
    rows: int,
    money: tuple[Floats, Floats],
    bets: Bets,
    what: str,
) -> GuardFinding:
    mean = float(differences.mean()) if rows else float("nan")
    found = f"{mean:+.2f} a decision on {rows} {what}" if rows else f"not known yet: 0 {what}"
    said = words(required, f"{bets.fine:.2f} a decision")
    return compared(name, said, found, money, bets.budget, difference=mean, rows=rows)
