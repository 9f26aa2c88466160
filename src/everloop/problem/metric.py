"""What models are chosen by: from the task, how rare the event is, and prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import SpecFault
from everloop.core.tasks import TASKS
from everloop.table.labels import actuals_of
from everloop.table.worth import worth_of

if TYPE_CHECKING:
    from everloop.spec.frame import Frame
    from everloop.spec.goal import ValueSpec
    from everloop.table.stored import ColumnTable

RARE_POSITIVES = 0.2
LINEAR = 1.5
"""Prices that grow with less than this power of the error grow with it, not with its square."""

PRICED_ROWS = 2_000
LABELLED_REASON = {"anomaly": "labels choose and judge: it rewards anomalies that come first"}


def infer_metric(
    frame: Frame, counts: dict[str, int], value: ValueSpec | None, table: ColumnTable
) -> tuple[str, str]:
    """Gives the metric of a problem with a target, and why it is that one.

    Args:
        frame: The problem so far: task, target, classes.
        counts: The rows of each label.
        value: `goal.value` of the lifecycle file, if it is stated.
        table: The rows.
    """
    priced = value is not None and value.kind == frame.task
    if frame.task == "regression":
        return _of_a_number(frame, value if priced else None, table)
    if frame.task == "multiclass":
        why = "it rewards honest chances for every class"
        return "log_loss", f"{why}, by which prices are weighed" if priced else why
    if not TASKS[frame.task].supervised:
        why = LABELLED_REASON.get(frame.task, TASKS[frame.task].metric_reason)
        why += "; among models the one whose lists earn most is chosen" if priced else ""
        return "average_precision" if frame.task == "anomaly" else TASKS[frame.task].metric, why
    share = counts[frame.positive or ""] / sum(counts.values())
    chosen = "; the threshold on the ranking is chosen by prices" if priced else ""
    if share < RARE_POSITIVES:
        return "average_precision", f"positives are rare ({share:.1%}){chosen}"
    return "roc_auc", f"classes are balanced enough ({share:.1%} positive){chosen}"


def _of_a_number(frame: Frame, value: ValueSpec | None, table: ColumnTable) -> tuple[str, str]:
    growth = None if value is None else price_growth(frame, value, table)
    if growth is None:
        return "rmse", "the usual one for a number: large errors weigh more"
    if growth < LINEAR:
        return "mae", f"an error of twice the size costs {2**growth:.2g} times as much by goal.value"
    return "rmse", f"an error of twice the size costs {2**growth:.2g} times as much: large ones weigh more"


def price_growth(frame: Frame, value: ValueSpec, table: ColumnTable) -> float | None:
    """Says with which power of an error its price grows: 1 where it is proportional, 2 where squared.

    Errors of half a standard deviation of the target and of a whole one are priced, up and down.

    Returns:
        None where errors cost nothing.

    Raises:
        SpecFault: When a price cannot be evaluated.
    """
    import polars as pl

    rows = table.lazy().filter(pl.col(frame.target).is_not_null()).head(PRICED_ROWS).collect()
    actual = actuals_of(rows[frame.target], frame)
    worth = worth_of(value, frame, rows)
    spread = float(np.std(actual))
    if worth is None or spread == 0.0:
        return None
    right = worth.values(actual, actual)
    half, whole = (
        sum(float((right - worth.values(actual, actual + sign * size * spread)).mean()) for sign in (-1, 1))
        for size in (0.5, 1.0)
    )
    return float(np.log2(whole / half)) if half > 0 and whole > 0 else None


def known_metric(name: str, task: str, *, labelled: bool = True) -> str:
    """Gives a metric that the file names, which the task must have.

    Raises:
        SpecFault: When it has not.
    """
    from everloop.measure.metrics import METRICS, judges, nearest_metric

    if not judges(name, task, labelled=labelled):
        fitting = [known for known in METRICS if judges(known, task, labelled=labelled)]
        without = "" if labelled else " without labels"
        raise SpecFault(
            f"problem.optimise names {name!r}, which is no metric of a {task} problem{without}.",
            hint=nearest_metric(name, fitting) or f"known: {', '.join(fitting)}",
        )
    return name
