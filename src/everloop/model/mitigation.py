"""Treating groups alike: how it is asked for, and what it costs against the same model without it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault, ModelFault
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
    from everloop.model.budget import Budget
    from everloop.model.judged import Judged
    from everloop.model.learners.learner import Learner
    from everloop.model.training_inputs import TrainingSettings
    from everloop.spec.frame import Frame

THRESHOLDS, REWEIGHING = "thresholds", "reweighing"

SHARE_OF_SEARCH = 0.65
"""The share of a time budget that the search has where the model is fitted once more without weights."""


def alike_of(table: pl.DataFrame, frame: Frame, settings: TrainingSettings) -> Alike | None:
    """Gives the groups that get thresholds of their own, where that is asked for."""
    if settings.mitigate != THRESHOLDS:
        return None
    column = frame.sensitive[0]
    return Alike(column, label_texts(table[column]).to_list(), settings.fairness)


def mitigable(
    learners: tuple[Learner, ...], settings: TrainingSettings
) -> tuple[tuple[Learner, ...], Budget]:
    """Gives the learners that can be made to treat groups alike, and what the search may spend on them.

    Raises:
        ModelFault: When rows are weighed and no learner takes weights.
    """
    if settings.mitigate != REWEIGHING:
        return learners, settings.budget
    able = tuple(one for one in learners if one.capabilities.takes_weights)
    if not able:
        names = ", ".join(one.name for one in learners)
        raise ModelFault(
            f"model.mitigate: reweighing weighs rows, which {names} cannot.",
            hint="name others in model.learners, or mitigate: thresholds",
        )
    seconds = settings.budget.seconds
    return able, settings.budget if seconds is None else replace(
        settings.budget, seconds=SHARE_OF_SEARCH * seconds
    )


def require_groups(table: pl.DataFrame, frame: Frame, settings: TrainingSettings) -> None:
    """Refuses to mitigate where there are no classes or no groups.

    Raises:
        DataFault: When the task has no decisions that can be moved; or groups are to have thresholds and the
            column holds numbers of many values: a server that sees one row knows no quartiles.
    """
    if settings.mitigate is None:
        return
    able = ("binary",) if settings.mitigate == THRESHOLDS else ("binary", "multiclass")
    if frame.task not in able:
        raise DataFault(
            f"model.mitigate: {settings.mitigate} is for {' and '.join(able)}; the task is {frame.task}.",
            hint="leave it out; bounds in model.fairness hold for every task",
            place="model.mitigate",
        )
    column = table[frame.sensitive[0]]
    if settings.mitigate == THRESHOLDS and column.dtype.is_numeric() and column.n_unique() > MOST_GROUPS:
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
        money = {
            "value_without": mean_interval(theirs, weights=judged.counts),
            "price": paired_interval(ours, theirs, weights=judged.counts),
        }
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
        name: metric_difference(
            name, judged.actual, theirs, judged.decisions, seed=judged.seed, weights=judged.counts
        )
        for name in names
    }
    return {name: interval for name, interval in found.items() if not np.isnan(interval.estimate)}
