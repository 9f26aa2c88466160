"""Judging a window: a function from its rows and the reference to a finding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from everloop.core.errors import DataFault
from everloop.measure.intervals import UNKNOWN, Interval
from everloop.measure.maturity import DelayCurve, MaturedSums
from everloop.measure.metric_intervals import metric_interval
from everloop.measure.metrics import metric_named
from everloop.measure.resampling import resampled_metric
from everloop.monitor.drifting import judge_state
from everloop.monitor.estimating import VALUE, estimates
from everloop.monitor.finding import Measured, WindowFinding
from everloop.monitor.references import Reference
from everloop.monitor.rules import Rules
from everloop.monitor.state import SCORE
from everloop.monitor.tally import WindowTally, chances_of, tally_window
from everloop.monitor.telling_apart import ToldApart, tell_apart
from everloop.monitor.variation import ReferenceRows
from everloop.monitor.window import Window

_LEAST_CHANCE = 0.05
_BOOTSTRAP = 300
_NOTE = "each known actual counts 1 / its chance to be known by now"


def judge(
    window: Window,
    reference: Reference,
    rules: Rules,
    *,
    delay: DelayCurve | None = None,
    rows: ReferenceRows | None = None,
    whole: WindowTally | None = None,
) -> WindowFinding:
    """Judges a window of the prediction log.

    Args:
        window: Its rows.
        reference: What it is compared with.
        rules: How.
        delay: When actuals come; without it each actual that is there counts the same, and the share of
            actuals that are there is the window's maturity.
        rows: The reference's rows, for what `rules.weighted` and `rules.apart` ask.
        whole: What was counted of all its rows, where `window` has a sample of them.

    Returns:
        The finding. What cannot be said yet says so.

    Raises:
        DataFault: When the window's arrays do not fit each other.
    """
    _check(window)
    chances = chances_of(window, delay)
    tally = tally_window(window, reference, delay) if whole is None else whole
    before = reference.histograms[SCORE].mean if SCORE in reference.histograms else float("nan")
    estimated = estimates(window, reference, rules, rows)
    worth = estimated.pop(VALUE, None) if VALUE not in rules.metrics else estimated.get(VALUE)
    return WindowFinding(
        since=window.since,
        until=window.until,
        version=window.version,
        predictions=tally.rows,
        actuals=tally.actuals,
        maturity=tally.maturity,
        drift=judge_state(tally.state, reference, seed=rules.seed),
        score_mean=tally.score_mean,
        score_shift=tally.score_mean - before,
        violation_share=tally.violation_share,
        contract=tally.held,
        performance={name: _measure(name, window, chances, rules) for name in rules.metrics},
        estimated=estimated,
        value=_measured(tally.value, rules, _NOTE),
        against_today=_measured(tally.gain, rules, _NOTE + ", paired by row"),
        estimated_value=worth,
        apart=_told_apart(window, rules, rows),
        sampled=None if whole is None else window.inputs.height,
    )


def _told_apart(window: Window, rules: Rules, rows: ReferenceRows | None) -> ToldApart | None:
    """How well the window's rows are told from the reference's; None where too few were there."""
    if rules.apart is None or rows is None:
        return None
    budget = rules.apart
    try:
        return tell_apart(
            rows.inputs, window.inputs, alarms=budget.alarms, windows=budget.windows, seed=rules.seed
        )
    except DataFault:
        return None


def _check(window: Window) -> None:
    rows = window.inputs.height
    sizes = {
        "scores": window.scores,
        "decisions": window.decisions,
        "actuals": window.actuals,
        "ages": window.ages,
    }
    for name, array in sizes.items():
        if array.shape != (rows,):
            raise DataFault(
                f"The window has {name} of shape {array.shape} for {rows} rows; one each was expected."
            )


def _measured(sums: MaturedSums | None, rules: Rules, note: str) -> Measured | None:
    if sums is None:
        return None
    found = sums.mean(maturity=rules.maturity)
    return Measured(found.status, found.interval, found.known, note)


def _measure(name: str, window: Window, chances: NDArray[np.float64], rules: Rules) -> Measured:
    """A metric from the known actuals, each weighed by 1 / its chance to be known."""
    used = ~np.isnan(window.actuals) & (chances >= _LEAST_CHANCE)
    if not used.any() or chances.mean() < rules.maturity:
        return Measured("too early", UNKNOWN, int(used.sum()), "too few actuals can be known by now")
    predicted = _predicted(name, window, rules)
    if predicted is None:
        return Measured("none", UNKNOWN, int(used.sum()), "the window has no probabilities of all classes")
    interval = _interval(name, window.actuals[used], predicted[used], 1 / chances[used], rules.seed)
    return Measured("known", interval, int(used.sum()), _NOTE)


def _interval(
    name: str,
    actuals: NDArray[np.float64],
    predicted: NDArray[np.float64],
    weights: NDArray[np.float64],
    seed: int,
) -> Interval:
    if np.ptp(weights) == 0:  # all count alike, as they do once a window is mature
        return metric_interval(name, actuals, predicted, seed=seed)
    return resampled_metric(name, actuals, predicted, weights, seed=seed, repeats=_BOOTSTRAP)


def _predicted(name: str, window: Window, rules: Rules) -> NDArray[np.float64] | None:
    """What a metric judges: scores, decisions, or the probabilities of all classes."""
    needs = metric_named(name).needs
    if needs == "probabilities" and rules.task == "multiclass":
        return window.probabilities
    return window.decisions if needs == "decision" else window.scores
