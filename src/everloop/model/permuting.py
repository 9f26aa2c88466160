"""What the metric loses when a column is shuffled: what the whole model owes to it, on held-out rows.

Shapley values say what moves the scores; a column may move them and help nothing. This says what helps.

Source:
    Breiman, "Random Forests", Machine Learning 45 (2001), of a model as a whole; as in scikit-learn's
    `permutation_importance`, on rows that the model did not learn from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from everloop.measure.metrics import METRICS, OF_ROWS
from everloop.model.explanation import Permuted

if TYPE_CHECKING:
    from everloop.model.robustness import Disturbed

ROWS = 2_000
MOST_COLUMNS = 60


def permutation_of(given: Disturbed) -> tuple[Permuted, ...]:
    """Measures what shuffling each column costs, the costliest first.

    Each column is shuffled once, over the rows that are measured; the interval is of the difference on the
    same rows. Of columns beyond the 60 that move the scores most nothing is measured.

    Args:
        given: The rows and the model; its columns by falling strength.

    Returns:
        Nothing where the metric cannot be computed from these rows.
    """
    judged, metric = given.judged, given.judged.frame.metric
    if metric not in METRICS or METRICS[metric].needs not in OF_ROWS or np.isnan(judged.actual).any():
        return ()
    random = np.random.default_rng(judged.seed + 4)
    size = given.table.height
    rows = np.sort(random.choice(size, min(ROWS, size), replace=False))
    table, before = given.table[rows], judged.only(rows)
    sign = -1.0 if METRICS[metric].greater_is_better else 1.0
    found = []
    for name in given.columns[:MOST_COLUMNS]:
        shuffled = table.with_columns(table[name].gather(random.permutation(len(rows))))
        after = replace(
            before, scores=given.scores(shuffled), table=before.table.with_columns(shuffled.get_columns())
        )
        found.append(Permuted(name, before.difference_to(after, metric).scaled(sign)))
    return tuple(sorted(found, key=lambda one: (-np.nan_to_num(one.loss.estimate), one.column)))
