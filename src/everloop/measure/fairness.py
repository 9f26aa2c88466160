"""How decisions fall on the groups of a sensitive column.

Example:
    >>> demographic_parity_difference([0, 1, 0, 1], [1, 1, 0, 1], ["a", "a", "b", "b"])
    0.5
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.arrays import binary, same_length, weights_for
from everloop.measure.confusion import confusion_of, positive_rate, recall, specificity
from everloop.measure.histogram import text_of


@dataclass(frozen=True, slots=True)
class GroupRates:
    """What happens to the rows of one group.

    Attributes:
        group: The group's text; ``missing`` where the column is empty.
        rows: How many rows.
        positives: How many of them are positive in truth.
        positive_rate: The share of positive decisions.
        true_positive_rate: The share of actual positives that are decided positive; NaN with none.
        false_positive_rate: The share of actual negatives that are decided positive; NaN with none.
    """

    group: str
    rows: int
    positives: int
    positive_rate: float
    true_positive_rate: float
    false_positive_rate: float


def group_rates(actual: ArrayLike, decision: ArrayLike, groups: ArrayLike) -> tuple[GroupRates, ...]:
    """Measures each group's rates, in the order of the groups' texts.

    Args:
        actual: 0/1, shape (n,).
        decision: 0/1, shape (n,).
        groups: The group of each row, shape (n,).
    """
    truth, chosen = binary(actual, "actuals"), binary(decision, "decisions")
    texts = np.array([text_of(value) or "missing" for value in np.asarray(groups, dtype=object).tolist()])
    same_length(truth.size, decisions=chosen, groups=texts)
    found = []
    for group in np.unique(texts):
        rows = texts == group
        counts = confusion_of(truth[rows], chosen[rows], weights_for(None, int(rows.sum())))
        found.append(
            GroupRates(
                str(group),
                int(rows.sum()),
                int(truth[rows].sum()),
                float(positive_rate(counts)),
                float(recall(counts)),
                float(1 - specificity(counts)),
            )
        )
    return tuple(found)


def demographic_parity_difference(actual: ArrayLike, decision: ArrayLike, groups: ArrayLike) -> float:
    """The largest difference between groups in the share of positive decisions; 0 with one group.

    Source:
        Dwork et al., "Fairness through awareness", ITCS 2012.
    """
    return _spread([group.positive_rate for group in group_rates(actual, decision, groups)])


def equal_opportunity_difference(actual: ArrayLike, decision: ArrayLike, groups: ArrayLike) -> float:
    """The largest difference between groups in the true positive rate.

    A group with no actual positive has no such rate and is left out; NaN when no group has one.

    Source:
        Hardt, Price and Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016.
    """
    return _spread([group.true_positive_rate for group in group_rates(actual, decision, groups)])


def equalized_odds_difference(actual: ArrayLike, decision: ArrayLike, groups: ArrayLike) -> float:
    """The larger of the differences in true and in false positive rate.

    Source:
        Hardt, Price and Srebro (2016).
    """
    rates = group_rates(actual, decision, groups)
    spreads = (
        _spread([group.true_positive_rate for group in rates]),
        _spread([group.false_positive_rate for group in rates]),
    )
    known = [spread for spread in spreads if not np.isnan(spread)]
    return max(known) if known else float("nan")


def _spread(rates: list[float]) -> float:
    known = [rate for rate in rates if not np.isnan(rate)]
    return max(known) - min(known) if known else float("nan")


FAIRNESS: dict[str, Callable[[ArrayLike, ArrayLike, ArrayLike], float]] = {
    "demographic_parity_difference": demographic_parity_difference,
    "equal_opportunity_difference": equal_opportunity_difference,
    "equalized_odds_difference": equalized_odds_difference,
}
