"""How the groups of a sensitive column fare, by the rates and differences of `measure.fairness`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.measure.fairness import FAIRNESS, group_rates
from everloop.measure.metrics import compute
from everloop.model.evaluation import GroupFairness

if TYPE_CHECKING:
    from everloop.model.evaluating import Judged

FEWEST_ROWS = 20
"""Smaller groups are shown by no number: it would be noise."""

MOST_GROUPS = 20


def judge_groups(judged: Judged) -> tuple[GroupFairness, ...]:
    """Gives each sensitive column's groups and the largest differences between them."""
    return tuple(_of_column(judged, name) for name in judged.frame.sensitive if name in judged.table.columns)


def largest_differences(found: tuple[GroupFairness, ...]) -> dict[str, float]:
    """Gives each difference where it is largest among the sensitive columns; NaN where none is known."""
    largest: dict[str, float] = {}
    for column in found:
        for name, number in column.differences.items():
            largest[name] = float(np.fmax(largest.get(name, np.nan), number))
    return largest


def groups_of(judged: Judged, name: str) -> dict[str, np.ndarray]:
    """Gives the rows of each value of a column; a number with many values is cut at its quartiles."""
    from everloop.table.labels import label_counts, label_texts

    column = judged.table[name]
    if column.dtype.is_numeric() and column.n_unique() > MOST_GROUPS:
        numbers = column.cast(float).fill_null(float("nan")).to_numpy()
        cuts = np.unique(np.nanquantile(numbers, [0.25, 0.5, 0.75]))
        places = np.digitize(numbers, cuts)
        edges = ["-inf", *(f"{cut:g}" for cut in cuts), "inf"]
        named = {
            f"{edges[k]} to {edges[k + 1]}": (places == k) & ~np.isnan(numbers) for k in range(len(cuts) + 1)
        }
    else:
        texts = label_texts(column)
        frequent = list(label_counts(column))[: 2 * MOST_GROUPS]
        named = {text: (texts == text).fill_null(value=False).to_numpy() for text in sorted(frequent)}
    return {text: np.flatnonzero(mask) for text, mask in named.items() if mask.sum() >= FEWEST_ROWS}


def _of_column(judged: Judged, name: str) -> GroupFairness:
    groups = groups_of(judged, name)
    if not groups:
        return GroupFairness(name, {}, {})
    metric = judged.frame.metric
    predicted = judged.predicted_for(metric)
    found = {
        text: {"rows": float(len(rows)), metric: compute(metric, judged.actual[rows], predicted[rows])}
        for text, rows in groups.items()
    }
    known = [group[metric] for group in found.values() if not np.isnan(group[metric])]
    differences = {"metric_difference": max(known) - min(known) if len(known) > 1 else float("nan")}
    if judged.frame.task == "binary":
        _add_rates(judged, groups, found, differences)
    return GroupFairness(name, found, differences)


def _add_rates(
    judged: Judged,
    groups: dict[str, np.ndarray],
    found: dict[str, dict[str, float]],
    differences: dict[str, float],
) -> None:
    rows = np.concatenate(list(groups.values()))
    # Numbers stand for the groups, so that no group's text is taken for a missing one.
    numbers = np.repeat(np.arange(len(groups)), [len(each) for each in groups.values()])
    arguments = judged.actual[rows], judged.decisions[rows], numbers
    texts = list(groups)
    for rates in group_rates(*arguments):
        found[texts[int(rates.group)]] |= {
            "positive_rate": rates.positive_rate,
            "true_positive_rate": rates.true_positive_rate,
            "false_positive_rate": rates.false_positive_rate,
        }
    differences |= {name: function(*arguments) for name, function in FAIRNESS.items()}
