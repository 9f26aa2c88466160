"""Confidence sequences for bounded means and for rates, exact at every number of rows.

A gambler bets against a candidate mean with money that cannot grow by chance; once the money has grown
by 1 / alpha, the candidate is refuted (Ville's inequality). What is not refuted is the interval.

Source:
    Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
    arXiv 2010.09686: the hedged capital process (theorem 3) with predictable plug-in bets (equation 26).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.arrays import Floats, numbers
from everloop.measure.evidence import rate_evidence
from everloop.measure.intervals import Interval

GRID = 1001
_LARGEST_BET = 0.5
_CHUNK = 2000


def mean_sequence(values: ArrayLike, alpha: float = 0.05) -> Interval:
    """The mean of values between 0 and 1, with an interval that is valid at every look.

    Args:
        values: In the order they came, shape (n,).
        alpha: The chance of ever missing the mean.

    Returns:
        The interval, widened to the grid of 1,001 candidates; (0, NaN, 1) with no rows.

    Raises:
        DataFault: When a value is missing or not between 0 and 1.
    """
    x = numbers(values, "values")
    if not x.size:
        return Interval(0.0, float("nan"), 1.0)
    if x.min() < 0 or x.max() > 1:
        raise DataFault("A value lies outside 0 to 1; scale the values by their bound first.")
    candidates = np.linspace(0, 1, GRID)
    log_up, log_down = np.zeros(GRID), np.zeros(GRID)
    bets = predictable_bets(x, alpha)
    for start in range(0, x.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        up, down = log_growth(x[part, None], bets[part, None], candidates)
        log_up += up.sum(axis=0)
        log_down += down.sum(axis=0)
    kept = np.flatnonzero(log_capital(log_up, log_down) < np.log(1 / alpha))
    mean = float(x.mean())
    if not kept.size:  # no candidate of the grid survives: the interval lies between two of them
        kept = np.array([round(mean * (GRID - 1))])
    low, high = candidates[max(0, kept[0] - 1)], candidates[min(GRID - 1, kept[-1] + 1)]
    return Interval(float(min(low, mean)), mean, float(max(high, mean)))


def predictable_bets(values: Floats, alpha: float) -> Floats:
    """How much is bet on each value, from the values before it alone; along the last axis."""
    n = np.arange(1, values.shape[-1] + 1)
    mean = (0.5 + np.cumsum(values, axis=-1)) / (n + 1)
    variance = (0.25 + np.cumsum((values - mean) ** 2, axis=-1)) / (n + 1)
    before = np.concatenate((np.full((*values.shape[:-1], 1), 0.25), variance[..., :-1]), axis=-1)
    bets: Floats = np.sqrt(2 * np.log(2 / alpha) / (before * n * np.log(n + 1)))
    return bets


def log_growth(values: Floats, bets: Floats, candidate: ArrayLike) -> tuple[Floats, Floats]:
    """How the logarithm of the money grows that is bet on a higher and on a lower mean."""
    m = np.asarray(candidate, dtype=np.float64)
    with np.errstate(divide="ignore"):
        up = np.minimum(bets, _LARGEST_BET / m)
        down = np.minimum(bets, _LARGEST_BET / (1 - m))
    return np.log1p(up * (values - m)), np.log1p(-down * (values - m))


def log_capital(log_up: Floats, log_down: Floats) -> Floats:
    """The logarithm of the hedged money: half on each side, the richer side counting."""
    capital: Floats = np.log(0.5) + np.maximum(log_up, log_down)
    return capital


def rate_sequence(events: int, rows: int, alpha: float = 0.05) -> Interval:
    """A rate from its counts, with an interval that is valid at every look.

    The interval holds every rate p for which the mixture of binomial likelihoods over a uniform prior is
    less than 1 / alpha times the likelihood of p.

    Args:
        events: How many, between 0 and ``rows``.
        rows: Of how many.
        alpha: The chance of ever missing the rate.

    Returns:
        The interval; (0, NaN, 1) with no rows.

    Raises:
        UsageFault: When the counts make no sense.

    Source:
        Robbins (1970); the beta-binomial mixture in Howard et al., arXiv 1810.08240, section 4.
    """
    if not 0 <= events <= rows:
        raise UsageFault(f"{events} events of {rows} rows make no rate.")
    if rows == 0:
        return Interval(0.0, float("nan"), 1.0)
    rate = events / rows

    def refuted(p: float) -> bool:
        return bool(rate_evidence(events, rows, p) >= np.log(1 / alpha))

    low = 0.0 if not refuted(0.0) else _border(refuted, 0.0, rate)
    high = 1.0 if not refuted(1.0) else _border(refuted, 1.0, rate)
    return Interval(low, rate, high)


def _border(refuted: Callable[[float], bool], outside: float, inside: float) -> float:
    """The refuted number next to the interval, by bisection."""
    for _ in range(60):
        middle = (outside + inside) / 2
        if refuted(middle):
            outside = middle
        else:
            inside = middle
    return outside
