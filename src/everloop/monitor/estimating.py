"""What a window's metrics are likely to be before its actuals are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from everloop.core.errors import DataFault
from everloop.measure.estimate import ESTIMATED, Estimator, fit_estimator
from everloop.measure.intervals import UNKNOWN, Interval
from everloop.measure.loss_estimate import LOSSES, estimate_loss
from everloop.monitor.finding import Measured
from everloop.monitor.telling_apart import window_weights

if TYPE_CHECKING:
    from everloop.monitor.references import Reference
    from everloop.monitor.rules import Rules
    from everloop.monitor.variation import ReferenceRows
    from everloop.monitor.window import Window

VALUE = "value_per_decision"

_BINARY = "supposes that a score means what it meant on the reference"
_WEIGHTED = "supposes that a score means what it meant on rows of the reference like the window's"
_NUMBER = "supposes that errors are as large as they were on the reference where predictions are alike"


def estimates(
    window: Window, reference: Reference, rules: Rules, rows: ReferenceRows | None = None
) -> dict[str, Measured]:
    """Estimates the metrics that can be, and the value of a decision where it is priced.

    Args:
        window: The window; its actuals are not looked at.
        reference: Where scores with known actuals are kept.
        rules: Which metrics; those that `rules.silenced` names are kept, to be scored, but not told.
        rows: The reference's rows with scores and actuals, where `rules.weighted` asks for them.

    Returns:
        By metric; `VALUE` where decisions have prices. None of them where the task has no estimate.
    """
    if rules.task == "binary":
        names = [name for name in rules.metrics if name in ESTIMATED]
        priced = window.worth is not None and window.worth.four is not None
        names += [VALUE] if priced and VALUE not in names else []
        if rules.weighted and rows is not None:
            return _told(names, _WEIGHTED, rules, lambda: _weighted(names, window, rows, rules))
        return _told(names, _BINARY, rules, lambda: _binary(names, window, reference, rules))
    if rules.task == "regression":
        names = [name for name in rules.metrics if name in LOSSES]
        return _told(names, _NUMBER, rules, lambda: _numbers(names, window.scores, reference))
    return {}


def _told(
    names: list[str], note: str, rules: Rules, estimate: Callable[[], Mapping[str, Interval]]
) -> dict[str, Measured]:
    if not names:
        return {}
    try:
        found = estimate()
    except DataFault as fault:
        return {name: Measured("none", UNKNOWN, 0, fault.message) for name in names}
    return {
        name: Measured("silent", found[name], 0, rules.silenced[name])
        if name in rules.silenced
        else Measured("estimated", found[name], 0, note)
        for name in names
    }


def _binary(names: list[str], window: Window, reference: Reference, rules: Rules) -> Mapping[str, Interval]:
    return _estimated(
        fit_estimator(reference.scores, reference.actuals, seed=rules.seed), names, window, rules
    )


def _weighted(names: list[str], window: Window, rows: ReferenceRows, rules: Rules) -> Mapping[str, Interval]:
    if rows.scores is None or rows.actuals is None:
        raise DataFault("The rows of the reference have no scores with actuals.")
    known = ~np.isnan(rows.actuals)
    weights = window_weights(rows.inputs.filter(known), window.inputs, seed=rules.seed)
    fitted = fit_estimator(rows.scores[known], rows.actuals[known], weights=weights, seed=rules.seed)
    return _estimated(fitted, names, window, rules)


def _estimated(fitted: Estimator, names: list[str], window: Window, rules: Rules) -> Mapping[str, Interval]:
    return fitted.estimate(
        window.scores,
        names,
        threshold=rules.threshold,
        prices=None if window.worth is None else window.worth.four,
        seed=rules.seed,
    )


def _numbers(
    names: list[str], predicted: NDArray[np.float64], reference: Reference
) -> Mapping[str, Interval]:
    before, actuals = np.asarray(reference.scores), np.asarray(reference.actuals, dtype=np.float64)
    return {name: estimate_loss(predicted, before, LOSSES[name](actuals, before), name) for name in names}
