"""Evidence that may be looked at after every row: money won by bets that a hypothesis makes unfair.

A gambler starts with 1 and bets against a hypothesis. Where it is true, the money is a martingale, and the
chance that it ever reaches 1 / alpha is at most alpha (Ville's inequality): whoever acts when it does is
wrong in at most a share alpha of all cases, however often they look. Each function gives the logarithm of
the money after each row, along the last axis; leading axes are cases apart, so thousands of simulated
rollouts are one call.

How much to bet is not known beforehand: the money is divided evenly over several bets, each kept for good.

Source:
    Waudby-Smith and Ramdas, arXiv 2010.09686 (bets on bounded means); Lindon and Malek, arXiv 2011.03567
    (counts of arms, valid while the base rate drifts); Ham et al., arXiv 2210.08589 (differences of arms by
    their chances); Howard and Ramdas, Bernoulli 28 (2022), corollary 2 (the band of a distribution).

Example:
    >>> import numpy as np
    >>> worse = np.full(200, -0.2)
    >>> bool(mean_evidence(worse, reach=1.0, above=False)[-1] > np.log(1 / 0.05))
    True
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import UsageFault
from everloop.measure.arrays import Floats

SHARES = 0.9 * 0.5 ** np.arange(0, 10)
"""The bets on a mean: of the money at risk for each row, that is of what the row can lose at most."""
RATIOS = np.exp(np.array([0.1, 0.2, 0.4, 0.7, 1.1, 1.6, 2.3, 3.0]))
"""The bets on a ratio of two rates: so many times the one that the hypothesis allows."""
SPLITS = np.exp(np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6]))
"""The bets on a split that is not the one that was meant: so many times its odds, and so many times less."""

_RICH = 600.0


def mean_evidence(values: ArrayLike, *, reach: ArrayLike, above: bool) -> Floats:
    """Evidence that values are more (or less) than nothing in the mean.

    The hypothesis is that each value, given those before it, is at most 0 in the mean (`above`), or at
    least 0. To test against another number take it away from the values first.

    Args:
        values: In the order they came, shape (..., n).
        reach: How far each can lie on the losing side of 0, above 0 and known before the value; a number
            or shape (..., n).
        above: Whether it is bet that the mean lies above 0.

    Returns:
        The logarithm of the money, shape (..., n).

    Raises:
        UsageFault: When a value lies further on the losing side than its reach.
    """
    x = np.asarray(values, dtype=np.float64)
    x = x if above else -x
    bound = np.broadcast_to(np.asarray(reach, dtype=np.float64), x.shape)
    if x.size and (bound.min() <= 0 or (x < -bound * (1 + 1e-9)).any()):
        raise UsageFault("A value lies further from 0 than its stated reach.")
    of_reach = np.maximum(x / bound, -1.0)
    return _mixed(np.cumsum(np.log1p(share * of_reach), axis=-1) for share in SHARES)


def ratio_evidence(
    is_second: ArrayLike, chance: ArrayLike, *, null: float = 1.0, above: bool = True
) -> Floats:
    """Evidence that the second arm has more (or fewer) events than the first, from the events alone.

    Where the second arm takes a request with a known chance and has `null` times the first one's rate, an
    event is the second one's with a known chance too, however the rates of both change meanwhile.

    Args:
        is_second: For each event in order whether the second arm had it; NaN is no event, shape (..., n).
        chance: The second arm's chance to be asked then; a number or shape (..., n).
        null: The ratio of the second rate to the first that the hypothesis allows.
        above: Whether it is bet that the ratio is larger.

    Returns:
        The logarithm of the money, shape (..., n).
    """
    hit, odds = _odds(is_second, chance)
    allowed = null * odds
    factors = RATIOS if above else 1 / RATIOS
    return _mixed(_likelihood(hit, factor * allowed, allowed) for factor in factors)


def split_evidence(is_second: ArrayLike, chance: ArrayLike) -> Floats:
    """Evidence that requests are not divided as meant: a sample-ratio check for every look.

    Args:
        is_second: For each unit in order whether the second arm got it, shape (..., n).
        chance: The chance that was meant; a number or shape (..., n).

    Returns:
        The logarithm of the money, shape (..., n).
    """
    hit, odds = _odds(is_second, chance)
    factors = np.concatenate((1 / SPLITS, SPLITS))
    return _mixed(_likelihood(hit, factor * odds, odds) for factor in factors)


def rate_evidence(events: ArrayLike, rows: ArrayLike, limit: float) -> Floats:
    """Evidence that a rate is not `limit`, from its counts so far.

    The bets are the mixture of binomial likelihoods over a uniform prior (Robbins, 1970).

    Args:
        events: How many events there were after each row, shape (..., n).
        rows: How many rows, shape (..., n).
        limit: The rate, between 0 and 1.

    Returns:
        The logarithm of the money, of the same shape.
    """
    from scipy.special import betaln, xlog1py, xlogy

    k, n = np.asarray(events, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    found: Floats = betaln(k + 1, n - k + 1) - xlogy(k, limit) - xlog1py(n - k, -limit)
    return found


def contrast(values: ArrayLike, is_second: ArrayLike, chance: ArrayLike) -> Floats:
    """What each request says of the difference of two arms, when one of them drew it by chance.

    In the mean over the draw, each is the second arm's value less the first one's. The running mean of the
    values before is taken away first: that changes no mean and makes the spread far smaller.

    Args:
        values: Of the arm that answered, shape (..., n).
        is_second: Whether that was the second, shape (..., n).
        chance: The second arm's chance to be drawn; a number or shape (..., n).

    Returns:
        Shape (..., n); each lies within the value's distance from the mean, over the rarer arm's chance.
    """
    x = np.asarray(values, dtype=np.float64)
    hit = np.asarray(is_second, dtype=np.float64)
    share = np.broadcast_to(np.asarray(chance, dtype=np.float64), x.shape)
    weight = hit / share - (1 - hit) / (1 - share)
    found: Floats = weight * (x - mean_before(x))
    return found


def mean_before(values: ArrayLike) -> Floats:
    """The mean of the values before each, the first one's being 0, along the last axis."""
    x = np.asarray(values, dtype=np.float64)
    total = np.cumsum(x, axis=-1) - x
    found: Floats = total / np.maximum(1, np.arange(x.shape[-1]))
    return found


def distribution_band(rows: ArrayLike, alpha: float) -> Floats:
    """How far a distribution function can lie from its empirical one, anywhere and at any look.

    Args:
        rows: How many values there are.
        alpha: The chance of ever being further.
    """
    n = np.maximum(1, np.asarray(rows, dtype=np.float64))
    found: Floats = np.minimum(1.0, 0.85 * np.sqrt((np.log1p(np.log(n)) + 0.8 * np.log(1612 / alpha)) / n))
    return found


def _odds(is_second: ArrayLike, chance: ArrayLike) -> tuple[Floats, Floats]:
    hit, share = np.asarray(is_second, dtype=np.float64), np.asarray(chance, dtype=np.float64)
    if share.size and (share.min() <= 0 or share.max() >= 1):
        raise UsageFault("A chance of 0 or 1 divides nothing; a number between them was expected.")
    return hit, share / (1 - share)


def _likelihood(hit: Floats, odds: Floats, null: Floats) -> Floats:
    """The logarithm of how much likelier the events are with these odds than with those of the hypothesis."""
    second = np.log(odds / (1 + odds)) - np.log(null / (1 + null))
    first = np.log1p(null) - np.log1p(odds)
    gain = np.where(hit == 1.0, second, np.where(hit == 0.0, first, 0.0))
    found: Floats = np.cumsum(gain, axis=-1)
    return found


def _mixed(capitals: Iterable[Floats]) -> Floats:
    """The logarithm of the mean of several gamblers' money."""
    total, count = np.zeros(()), 0
    for capital in capitals:
        total, count = total + np.exp(np.minimum(capital, _RICH)), count + 1
    with np.errstate(divide="ignore"):  # all that was bet may be lost
        found: Floats = np.log(total / count)
    return found
