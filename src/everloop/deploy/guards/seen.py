"""What both versions did so far, in numbers that people read; nothing is decided by it."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.deploy.guards.look import Booleans, Look, Requests


def seen(look: Look) -> dict[str, Any]:
    """Sums a rollout up: each arm's requests, failures and delays, and how the versions differ.

    Where the challenger answers nobody, that is what a shadow is for: how often both decide alike, how far
    scores moved, and what the decisions were worth once actuals were there.
    """
    arms = {"challenger": look.requests.second, "champion": ~look.requests.second}
    facts: dict[str, Any] = {name: _of_arm(look.requests, arm) for name, arm in arms.items()}
    if look.strategy == "shadow" and not look.hidden:
        facts |= _difference(look)
    return facts


def _of_arm(requests: Requests, arm: Booleans) -> dict[str, Any]:
    seconds = requests.seconds[arm]
    seconds = seconds[~np.isnan(seconds)]
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) if seconds.size else (None, None)
    return {
        "requests": int(arm.sum()),
        "failed": int(requests.failed[arm].sum()),
        "refused": int(requests.refused[arm].sum()),
        "latency_p50": p50,
        "latency_p99": p99,
    }


def _difference(look: Look) -> dict[str, Any]:
    champion, challenger = look.asked.champion, look.asked.challenger
    if not champion.rows.height:
        return {}
    moved = challenger.scores - champion.scores
    facts: dict[str, Any] = {
        "agreement": float((champion.decisions == challenger.decisions).mean()),
        "score_shift": float(moved.mean()),
        "score_moved_by": float(np.abs(moved).mean()),
    }
    values = look.known.champion.values, look.known.challenger.values
    if values[0] is not None and values[1] is not None and values[0].size:
        facts |= {"value_difference": float((values[1] - values[0]).mean()), "actuals": int(values[0].size)}
    return facts
