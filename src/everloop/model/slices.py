"""The slices of the rows on which a model does worst."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.metrics import METRICS, compute
from everloop.model.evaluation import Slice
from everloop.model.fairness import groups_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from everloop.measure.intervals import Interval
    from everloop.model.evaluating import Judged

FEWEST_ROWS = 50
FEWEST_SHARE = 0.01
MOST_COLUMNS = 40
SHOWN = 5


def worst_slices(judged: Judged, interval: Callable[[Judged, str], Interval]) -> tuple[Slice, ...]:
    """Gives the slices by one column on which the metric is worst against all other rows.

    Args:
        judged: The rows.
        interval: Gives a metric with its interval.
    """
    metric, frame = judged.frame.metric, judged.frame
    sign = 1.0 if METRICS[metric].greater_is_better else -1.0
    columns = [name for name in (*frame.sensitive, *frame.inputs) if name in judged.table.columns][
        :MOST_COLUMNS
    ]
    fewest = max(FEWEST_ROWS, int(FEWEST_SHARE * len(judged.actual)))
    predicted = judged.predicted_for(metric)
    found: list[tuple[float, str, str, np.ndarray, float]] = []
    for name in dict.fromkeys(columns):
        if judged.table[name].dtype.is_temporal():
            continue
        for value, rows in groups_of(judged, name).items():
            others = np.setdiff1d(np.arange(len(judged.actual)), rows, assume_unique=True)
            if min(len(rows), len(others)) < fewest:
                continue
            score = compute(metric, judged.actual[rows], predicted[rows])
            rest = compute(metric, judged.actual[others], predicted[others])
            if not np.isnan(score - rest):
                found.append((sign * (score - rest), name, value, rows, rest))
    worst = sorted(found, key=lambda item: (item[0], item[1], item[2]))[:SHOWN]
    return tuple(
        Slice(name, value, len(rows), interval(_part(judged, rows), metric), rest)
        for gap, name, value, rows, rest in worst
        if gap < 0
    )


def _part(judged: Judged, rows: np.ndarray) -> Judged:
    from dataclasses import replace

    taken: dict[str, Any] = {
        "scores": judged.scores[rows],
        "actual": judged.actual[rows],
        "table": judged.table[rows],
    }
    return replace(judged, **taken, worth=None, today=None)
