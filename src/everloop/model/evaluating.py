"""Evaluates a model on rows that it never saw: from arrays to an `Evaluation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.intervals import mean_interval, paired_interval
from everloop.measure.metric_intervals import metric_interval
from everloop.measure.metrics import METRICS, OF_ROWS, metrics_of
from everloop.measure.value import choose_threshold
from everloop.model.evaluation import Evaluation, Requirement
from everloop.model.evaluation_curves import binary_curves, class_curves, residual_facts
from everloop.model.fairness import judge_groups, worst_differences
from everloop.model.mitigation import decided_unlike, mitigation_of
from everloop.model.slices import SlicesFound, worst_slices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.measure.intervals import Interval
    from everloop.model.judged import Judged

PAIRS = 500


def evaluate(
    judged: Judged, *, importance: Mapping[str, float] | None = None, shown: bool = True
) -> Evaluation:
    """Evaluates scores on held-out rows.

    Args:
        judged: The rows, their scores and actuals.
        importance: What the metric loses when a column is shuffled, where it was measured.
        shown: Whether anybody looks at it: without, there are no slices, and nothing is compared with what
            is decided today but money.
    """
    # What needs more than scores and decisions is measured by whoever has it.
    asked = (metric.name for metric in metrics_of(judged.frame.task) if metric.needs in OF_ROWS)
    chosen = (judged.frame.metric,) if METRICS[judged.frame.metric].needs in OF_ROWS else ()
    names = dict.fromkeys((*chosen, *asked))
    metrics = {
        name: metric_interval(
            name, judged.actual, judged.predicted_for(name), seed=judged.seed, weights=judged.counts
        )
        for name in names
    }
    sliced = worst_slices(judged) if shown else SlicesFound()
    against_today = _against_today(judged) if shown else {}
    common: dict[str, Any] = {
        "part": judged.part,
        "rows": len(judged.actual),
        "metric": judged.frame.metric,
        "metrics": metrics,
        "threshold": judged.threshold,
        "classes": judged.frame.classes,
        "importance": dict(importance or {}),
        "slices": sliced.slices,
        "slices_looked_at": sliced.looked_at,
        "against_today": against_today,
        "mitigation": mitigation_of(judged),
    }
    money = _money(judged)
    fairness = judge_groups(judged)
    requirements = _requirements(judged, metrics, money, worst_differences(fairness))
    if judged.frame.task == "regression":
        return Evaluation(
            **common,
            **money,
            fairness=fairness,
            requirements=requirements,
            predicted=_pairs(judged),
            residuals=residual_facts(judged.scores, judged.actual),
        )
    return Evaluation(
        **common,
        **money,
        fairness=fairness,
        requirements=requirements,
        confusion=_confusion(judged),
        **_curves(judged),
    )


def _money(judged: Judged) -> dict[str, Any]:
    worth, counts = judged.worth, judged.counts
    if worth is None:
        return {}
    values = worth.values(judged.actual, judged.decisions)
    found: dict[str, Any] = {
        "value": mean_interval(values, weights=counts),
        "best_possible": float(np.average(worth.best_values(judged.actual), weights=counts)),
    }
    if worth.four is not None:
        chosen = choose_threshold(judged.scores, judged.actual, worth.four, weights=counts)
        found["value_curve"] = chosen.curve.to_dict()
    if judged.today is not None:
        today = worth.values(judged.actual, judged.today)
        found |= {
            "value_today": mean_interval(today, weights=counts),
            "gain": paired_interval(today, values, weights=counts),
        }
    return found


def _against_today(judged: Judged) -> dict[str, Interval]:
    """Compares what is decided with what is decided today, by each metric of decisions, row by row."""
    if judged.today is None:
        return {}
    today = np.asarray(judged.today, dtype=np.float64)
    return {} if np.isnan(today).any() else decided_unlike(judged, today)


def _requirements(
    judged: Judged,
    metrics: Mapping[str, Interval],
    money: Mapping[str, Any],
    differences: Mapping[str, float],
) -> tuple[Requirement, ...]:
    numbers = {name: interval.estimate for name, interval in metrics.items()}
    if "value" in money:
        numbers["value_per_decision"] = money["value"].estimate
    bounds = {**judged.required, **judged.fairness}
    found = []
    for name, bound in bounds.items():
        number = differences.get(name, numbers.get(name, float("nan")))
        found.append(Requirement(name, str(bound), bound.limit, number, bool(bound.holds(number))))
    return tuple(found)


def _confusion(judged: Judged) -> tuple[tuple[int, ...], ...]:
    size = len(judged.frame.classes)
    counts = np.zeros((size, size), dtype=np.int64)
    np.add.at(counts, (judged.actual.astype(np.int64), judged.decisions.astype(np.int64)), 1)
    return tuple(tuple(int(number) for number in row) for row in counts)


def _curves(judged: Judged) -> dict[str, Any]:
    curves = {"binary": binary_curves, "multiclass": class_curves}.get(judged.frame.task)
    return {} if curves is None else curves(judged.scores, judged.actual, judged.counts)


def _pairs(judged: Judged) -> dict[str, list[float]]:
    picked = np.unique(np.linspace(0, len(judged.actual) - 1, min(PAIRS, len(judged.actual))).astype(int))
    return {
        "predicted": judged.scores[picked].tolist(),
        "actual": judged.actual[picked].astype(float).tolist(),
    }
