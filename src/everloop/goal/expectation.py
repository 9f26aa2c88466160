"""What a model would be worth, before one is trained: a quick model's decisions on rows it did not see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.choices import choose_classes, choose_move, decide_class
from everloop.measure.confusion import DECISION_MEASURES
from everloop.measure.intervals import Interval, mean_interval, paired_interval
from everloop.measure.value import choose_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.core.units import Bound
    from everloop.measure.worth import Worth
    from everloop.table.quick_look import QuickLook


@dataclass(frozen=True, slots=True)
class Expectation:
    """What decisions would be worth.

    Attributes:
        value: Of a quick model's decisions, chosen on other rows than those they are priced on.
        gain: The same less what is decided today or, where that is not stated, the best constant decision.
        rule: Of the best rule on one column.
        over: What the gain is over, in words.
        alike: Whether the quick model decides all rows alike.
    """

    value: Interval
    gain: Interval
    rule: Interval
    over: str
    alike: bool

    def to_dict(self) -> dict[str, Any]:
        """Gives the expectation as what JSON can carry."""
        return {
            "value": self.value.to_dict(),
            "gain": self.gain.to_dict(),
            "rule": self.rule.to_dict(),
            "over": self.over,
            "alike": self.alike,
        }


def expect(
    look: QuickLook,
    actual: NDArray[np.float64],
    worth: Worth,
    baseline: tuple[str, NDArray[np.float64]],
    bounds: Mapping[str, Bound],
) -> Expectation:
    """Prices what a quick model and a simple rule would decide.

    Args:
        look: What they said of the rows.
        actual: The rows' actuals, (m,).
        worth: What decisions on the rows are worth.
        baseline: What the gain is over, and its decisions, (m,).
        bounds: What the goal requires; what a threshold can change bounds its choice.
    """
    ours = _decided(look.scores, look.folds, actual, worth, bounds)
    simple = _decided(look.rule_scores, look.folds, actual, worth, bounds)
    values = worth.values(actual, ours)
    over, decided = baseline
    return Expectation(
        value=mean_interval(values),
        gain=paired_interval(worth.values(actual, decided), values),
        rule=mean_interval(worth.values(actual, simple)),
        over=over,
        alike=len(np.unique(ours)) == 1,
    )


def _decided(
    scores: NDArray[np.float64],
    folds: NDArray[np.int64],
    actual: NDArray[np.float64],
    worth: Worth,
    bounds: Mapping[str, Bound],
) -> NDArray[np.float64]:
    """Decides each fold's rows by what was chosen on the others."""
    decisions = np.empty(len(actual))
    for fold in np.unique(folds):
        here, others = folds == fold, folds != fold
        if not others.any():
            others = here
        decisions[here] = _chosen(scores[others], actual[others], worth.only(others), bounds)(scores[here])
    return decisions


def _chosen(
    scores: NDArray[np.float64], actual: NDArray[np.float64], worth: Worth, bounds: Mapping[str, Bound]
) -> Any:
    """Gives the function from scores to decisions that earned most on these rows."""
    if worth.task == "binary":
        limits = [(name, bound) for name, bound in bounds.items() if name in DECISION_MEASURES]
        threshold = choose_threshold(scores, actual, worth.prices, constraints=limits, chances=True).threshold
        return lambda others: (others >= threshold).astype(np.float64)
    if worth.task == "multiclass":
        matrix = choose_classes(scores, actual, worth).matrix or None
        return lambda others: decide_class(others, matrix)
    move = choose_move(scores, actual, worth)
    return lambda others: move.offset + move.scale * others
