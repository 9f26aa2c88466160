"""Estimates held against the truth, once the actuals are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from everloop.measure.promises import broken_promise
from everloop.monitor.estimating import VALUE
from everloop.record.rows import WindowRow

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace

_LOOKS = 20
_CONFIDENCE = 0.95
_MATURE = 0.9


def silenced(workspace: Workspace, version: str) -> dict[str, str]:
    """Names the metrics whose estimates have been wrong too often for a version, and why.

    The last 20 windows whose actuals are in are looked at. Estimates go on being made and scored while
    nobody is told them, so that they come back when they are right again.
    """
    rows = workspace.record.find(
        WindowRow,
        lifecycle=workspace.name,
        version=version,
        status="settled",
        order="-at",
        limit=_LOOKS,
    )
    return failed_estimates(row.facts for row in rows)


def failed_estimates(windows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Says which estimates failed in windows, from the facts that are kept of them."""
    held: dict[str, list[bool]] = {}
    for facts in windows:
        if (facts.get("maturity") or 0) < _MATURE:
            continue
        told = dict(facts.get("estimated") or {}) | {VALUE: facts.get("estimated_value")}
        truth = dict(facts.get("performance") or {}) | {VALUE: facts.get("value")}
        for name, estimate in told.items():
            found = _held(estimate, truth.get(name))
            if found is not None:
                held.setdefault(name, []).append(found)
    reasons = {
        name: broken_promise(hits=sum(each), looks=len(each), confidence=_CONFIDENCE)
        for name, each in held.items()
    }
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _held(estimate: Mapping[str, Any] | None, truth: Mapping[str, Any] | None) -> bool | None:
    """Whether the interval held what was measured; None where either is not known."""
    if not estimate or not truth or truth.get("status") != "known":
        return None
    ends = estimate.get("interval") or {}
    numbers = (ends.get("low"), (truth.get("interval") or {}).get("estimate"), ends.get("high"))
    if any(number is None for number in numbers):
        return None
    low, measured, high = (float(number) for number in numbers if number is not None)
    return low <= measured <= high
