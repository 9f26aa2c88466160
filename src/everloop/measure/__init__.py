"""Pure functions: arrays in, numbers out. Every formula names its source.

Example:
    >>> from everloop.measure import compute
    >>> compute("roc_auc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.lazy import lazy_names

if TYPE_CHECKING:
    from everloop.measure.budget import fit_budget
    from everloop.measure.calibration import calibration_error, fit_sigmoid
    from everloop.measure.curves import fit_learning_curve
    from everloop.measure.drift import DISTANCES
    from everloop.measure.estimate import estimate_performance
    from everloop.measure.fairness import FAIRNESS
    from everloop.measure.histogram import build_bins, count, merge
    from everloop.measure.intervals import (
        Interval,
        bootstrap_interval,
        mean_interval,
        paired_interval,
        proportion_interval,
    )
    from everloop.measure.maturity import delay_curve, matured_mean
    from everloop.measure.metrics import METRICS, compute
    from everloop.measure.sequential import always_valid, rate_comparison
    from everloop.measure.value import choose_threshold, decision_values

_HOMES = {
    "DISTANCES": "drift",
    "FAIRNESS": "fairness",
    "METRICS": "metrics",
    "Interval": "intervals",
    "always_valid": "sequential",
    "bootstrap_interval": "intervals",
    "build_bins": "histogram",
    "calibration_error": "calibration",
    "choose_threshold": "value",
    "compute": "metrics",
    "count": "histogram",
    "decision_values": "value",
    "delay_curve": "maturity",
    "estimate_performance": "estimate",
    "fit_budget": "budget",
    "fit_learning_curve": "curves",
    "fit_sigmoid": "calibration",
    "matured_mean": "maturity",
    "mean_interval": "intervals",
    "merge": "histogram",
    "paired_interval": "intervals",
    "proportion_interval": "intervals",
    "rate_comparison": "sequential",
}

__all__ = [
    "DISTANCES",
    "FAIRNESS",
    "METRICS",
    "Interval",
    "always_valid",
    "bootstrap_interval",
    "build_bins",
    "calibration_error",
    "choose_threshold",
    "compute",
    "count",
    "decision_values",
    "delay_curve",
    "estimate_performance",
    "fit_budget",
    "fit_learning_curve",
    "fit_sigmoid",
    "matured_mean",
    "mean_interval",
    "merge",
    "paired_interval",
    "proportion_interval",
    "rate_comparison",
]

__getattr__ = lazy_names(__name__, _HOMES)
