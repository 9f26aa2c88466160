"""Simulated rollouts, thousands at a time, each looked at after every request.

What decides are the product's own functions of `everloop.measure.evidence` with its own budgets; beside them
the rules of Flagger and of Argo Rollouts, as their documentation's examples configure them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from everloop.deploy.guards.look import FALSE_PROMOTIONS, FALSE_ROLLBACKS
from everloop.measure.evidence import contrast, mean_before, mean_evidence, ratio_evidence

Floats = NDArray[np.float64]
NEVER = np.inf
CHUNK = 100
"""So many rollouts at a time stay in the processor's cache."""


@dataclass(frozen=True)
class Decided:
    """When each rollout was promoted or went back, in requests; `NEVER` where it did not, (runs,)."""

    back: Floats
    on: Floats

    @property
    def rolled_back(self) -> float:
        """The share that went back before it was promoted."""
        return float((self.back < self.on).mean())

    @property
    def promoted(self) -> float:
        """The share that was promoted before it went back."""
        return float((self.on < self.back).mean())

    def requests(self, quantile: float) -> float:
        """After how many requests this share of all rollouts had gone back; infinite where fewer did."""
        gone = np.where(self.back < self.on, self.back, NEVER)
        return float(np.quantile(gone, quantile, method="inverted_cdf"))


@dataclass(frozen=True)
class Errors:
    """Rollouts in which requests fail: which arm had each, and whether it failed, (runs, requests).

    The challenger's share at each is (requests,), or (runs, requests) where it follows what was seen.
    """

    second: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    share: Floats


def errors(seed: int, runs: int, share: Floats, rate: float, ratio: float) -> Errors:
    """Draws requests whose base rate of failures drifts by half, up and down, for both arms.

    Args:
        seed: Of the draws.
        runs: How many rollouts.
        share: The challenger's share at each request, (requests,).
        rate: How often the champion fails, in the mean.
        ratio: How many times as often the challenger does.
    """
    random = np.random.default_rng(seed)
    size = (runs, share.size)
    second = random.random(size) < share
    drift = rate * (1 + 0.5 * np.sin(np.linspace(0, 6 * np.pi, share.size)))
    return Errors(second, random.random(size) < drift * np.where(second, ratio, 1.0), share)


def bandit_errors(seed: int, runs: int, requests: int, rate: float, ratio: float, hold: int = 50) -> Errors:
    """Draws requests as `errors` does, of a bandit: the share follows how likely the challenger fails less.

    Args:
        seed: Of the draws.
        runs: How many rollouts.
        requests: How many requests each has.
        rate: How often the champion fails, in the mean.
        ratio: How many times as often the challenger does.
        hold: After so many requests the share is set anew, between 5 % and 95 %.
    """
    random = np.random.default_rng(seed)
    size = (runs, requests)
    chances = rate * (1 + 0.5 * np.sin(np.linspace(0, 6 * np.pi, requests)))
    share, second, failed = np.full(size, 0.5), np.zeros(size, bool), np.zeros(size, bool)
    for start in range(0, requests, hold):
        part, before = slice(start, start + hold), slice(0, start)
        if start:
            share[:, part] = _preferred(second[:, before], failed[:, before])[:, np.newaxis]
        second[:, part] = random.random(second[:, part].shape) < share[:, part]
        failed[:, part] = random.random(second[:, part].shape) < chances[part] * np.where(
            second[:, part], ratio, 1.0
        )
    return Errors(second, failed, share)


def _preferred(second: NDArray[np.bool_], failed: NDArray[np.bool_]) -> Floats:
    """How likely it is, after what was seen, that the challenger fails less; both are tried on."""
    from scipy.stats import norm

    rates, errors_of_rates = [], []
    for arm in (~second, second):
        asked, bad = arm.sum(axis=1) + 2, (failed & arm).sum(axis=1) + 1
        rates.append(bad / asked)
        errors_of_rates.append(rates[-1] * (1 - rates[-1]) / asked)
    better = norm.cdf((rates[0] - rates[1]) / np.sqrt(sum(errors_of_rates)))
    found: Floats = np.clip(better, 0.05, 0.95)
    return found


def guard_errors(drawn: Errors, *, margin: float = 0.01, hold: int = 0, guards: int = 1) -> Decided:
    """Decides by the guard `error_rate: not worse`.

    Args:
        drawn: The rollouts.
        margin: How much worse is still fine, as a share; 0 asks for better.
        hold: Nothing is promoted before so many requests.
        guards: How many guards share the error.
    """
    back = [_first(_harm(part), FALSE_ROLLBACKS / guards, at) for part, at in _events(drawn)]
    on = [_first(_fine(part, margin), FALSE_PROMOTIONS) for part in _parts(drawn)]
    return Decided(np.concatenate(back), np.maximum(np.concatenate(on), hold))


def guard_values(differences: Floats, reach: float, *, margin: float, hold: int = 0) -> Decided:
    """Decides by the guard `value_per_decision: not worse`, from paired differences, (runs, requests)."""
    parts = [differences[start : start + CHUNK] for start in range(0, len(differences), CHUNK)]
    back = [_first(mean_evidence(part, reach=reach, above=False), FALSE_ROLLBACKS) for part in parts]
    on = [_first(mean_evidence(part + margin, reach=reach, above=True), FALSE_PROMOTIONS) for part in parts]
    return Decided(np.concatenate(back), np.maximum(np.concatenate(on), hold))


def flagger(seed: int, runs: int, rate: float, ratio: float, *, a_minute: int = 1000) -> Decided:
    """Decides as Flagger does: each minute the challenger's success rate of that minute is to be 99 %.

    A check that passes adds 5 % of the requests, to 50 %, then it promotes; ten failed checks go back.
    Source: the example of Flagger's documentation, "How it works": interval 1m, threshold 10,
    maxWeight 50, stepWeight 5, request-success-rate min 99.
    """
    random = np.random.default_rng(seed)
    back, on = np.full(runs, NEVER), np.full(runs, NEVER)
    for run in range(runs):
        weight, failed, minute = 5, 0, 0
        while weight <= 50 and failed < 10:
            minute += 1
            asked = random.binomial(a_minute, weight / 100)
            errors_then = random.binomial(asked, min(1.0, rate * ratio))
            passed = asked > 0 and 1 - errors_then / asked >= 0.99
            weight, failed = (weight + 5, failed) if passed else (weight, failed + 1)
        (back if failed >= 10 else on)[run] = minute * a_minute
    return Decided(back, on)


def argo(seed: int, runs: int, rate: float, ratio: float, *, a_minute: int = 1000) -> Decided:
    """Decides as Argo Rollouts' example does: every 5 minutes the success rate is to be 95 %.

    More than three failed measurements go back; 20, 40, 60 and 80 % last ten minutes each.
    Source: the example of its documentation, "Analysis & Progressive Delivery": interval 5m,
    successCondition result[0] >= 0.95, failureLimit 3, background analysis.
    """
    random = np.random.default_rng(seed)
    back, on = np.full(runs, NEVER), np.full(runs, NEVER)
    for run in range(runs):
        failed = 0
        for turn in range(8):
            asked = random.binomial(5 * a_minute, 0.2 * (1 + turn // 2))
            failed += random.binomial(asked, min(1.0, rate * ratio)) > 0.05 * asked
            if failed > 3:
                back[run] = 5 * a_minute * (turn + 1)
                break
        else:
            on[run] = 40 * a_minute
    return Decided(back, on)


def steps(shares: tuple[float, ...], hold: int, most: int) -> Floats:
    """The challenger's share at each request, when each step lasts until it has answered `hold` of them."""
    parts = [np.full(round(hold / share), share) for share in shares]
    plan = np.concatenate(parts)[:most]
    return np.concatenate((plan, np.full(most - plan.size, shares[-1])))


def _parts(drawn: Errors) -> list[Errors]:
    share = np.broadcast_to(drawn.share, drawn.failed.shape)
    return [
        Errors(*(each[start : start + CHUNK] for each in (drawn.second, drawn.failed, share)))
        for start in range(0, len(drawn.second), CHUNK)
    ]


def _events(drawn: Errors) -> list[tuple[tuple[Floats, Floats], Floats]]:
    """The failures alone: who had each and the challenger's chance then, and after how many requests."""
    found = []
    for part in _parts(drawn):
        rows, columns = np.nonzero(part.failed)
        places = (np.cumsum(part.failed, axis=1) - 1)[rows, columns]
        size = (len(part.failed), int(part.failed.sum(axis=1).max()))
        second, chance, at = np.full(size, np.nan), np.full(size, 0.5), np.full(size, NEVER)
        second[rows, places] = part.second[rows, columns]
        chance[rows, places] = part.share[rows, columns]
        at[rows, places] = columns + 1
        found.append(((second, chance), at))
    return found


def _harm(events: tuple[Floats, Floats]) -> Floats:
    return ratio_evidence(*events)


def _fine(part: Errors, margin: float) -> Floats:
    values = part.failed.astype(np.float64)
    mean = mean_before(values)
    reach = np.maximum((1 - mean) / part.share, mean / (1 - part.share)) + margin
    return mean_evidence(contrast(values, part.second, part.share) - margin, reach=reach, above=False)


def _first(money: Floats, alpha: float, at: Floats | None = None) -> Floats:
    """After how many requests the money first suffices."""
    enough = money >= -np.log(alpha)
    place = enough.argmax(axis=1)
    when = place + 1.0 if at is None else at[np.arange(len(at)), place]
    return np.where(enough.any(axis=1), when, NEVER)
