"""How the groups of a sensitive column fare.

Sources: demographic parity, equalised odds and equal opportunity as in Hardt, Price and Srebro,
"Equality of opportunity in supervised learning" (2016); differences as fairlearn reports them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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


def _of_column(judged: Judged, name: str) -> GroupFairness:
    groups = {text: _of_group(judged, rows) for text, rows in groups_of(judged, name).items()}
    return GroupFairness(name, groups, _differences(groups))


def groups_of(judged: Judged, name: str) -> dict[str, np.ndarray]:
    """Gives the rows of each value of a column; a number with many values is cut at its quartiles."""
    from everloop.table.labels import label_texts

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
        frequent = texts.drop_nulls().value_counts(sort=True)[texts.name].to_list()[: 2 * MOST_GROUPS]
        named = {text: (texts == text).fill_null(value=False).to_numpy() for text in sorted(frequent)}
    return {text: np.flatnonzero(mask) for text, mask in named.items() if mask.sum() >= FEWEST_ROWS}


def _of_group(judged: Judged, rows: np.ndarray) -> dict[str, float]:
    actual, metric = judged.actual[rows], judged.frame.metric
    found = {"rows": float(len(rows)), metric: compute(metric, actual, judged.predicted_for(metric)[rows])}
    if judged.frame.task == "binary":
        decided = judged.decisions[rows]
        found["positive_rate"] = float(decided.mean())
        found["true_positive_rate"] = compute("recall", actual, decided)
        found["false_positive_rate"] = 1 - compute("specificity", actual, decided)
    return found


def _differences(groups: dict[str, dict[str, float]]) -> dict[str, float]:
    def spread(name: str) -> float:
        numbers = [group[name] for group in groups.values() if not np.isnan(group[name])]
        return max(numbers) - min(numbers) if len(numbers) > 1 else float("nan")

    if not groups:
        return {}
    first = next(iter(groups.values()))
    metric = next(name for name in first if name != "rows")
    found = {"metric_difference": spread(metric)}
    if "positive_rate" in first:
        opportunity, false = spread("true_positive_rate"), spread("false_positive_rate")
        found["demographic_parity_difference"] = spread("positive_rate")
        found["equal_opportunity_difference"] = opportunity
        found["equalized_odds_difference"] = max(opportunity, false)
    return found
