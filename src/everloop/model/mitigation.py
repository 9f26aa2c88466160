"""Treating groups alike: how it is asked for, and what it costs against the same model without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.measure.intervals import mean_interval, paired_interval
from everloop.measure.metric_intervals import metric_difference
from everloop.measure.metrics import metrics_of
from everloop.model.decision import Alike
from everloop.model.evaluation import Mitigation
from everloop.model.fairness import judge_groups
from everloop.table.groups import MOST_GROUPS
from everloop.table.labels import label_texts

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.measure.intervals import Interval
    from everloop.model.evaluating import Judged
    from everloop.model.train import TrainingSettings
    from everloop.spec.frame import Frame

THRESHOLDS = "thresholds"


def alike_of(table: pl.DataFrame, frame: Frame, settings: TrainingSettings) -> Alike | None:
    """Gives the groups that get thresholds of their own, where that is asked for.

    Raises:
        DataFault: When the sensitive column has no groups of which each row shows the one that it is in.
    """
    if settings.mitigate != THRESHOLDS:
        return None
    if frame.task != "binary":
        raise DataFault(
            f"model.mitigate moves decisions between two classes; the task is {frame.task}.",
            hint="leave it out; bounds in model.fairness hold for every task",
            place="model.mitigate",
        )
    column = frame.sensitive[0]
    require_groups(table[column])
    return Alike(column, label_texts(table[column]).to_list(), settings.fairness)


def require_groups(column: pl.Series) -> None:
    """Refuses a column whose values are no groups.

    Raises:
        DataFault: When it holds numbers of many values: a server that sees one row knows no quartiles.
    """
    if column.dtype.is_numeric() and column.n_unique() > MOST_GROUPS:
        raise DataFault(
            f"model.mitigate gives each value of {column.name!r} a threshold of its own; it holds numbers of "
            f"{column.n_unique():,} values.",
            hint=f"make it a column of groups in data.table, such as: case when {column.name} < 40 then "
            "'under 40' else '40 or more' end",
            place="model.mitigate",
        )


def mitigation_of(judged: Judged) -> Mitigation | None:
    """Compares decisions with those of the same model without mitigation, on the same rows."""
    plain = judged.unmitigated
    if judged.mitigate is None or plain is None:
        return None
    money: dict[str, Interval] = {}
    if judged.worth is not None:
        ours, theirs = (judged.worth.values(judged.actual, one.decisions) for one in (judged, plain))
        money = {"value_without": mean_interval(theirs), "price": paired_interval(ours, theirs)}
    return Mitigation(
        judged.mitigate,
        **money,
        changes=decided_unlike(judged, plain.decisions),
        without={one.name: one.differences for one in judge_groups(plain)},
    )


def decided_unlike(judged: Judged, others: NDArray[Any]) -> dict[str, Interval]:
    """Compares decisions with others on the same rows, by each metric of decisions: ours less theirs."""
    names = [one.name for one in metrics_of(judged.frame.task) if one.needs in ("decision", "number")]
    theirs = np.asarray(others, dtype=np.float64)
    found = {
        name: metric_difference(name, judged.actual, theirs, judged.decisions, seed=judged.seed)
        for name in names
    }
    return {name: interval for name, interval in found.items() if not np.isnan(interval.estimate)}
