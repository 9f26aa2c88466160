"""How the groups of sensitive columns fare, each column alone and each pair of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.measure.fairness import FAIRNESS, disparity_interval
from everloop.measure.intervals import Interval, mean_interval, widest_gap
from everloop.measure.metric_intervals import metric_interval
from everloop.model.evaluation import Group, GroupFairness
from everloop.table.groups import crossed_groups, crossings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.model.judged import Judged

FEWEST_ROWS = 30
"""Of a smaller group no number is given: it would be noise."""

MOST_GROUPS = 30
_RATES = {"positive_rate": "positive_rate", "true_positive_rate": "recall", "precision": "precision"}


def judge_groups(judged: Judged) -> tuple[GroupFairness, ...]:
    """Gives the groups of each sensitive column and of each pair, with the differences between them."""
    known = [name for name in judged.frame.sensitive if name in judged.table.columns]
    return tuple(_of_columns(judged, names) for names in crossings(known))


def worst_differences(found: tuple[GroupFairness, ...]) -> dict[str, float]:
    """Gives each measure where it is worst among the columns and pairs; NaN where none is known.

    Of a pair the end of the interval that is nearest to equal treatment counts, as in the gate: its groups
    are small, and the largest of many differences is large by chance.
    """
    worst: dict[str, float] = {}
    for one in found:
        for name, gap in one.differences.items():
            ratio = name in FAIRNESS and FAIRNESS[name].ratio
            crossed = gap.high if ratio else gap.low
            number = crossed if len(one.columns) > 1 else gap.estimate
            worst[name] = float((np.fmin if ratio else np.fmax)(worst.get(name, np.nan), number))
    return worst


def _of_columns(judged: Judged, names: tuple[str, ...]) -> GroupFairness:
    texts = crossed_groups(judged.table, names)
    counts = _most_frequent(texts)
    groups = tuple(_group(judged, text, np.flatnonzero(texts == text)) for text in sorted(counts))
    large = [group for group in groups if group.enough]
    differences = {"metric_difference": widest_gap([group.rates[judged.frame.metric] for group in large])}
    if judged.frame.task == "binary" and large:
        # Numbers stand for the groups, so that no group's text is taken for a missing one.
        places = {group.name: place for place, group in enumerate(large)}
        numbers = np.array([places.get(text, -1) for text in texts.tolist()])
        rows = numbers >= 0
        arguments = judged.actual[rows], judged.decisions[rows], numbers[rows]
        counted = None if judged.counts is None else judged.counts[rows]
        differences |= {
            name: disparity_interval(name, *arguments, seed=judged.seed, weights=counted) for name in FAIRNESS
        }
    return GroupFairness(names, groups, differences)


def _most_frequent(texts: NDArray[np.object_]) -> dict[str, int]:
    found, counts = np.unique(texts.astype(str), return_counts=True)
    ranked = sorted(zip(counts.tolist(), found.tolist(), strict=True), key=lambda item: (-item[0], item[1]))
    return {text: count for count, text in ranked[:MOST_GROUPS]}


def _group(judged: Judged, text: str, rows: NDArray[np.int64]) -> Group:
    if len(rows) < FEWEST_ROWS:
        return Group(text, len(rows), enough=False)
    one, metric = judged.only(rows), judged.frame.metric
    rates = {metric: _interval(one, metric, one.predicted_for(metric))}
    if one.frame.task == "binary":
        rates |= {shown: _interval(one, name, one.decisions) for shown, name in _RATES.items()}
        rates["false_positive_rate"] = _complement(_interval(one, "specificity", one.decisions))
    if one.worth is not None:
        rates["value"] = mean_interval(one.worth.values(one.actual, one.decisions), weights=one.counts)
    return Group(text, len(rows), enough=True, rates=rates)


def _interval(one: Judged, metric: str, predicted: NDArray[np.float64]) -> Interval:
    return metric_interval(metric, one.actual, predicted, seed=one.seed, weights=one.counts)


def _complement(share: Interval) -> Interval:
    return Interval(1 - share.high, 1 - share.estimate, 1 - share.low)
