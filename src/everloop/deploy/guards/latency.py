"""Guards on how long answers take: a quantile keeps a limit where few enough answers go beyond it."""

from __future__ import annotations

import numpy as np

from everloop.core.units import Bound
from everloop.deploy.guards.answers import nothing_yet
from everloop.deploy.guards.look import Budget, Floats, Look
from everloop.deploy.guards.rates import bounded_rate, rate
from everloop.deploy.rollout import GuardFinding
from everloop.spec.fields import Against

QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
_FEWEST = 50


def latency(name: str, required: Bound | Against, look: Look, budget: Budget) -> GuardFinding:
    """Against a bound: no more than the quantile's rest of the challenger's answers takes longer.

    Against the champion: how often an answer takes longer than the champion's quantile was until then is
    compared between the arms.
    """
    quantile = QUANTILES[name]
    requests = look.requests.only(~np.isnan(look.requests.seconds))
    if isinstance(required, Bound):
        late = requests.seconds[requests.second] > required.limit
        allowed = Bound("<=", 1 - quantile, "")
        found = bounded_rate(name, allowed, int(late.sum()), late.size, budget)
        if not late.size:
            return GuardFinding(name, found.answer, str(required), found.found)
        words = f"{found.evidence['events']} of {late.size} above {required.limit * 1000:g} ms"
        return GuardFinding(name, found.answer, str(required), words, found.evidence)
    limits = running_quantile(requests.seconds, ~requests.second, quantile)
    begun = ~np.isnan(limits)
    if not begun.any():
        return nothing_yet(name, required, f"fewer than {_FEWEST} answers of the champion")
    requests = requests.only(begun)
    return rate(name, required, requests, requests.seconds > limits[begun], budget, by_unit=False)


def running_quantile(seconds: Floats, counted: np.ndarray, quantile: float) -> Floats:
    """Gives for each row the quantile of the counted rows before it, renewed as they grow by a tenth; (n,).

    NaN before there are 50 of them.
    """
    places = np.flatnonzero(counted)
    limits = np.full(seconds.size, np.nan)
    size = _FEWEST
    while size <= places.size:
        following = max(size + 1, int(size * 1.1))
        until = places[following - 1] + 1 if following <= places.size else seconds.size
        limits[places[size - 1] + 1 : until] = np.quantile(seconds[places[:size]], quantile)
        size = following
    return limits
