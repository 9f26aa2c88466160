"""How unlike a candidate treats the groups of sensitive columns, for the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.fairness import FAIRNESS, disparity_interval
from everloop.measure.intervals import UNKNOWN, Interval, widest_gap
from everloop.table.groups import crossed_groups, crossings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from everloop.core.units import Bound
    from everloop.deploy.candidate import Candidate

FEWEST_ROWS = 30
"""Smaller groups are left out: their rates would be noise."""

METRIC_DIFFERENCE = "metric_difference"
MEASURES = (*FAIRNESS, METRIC_DIFFERENCE)
"""What `model.fairness` may bound; for other tasks than binary the last alone."""


@dataclass(frozen=True, slots=True)
class Found:
    """One measure over the groups of a column, or of a pair of columns.

    Attributes:
        columns: The column, or both.
        interval: The measure with its interval.
        groups: How many groups were compared.
        too_small: Groups that were left out, with their rows.
    """

    columns: tuple[str, ...]
    interval: Interval
    groups: int
    too_small: dict[str, int]

    def nearest_to(self, bound: Bound) -> float:
        """Gives the number of the interval that keeps the bound best."""
        return self.interval.low if bound.comparison in ("<=", "<") else self.interval.high

    def to_dict(self) -> dict[str, Any]:
        """Gives what was found as what JSON can carry."""
        return {
            "found": self.interval.estimate,
            **self.interval.to_dict(),
            "groups": self.groups,
            "too_small": self.too_small,
        }


def disparities(candidate: Candidate, name: str) -> Iterator[Found]:
    """Measures each sensitive column, then each pair of them; one group alone has no difference.

    Args:
        candidate: The version, on held-out rows.
        name: One of `MEASURES`.
    """
    for columns in crossings(candidate.frame.sensitive):
        texts = crossed_groups(candidate.rows, columns)
        known, counts = np.unique(texts.astype(str), return_counts=True)
        sizes = dict(zip(known.tolist(), counts.tolist(), strict=True))
        large = {text: place for place, (text, rows) in enumerate(sizes.items()) if rows >= FEWEST_ROWS}
        numbers = np.array([large.get(text, -1) for text in texts.tolist()])
        small = {text: rows for text, rows in sizes.items() if text not in large}
        yield Found(columns, _measured(candidate, name, numbers), len(large), small)


def _measured(candidate: Candidate, name: str, groups: np.ndarray) -> Interval:
    rows = groups >= 0
    if not rows.any() or (name in FAIRNESS and candidate.frame.task != "binary"):
        return UNKNOWN
    counts = candidate.counts
    if name in FAIRNESS:
        return disparity_interval(
            name,
            candidate.actual[rows],
            candidate.decisions[rows],
            groups[rows],
            weights=None if counts is None else counts[rows],
        )
    from everloop.measure.metric_intervals import metric_interval

    metric = candidate.frame.metric
    predicted = candidate.predicted_for(metric)
    masks = [groups == group for group in np.unique(groups[rows])]
    return widest_gap(
        [
            metric_interval(
                metric,
                candidate.actual[mask],
                predicted[mask],
                weights=None if counts is None else counts[mask],
            )
            for mask in masks
        ]
    )
