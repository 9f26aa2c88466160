"""Rollouts by evidence that holds at every look, beside the fixed thresholds of Flagger and Argo Rollouts.

One simulation for all: 2,000 rollouts, requests one after another, a base rate of errors that drifts up and
down for both versions. Ours looks after every request; the peers as often as their documentation's example
says, at 1,000 requests a minute. See `benchmarks.rollout_simulation` for each rule and its source.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import rollout_simulation as simulated
from benchmarks.figures import Figure, Options, Report
from benchmarks.rollout_simulation import Decided

MOST = 20_000
HALF = np.full(4000, 0.5)
RATES = (0.002, 0.01, 0.04)
_PEERS: dict[str, Callable[..., Decided]] = {"Flagger": simulated.flagger, "Argo Rollouts": simulated.argo}


def run(options: Options) -> Report:
    """Simulates rollouts without a difference, and with a challenger that is twice as bad."""
    runs = 200 if options.quick else 2000
    few = min(runs, 250)  # enough for a median and a tail
    figures = [*_no_difference(runs), *_at_the_margin(runs), *_twice_as_bad(few)]
    notes = [line for rate in RATES for line in _canaries(few, rate)]
    return Report(tuple(figures), tuple(notes))


def _no_difference(runs: int) -> list[Figure]:
    figures = []
    for rate in RATES:
        ours = simulated.guard_errors(simulated.errors(1, runs, HALF, rate, 1.0), margin=0.0)
        peer = simulated.flagger(1, runs, rate, 1.0)
        told = f"no difference, {rate:.1%} errors, 50 %"
        figures += [
            _share(f"{told}: sent back", ours.rolled_back, "Flagger", peer.rolled_back),
            _share(f"{told}: promoted as better", ours.promoted),
        ]
    equal = simulated.guard_values(_disagreements(2, runs, 0.5), 10.0, margin=0.0)
    figures += [
        _share("no difference, value on the same rows: sent back", equal.rolled_back),
        _share("no difference, value on the same rows: promoted as better", equal.promoted),
    ]
    return figures


def _at_the_margin(runs: int) -> list[Figure]:
    rates = simulated.guard_errors(simulated.errors(3, runs, HALF, 0.05, 1.2), margin=0.01)
    values = simulated.guard_values(_disagreements(4, runs, 0.75), 10.0, margin=0.4)
    return [
        _share("as much worse as the margin, errors: promoted", rates.promoted),
        _share("as much worse as the margin, value: promoted", values.promoted),
    ]


def _twice_as_bad(runs: int) -> list[Figure]:
    figures = []
    for rate in (0.01, 0.04):
        drawn = simulated.errors(5, runs, np.full(16_000, 0.5), rate, 2.0)
        found = simulated.guard_errors(drawn)
        figures += _requests(f"twice the errors ({rate:.0%} and {2 * rate:.0%}), 50 %", found)
    canary = simulated.errors(6, runs, np.full(24_000, 0.05), 0.04, 2.0)
    figures += _requests("twice the errors (4% and 8%), 5 %", simulated.guard_errors(canary))
    found = simulated.guard_values(_disagreements(7, runs, 2 / 3, 6000), 10.0, margin=0.1)
    figures += _requests("twice the losses, value on the same rows", found)
    return figures


def _canaries(runs: int, rate: float) -> list[str]:
    """Whole canaries by each rule, at their default steps: how they end."""
    shares = simulated.steps((0.05, 0.25, 0.5), 500, MOST)
    lines = []
    for told, ratio in (("no difference", 1.0), ("twice the errors", 2.0)):
        drawn = simulated.errors(8, runs, shares, rate, ratio)
        ends = {"everloop": simulated.guard_errors(drawn, hold=13_000)}
        ends |= {name: peer(8, runs, rate, ratio) for name, peer in _PEERS.items()}
        words = ", ".join(
            f"{name} promotes {end.promoted:.1%} and sends back {end.rolled_back:.1%}"
            for name, end in ends.items()
        )
        lines.append(f"whole canaries at {rate:.1%} errors, {told}: {words}")
    return lines


def _disagreements(seed: int, runs: int, worse: float, rows: int = 1500) -> np.ndarray:
    """Two versions that decide 8 % of rows differently; there one of them loses 10."""
    random = np.random.default_rng(seed)
    lost = random.random((runs, rows)) < worse
    return np.where(random.random((runs, rows)) < 0.08, np.where(lost, -10.0, 10.0), 0.0)


def _share(what: str, value: float, beside: str = "", other: float | None = None) -> Figure:
    return Figure(
        what,
        100 * value,
        unit="%",
        beside=beside,
        other=None if other is None else 100 * other,
        goal="<= 5",
    )


def _requests(what: str, found: Decided) -> list[Figure]:
    return [
        Figure(f"{what}: requests until it went back, median", found.requests(0.5), unit="requests"),
        Figure(f"{what}: the same, 95 % of rollouts", found.requests(0.95), unit="requests"),
        Figure(f"{what}: promoted all the same", 100 * found.promoted, unit="%", goal="<= 5"),
    ]
