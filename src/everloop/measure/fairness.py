"""How decisions fall on the groups of a sensitive column.

Example:
    >>> demographic_parity_difference([0, 1, 0, 1], [1, 1, 0, 1], ["a", "a", "b", "b"])
    0.5
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from everloop.measure.arrays import Booleans, Floats, binary, same_length, weights_for
from everloop.measure.confusion import Confusion, confusion_of, positive_rate, precision, recall, specificity
from everloop.measure.histogram import text_of
from everloop.measure.intervals import UNKNOWN, Interval

REPEATS = 1000


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


@dataclass(frozen=True, slots=True)
class Disparity:
    """A measure of how unlike the groups are treated.

    Attributes:
        name: As in the lifecycle file.
        rates: The rates that are compared between the groups; the worst of them counts.
        ratio: Whether the smallest rate is divided by the largest (1 is equal treatment), instead of
            being taken from it (0 is).
    """

    name: str
    rates: tuple[Callable[[Confusion], Floats], ...]
    ratio: bool = False

    def of(self, counts: Confusion, seen: Confusion | None = None) -> Floats:
        """Compares groups.

        Args:
            counts: Each of shape (..., groups).
            seen: What was counted, of shape (groups,), where the counts were drawn: a group that has no
                rate there has none.

        Returns:
            Shape (...); NaN where no group has a rate. A group without one is left out.
        """
        compare = _shares if self.ratio else _spreads
        known = counts if seen is None else seen
        found = np.stack(
            [compare(np.where(np.isnan(rate(known)), np.nan, rate(counts))) for rate in self.rates]
        )
        worst: Floats = (np.fmin if self.ratio else np.fmax).reduce(found, axis=0)
        return worst

    def __call__(
        self, actual: ArrayLike, decision: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None
    ) -> float:
        """Measures rows; 0 (of a ratio 1) with one group.

        Args:
            actual: 0/1, shape (n,).
            decision: 0/1, shape (n,).
            groups: The group of each row, shape (n,).
            weights: What each row counts, shape (n,); 1 each by default.
        """
        truth, chosen, texts = _read(actual, decision, groups)
        counted = weights_for(weights, truth.size)
        return float(self.of(_counts(truth, chosen, texts, np.unique(texts), counted)))


def group_rates(actual: ArrayLike, decision: ArrayLike, groups: ArrayLike) -> tuple[GroupRates, ...]:
    """Measures each group's rates, in the order of the groups' texts.

    Args:
        actual: 0/1, shape (n,).
        decision: 0/1, shape (n,).
        groups: The group of each row, shape (n,).
    """
    truth, chosen, texts = _read(actual, decision, groups)
    found = []
    for group in np.unique(texts):
        rows = texts == group
        counts = confusion_of(truth[rows], chosen[rows], weights_for(None, int(rows.sum())))
        rates = (float(rate(counts)) for rate in (positive_rate, recall, _false_positive_rate))
        found.append(GroupRates(str(group), int(rows.sum()), int(truth[rows].sum()), *rates))
    return tuple(found)


def disparity_interval(
    name: str,
    actual: ArrayLike,
    decision: ArrayLike,
    groups: ArrayLike,
    *,
    seed: int = 0,
    weights: ArrayLike | None = None,
) -> Interval:
    """Gives a measure of `FAIRNESS` with its 95 % interval.

    The shares of the four outcomes are drawn for each group from what its rows leave open (Jeffreys' prior:
    half a row of each is added), a thousand times. Of many rows that is the bootstrap; of few it stays
    honest: three positives that were all missed do not prove that all are. Differences between small groups
    come out large by chance alone: such an interval starts near the estimate and ends far from it.

    Rows that count differently leave open what fewer alike ones would: a group has Kish's effective number
    of rows, the square of the sum of its weights over the sum of their squares.

    Args:
        name: A key of `FAIRNESS`.
        actual: 0/1, shape (n,).
        decision: 0/1, shape (n,).
        groups: The group of each row, shape (n,).
        seed: Of the draws.
        weights: What each row counts, shape (n,); 1 each by default.

    Source:
        Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16
        (2001): of Jeffreys' interval, recommended for few rows.
    """
    truth, chosen, texts = _read(actual, decision, groups)
    if not truth.size:
        return UNKNOWN
    counted, names = weights_for(weights, truth.size), np.unique(texts)
    counts = _counts(truth, chosen, texts, names, counted)
    estimate = float(FAIRNESS[name].of(counts))
    outcomes = np.stack(
        [counts.true_positive, counts.false_positive, counts.false_negative, counts.true_negative]
    )
    if weights is not None:
        outcomes = outcomes * _rows_of_one_weight(counted, np.searchsorted(names, texts), len(names))
    random = np.random.default_rng(seed)
    drawn = np.stack([random.dirichlet(of + 0.5, size=REPEATS) for of in outcomes.T], axis=1)
    found = FAIRNESS[name].of(Confusion(*(drawn[:, :, k] for k in range(4))), counts)
    found = found[~np.isnan(found)]
    if np.isnan(estimate) or found.size < REPEATS / 2:
        return Interval(float("nan"), estimate, float("nan"))
    low, high = np.quantile(found, (0.025, 0.975))
    return Interval(min(float(low), estimate), estimate, max(float(high), estimate))


def _read(actual: ArrayLike, decision: ArrayLike, groups: ArrayLike) -> tuple[Booleans, Booleans, np.ndarray]:
    truth, chosen = binary(actual, "actuals"), binary(decision, "decisions")
    texts = np.array([text_of(value) or "missing" for value in np.asarray(groups, dtype=object).tolist()])
    same_length(truth.size, decisions=chosen, groups=texts)
    return truth, chosen, texts


def _counts(
    truth: Booleans, chosen: Booleans, texts: np.ndarray, names: np.ndarray, weights: Floats
) -> Confusion:
    places = np.searchsorted(names, texts)
    kinds = (truth & chosen, ~truth & chosen, truth & ~chosen, ~truth & ~chosen)
    counted = (np.bincount(places[kind], weights=weights[kind], minlength=len(names)) for kind in kinds)
    return Confusion(*(found.astype(np.float64) for found in counted))


def _rows_of_one_weight(weights: Floats, places: np.ndarray, groups: int) -> Floats:
    """Gives what a group's weights are multiplied by, so that they sum to its effective number of rows."""
    total = np.bincount(places, weights=weights, minlength=groups)
    squares = np.bincount(places, weights=weights**2, minlength=groups)
    scale: Floats = np.divide(total, squares, out=np.zeros(groups), where=squares > 0)
    return scale


def _false_positive_rate(counts: Confusion) -> Floats:
    return 1 - specificity(counts)


def _spreads(rates: Floats) -> Floats:
    spread: Floats = _largest(rates) - _smallest(rates)
    return spread


def _shares(rates: Floats) -> Floats:
    largest, smallest = _largest(rates), _smallest(rates)
    # Where no group is ever decided for, none is decided for less often.
    equal = np.where(np.isnan(largest), np.nan, 1.0)
    share: Floats = np.divide(smallest, largest, out=equal, where=largest > 0)
    return share


_largest = partial(np.fmax.reduce, axis=-1)
_smallest = partial(np.fmin.reduce, axis=-1)

demographic_parity_difference = Disparity("demographic_parity_difference", (positive_rate,))
"""The largest difference between groups in the share of positive decisions.

Source:
    Dwork et al., "Fairness through awareness", ITCS 2012.
"""

equal_opportunity_difference = Disparity("equal_opportunity_difference", (recall,))
"""The largest difference between groups in the true positive rate.

Source:
    Hardt, Price and Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016.
"""

equalized_odds_difference = Disparity("equalized_odds_difference", (recall, _false_positive_rate))
"""The larger of the differences in true and in false positive rate.

Source:
    Hardt, Price and Srebro (2016).
"""

predictive_parity_difference = Disparity("predictive_parity_difference", (precision,))
"""The largest difference between groups in precision: what a positive decision means for each of them.

Source:
    Chouldechova, "Fair prediction with disparate impact", Big Data 5 (2017).
"""

FAIRNESS: dict[str, Disparity] = {
    measure.name: measure
    for measure in (
        demographic_parity_difference,
        equal_opportunity_difference,
        equalized_odds_difference,
        predictive_parity_difference,
        # The "four fifths rule" of the US Uniform Guidelines (1978) bounds the first of these by 0.8.
        Disparity("demographic_parity_ratio", (positive_rate,), ratio=True),
        Disparity("equal_opportunity_ratio", (recall,), ratio=True),
        Disparity("equalized_odds_ratio", (recall, _false_positive_rate), ratio=True),
    )
}
"""Measures of disparity by name; each is called with actual, decision and groups, all of shape (n,)."""
