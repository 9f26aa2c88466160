"""From out-of-fold scores to chances and decisions: the calibration, and what makes the decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.calibration import Sigmoid, fit_sigmoid
from everloop.measure.choices import choose_classes, choose_move
from everloop.measure.confusion import DECISION_MEASURES
from everloop.measure.fair_thresholds import choose_fair_thresholds
from everloop.measure.metrics import METRICS, compute
from everloop.measure.pricing import values_by_decision
from everloop.measure.segments import choose_segment_thresholds
from everloop.measure.value import choose_threshold
from everloop.runtime.decision import PLAIN, DecisionRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from everloop.core.units import Bound
    from everloop.measure.worth import Worth
    from everloop.spec.frame import Frame

WORTHWHILE = 1e-4
"""Calibration is kept when it lowers log loss by more than this share."""

CALIBRATION_ROWS = 50
THRESHOLDS = 401
F1 = "f1"


@dataclass(frozen=True, slots=True)
class Decided:
    """How scores become decisions, and why so.

    Attributes:
        threshold: Binary: positive where the score is at least this.
        reason: Why, in a sentence.
        rule: What decides beyond a threshold.
        satisfied: Whether the choice keeps what is required.
    """

    threshold: float | None
    reason: str
    rule: DecisionRule = PLAIN
    satisfied: bool = True


@dataclass(frozen=True, slots=True)
class Alike:
    """Groups that decisions must treat alike.

    Attributes:
        column: The sensitive column.
        groups: The group of each row, (n,); None where it is not known.
        bounds: On the differences between them.
    """

    column: str
    groups: Sequence[str | None]
    bounds: Mapping[str, Bound]


@dataclass(frozen=True, slots=True)
class Choosing:
    """What a decision is chosen from.

    Attributes:
        frame: The problem.
        scores: Of rows that their model had not seen: calibrated chances (n,), of each class (n, k), or
            numbers (n,).
        actual: 0/1, class positions or numbers, (n,).
        worth: What decisions are worth, or None.
        required: What the goal and the problem require; what a decision cannot change is passed over.
        segments: The segment of each row, where each may get a threshold of its own.
        segment: The column that says so.
        alike: Groups that each get a threshold of their own, so that they are treated alike.
        stretches: The stretch of time that each row is of, where the rows are divided by time.
        counts: What each row counts, (n,); None where all count alike.
    """

    frame: Frame
    scores: NDArray[np.float64]
    actual: NDArray[Any]
    worth: Worth | None = None
    required: Mapping[str, Bound] = field(default_factory=dict)
    segments: Sequence[str | None] | None = None
    segment: str | None = None
    alike: Alike | None = None
    stretches: NDArray[np.int64] | None = None
    counts: NDArray[np.float64] | None = None


def choose_decision(this: Choosing) -> Decided:
    """Chooses how scores become decisions: by their worth where they have a price."""
    if this.frame.task == "binary":
        plain = _of_two(this)
        return plain if this.alike is None else _alike(this, this.alike, plain)
    if this.worth is None:
        return Decided(None, "")
    worth = this.worth if this.counts is None else this.worth.weighed(this.counts)
    if this.frame.task == "multiclass":
        classes = choose_classes(this.scores, this.actual, worth)
        return Decided(None, classes.reason, DecisionRule(matrix=classes.matrix))
    number = choose_move(this.scores, this.actual, worth)
    return Decided(None, number.reason, DecisionRule(scale=number.scale, offset=number.offset))


def _of_two(this: Choosing) -> Decided:
    if this.worth is None:
        bounds = {name: bound for name, bound in this.required.items() if name in DECISION_MEASURES}
        metric = this.frame.metric
        name = metric if METRICS[metric].needs == "decision" else F1
        return _by_metric(name, this, bounds)
    known = {*DECISION_MEASURES, "value_per_decision"}
    constraints = [(name, bound) for name, bound in this.required.items() if name in known]
    prices = this.worth.prices
    if this.segments is None:
        choice = choose_threshold(
            this.scores,
            this.actual,
            prices,
            constraints=constraints,
            chances=True,
            stretches=this.stretches,
            weights=this.counts,
        )
        return Decided(choice.threshold, choice.reason, satisfied=choice.satisfied)
    each = choose_segment_thresholds(
        this.scores,
        this.actual,
        prices,
        this.segments,
        constraints=constraints,
        stretches=this.stretches,
        weights=this.counts,
    )
    rule = DecisionRule(segment=this.segment, thresholds=dict(each.thresholds)) if each.thresholds else PLAIN
    return Decided(each.threshold, each.reason, rule, each.satisfied)


def _alike(this: Choosing, alike: Alike, plain: Decided) -> Decided:
    """Gives groups the thresholds that treat them alike at the least cost."""
    otherwise = 0.5 if plain.threshold is None else plain.threshold
    if this.worth is None:
        # A threshold is where both decisions are worth the same to whoever chose it: that prices them.
        gain = this.actual - otherwise
    else:
        when_positive, when_negative = values_by_decision(this.actual, this.worth.prices)
        gain = when_positive - when_negative
    limit = this.required.get("positive_rate")
    most = limit.limit if limit is not None and limit.comparison in ("<", "<=") else 1.0
    found = choose_fair_thresholds(
        this.scores,
        this.actual,
        gain,
        alike.groups,
        alike.bounds,
        otherwise,
        most_positive=most,
        weights=this.counts,
    )
    kept = _said(alike.bounds)
    if not found.thresholds:
        keeps = "keeps" if found.satisfied else "does not keep"
        reason = f"{plain.reason} It {keeps} {kept} between the groups of {alike.column} as it is."
        return Decided(plain.threshold, reason, plain.rule, plain.satisfied and found.satisfied)
    reason = f"{plain.reason} Groups of {alike.column} have thresholds of their own, which keep {kept}."
    if not found.satisfied:
        reason = f"{plain.reason} Nothing but deciding nobody positive comes near {kept}."
    rule = DecisionRule(segment=alike.column, thresholds=dict(found.thresholds))
    return Decided(plain.threshold, reason, rule, plain.satisfied and found.satisfied)


def calibration_that_pays(
    scores: NDArray[np.float64],
    actual: NDArray[Any],
    stretches: NDArray[np.int64] | None = None,
    counts: NDArray[np.float64] | None = None,
) -> Sigmoid | None:
    """Fits a calibration, and keeps it only if it lowers the log loss of rows that it did not see.

    Args:
        scores: Chances of the positive class on rows that their model had not seen, (n,).
        actual: 0/1, (n,).
        stretches: The stretch of time that each row is of, as numbers that grow, where the rows are divided
            by time. Then a calibration must help in the stretches after those that it was fitted on, by more
            than one standard error over them: what was off in one season is no property of the model.
        counts: What each row counts, (n,); None where all count alike.
    """
    if len(scores) < CALIBRATION_ROWS or min(actual.sum(), len(actual) - actual.sum()) < 5:
        return None
    if stretches is None:
        even = np.arange(len(scores)) % 2 == 0
        turns = [(~even, even), (even, ~even)]
    else:
        turns = [(stretches < each, stretches == each) for each in np.unique(stretches)[1:]]
    before, after = np.array([_losses(scores, actual, counts, *turn) for turn in turns]).T
    gains = before - after
    surely = 0.0 if stretches is None else gains.std(ddof=1) / np.sqrt(len(gains))
    pays = gains.mean() > max(WORTHWHILE * before.mean(), surely)
    return fit_sigmoid(scores, actual, counts) if pays else None


def _losses(
    scores: NDArray[np.float64],
    actual: NDArray[Any],
    counts: NDArray[np.float64] | None,
    seen: NDArray[np.bool_],
    judging: NDArray[np.bool_],
) -> tuple[float, float]:
    """Gives the log loss of some rows as they are, and by a calibration that was fitted on others."""
    learned, judged = (None if counts is None else counts[rows] for rows in (seen, judging))
    calibrated = fit_sigmoid(scores[seen], actual[seen], learned).apply(scores[judging])
    return (
        compute("log_loss", actual[judging], scores[judging], judged),
        compute("log_loss", actual[judging], calibrated, judged),
    )


def _by_metric(name: str, this: Choosing, bounds: Mapping[str, Bound]) -> Decided:
    """Takes the best threshold for a metric among those that keep the bounds."""
    scores, actual, counts = this.scores, this.actual, this.counts
    distinct = _spread_out(scores, counts)
    if len(distinct) < 2:
        return Decided(0.5, "Decisions have no prices and all scores are the same: the threshold is 0.5.")
    grid = (distinct[1:] + distinct[:-1]) / 2
    decisions = [(scores >= cut).astype(np.float64) for cut in grid]
    found = np.array([compute(name, actual, decision, counts) for decision in decisions])
    found = np.nan_to_num(found if METRICS[name].greater_is_better else -found, nan=-np.inf)
    holds = np.array(
        [all(bound.holds(compute(m, actual, d, counts)) for m, bound in bounds.items()) for d in decisions],
        dtype=bool,
    )
    reason = f"Decisions have no prices: the threshold is the best for {name}"
    if bounds and not holds.any():
        return Decided(float(grid[found.argmax()]), f"{reason}; none keeps {_said(bounds)}.", satisfied=False)
    best = np.where(holds, found, -np.inf)
    kept = f" with {_said(bounds)}" if bounds else ""
    return Decided(float(grid[best.argmax()]), f"{reason}{kept}.")


def _spread_out(scores: NDArray[np.float64], counts: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Gives scores between which thresholds are tried: at even shares of the rows, or of their weight."""
    shares = np.linspace(0, 1, THRESHOLDS)
    if counts is None:
        return np.unique(np.quantile(scores, shares))
    return np.unique(np.quantile(scores, shares, weights=counts, method="inverted_cdf"))


def _said(bounds: Mapping[str, Bound]) -> str:
    return ", ".join(f"{name} {bound}" for name, bound in bounds.items())
