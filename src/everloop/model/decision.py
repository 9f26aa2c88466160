"""From out-of-fold scores to chances and decisions: the calibration and the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.calibration import Sigmoid, fit_sigmoid
from everloop.measure.confusion import DECISION_MEASURES
from everloop.measure.metrics import METRICS, compute
from everloop.measure.value import choose_threshold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.core.units import Bound
    from everloop.spec.frame import Frame

WORTHWHILE = 1e-4
"""Calibration is kept when it lowers log loss by more than this share."""

CALIBRATION_ROWS = 50
F1 = "f1"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where decisions turn positive, and why there."""

    number: float
    reason: str
    satisfied: bool = True


def calibration_that_pays(scores: NDArray[np.float64], actual: NDArray[Any]) -> Sigmoid | None:
    """Fits a calibration, and keeps it only if it lowers the log loss of rows that it did not see.

    Args:
        scores: Chances of the positive class on rows that their model had not seen, (n,).
        actual: 0/1, (n,).
    """
    if len(scores) < CALIBRATION_ROWS or min(actual.sum(), len(actual) - actual.sum()) < 5:
        return None
    even = np.arange(len(scores)) % 2 == 0
    calibrated = np.empty(len(scores))
    for part in (even, ~even):
        calibrated[part] = fit_sigmoid(scores[~part], actual[~part]).apply(scores[part])
    before, after = compute("log_loss", actual, scores), compute("log_loss", actual, calibrated)
    return fit_sigmoid(scores, actual) if after < before * (1 - WORTHWHILE) else None


def threshold_for(
    frame: Frame,
    scores: NDArray[np.float64],
    actual: NDArray[Any],
    prices: NDArray[np.float64] | None,
    required: Mapping[str, Bound],
) -> Threshold:
    """Chooses the threshold of a binary problem.

    Args:
        frame: The problem.
        scores: Calibrated chances on rows that their model had not seen, (n,).
        actual: 0/1, (n,).
        prices: Money for each outcome, (n, 4), or None.
        required: What the goal and the problem require; what a threshold cannot decide is passed over.
    """
    if prices is not None:
        known = {*DECISION_MEASURES, "value_per_decision"}
        constraints = [(name, bound) for name, bound in required.items() if name in known]
        choice = choose_threshold(scores, actual, prices, constraints=constraints)
        return Threshold(choice.threshold, choice.reason, choice.satisfied)
    bounds = {name: bound for name, bound in required.items() if name in DECISION_MEASURES}
    name = frame.metric if METRICS[frame.metric].needs == "decision" else F1
    return _by_metric(name, scores, actual, bounds)


def _by_metric(
    name: str, scores: NDArray[np.float64], actual: NDArray[Any], bounds: Mapping[str, Bound]
) -> Threshold:
    """Takes the best threshold for a metric among those that keep the bounds."""
    distinct = np.unique(np.quantile(scores, np.linspace(0, 1, 401)))
    if len(distinct) < 2:
        return Threshold(0.5, "Decisions have no prices and all scores are the same: the threshold is 0.5.")
    grid = (distinct[1:] + distinct[:-1]) / 2
    decisions = [(scores >= cut).astype(np.float64) for cut in grid]
    found = np.array([compute(name, actual, decision) for decision in decisions])
    found = np.nan_to_num(found if METRICS[name].greater_is_better else -found, nan=-np.inf)
    holds = np.array(
        [all(bound.holds(compute(m, actual, d)) for m, bound in bounds.items()) for d in decisions],
        dtype=bool,
    )
    reason = f"Decisions have no prices: the threshold is the best for {name}"
    if bounds and not holds.any():
        return Threshold(
            float(grid[found.argmax()]), f"{reason}; none keeps {_said(bounds)}.", satisfied=False
        )
    best = np.where(holds, found, -np.inf)
    kept = f" with {_said(bounds)}" if bounds else ""
    return Threshold(float(grid[best.argmax()]), f"{reason}{kept}.")


def _said(bounds: Mapping[str, Bound]) -> str:
    return ", ".join(f"{name} {bound}" for name, bound in bounds.items())
