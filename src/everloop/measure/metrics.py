"""The metrics that models are chosen by, as one table: `METRICS`.

A metric that is not defined on what it gets (one class only, no rows, a constant actual for R2) is NaN,
with no warning: `Bound.holds(nan)` is false, so a requirement is never met by an unknown number.

Example:
    >>> compute("roc_auc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import SpecFault
from everloop.core.nearness import near_names
from everloop.measure import (
    calibration,
    capacity,
    clusters,
    confusion,
    multiclass,
    ranking,
    recommendation,
    regression,
)
from everloop.measure.arrays import Booleans, Floats, binary, matrix, numbers, same_length, weights_for

if TYPE_CHECKING:
    from collections.abc import Iterable

Needs = Literal["score", "decision", "number", "probabilities", "contrast", "rows", "resamples", "lists"]
OF_ROWS: tuple[Needs, ...] = ("score", "decision", "number", "probabilities")
"""What a metric may need that each row has one of, beside its actual."""

_BINARY, _MULTICLASS, _REGRESSION = ("binary",), ("multiclass",), ("regression",)
_CLASSES = ("binary", "multiclass")
_ANOMALY, _CLUSTERING = ("anomaly",), ("clustering",)
_EVENTS = (*_BINARY, *_ANOMALY)


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is for and what it must be given.

    Attributes:
        name: As in the lifecycle file.
        tasks: The tasks that it judges.
        greater_is_better: Whether more is better.
        needs: ``score``: anything that ranks; ``probabilities``: calibrated chances, shape (n,) of the
            positive class for binary and (n, classes) for multiclass; ``decision``: 0/1 or class
            indices; ``number``: the predicted number; ``contrast``: scores of the rows and of points drawn
            evenly from the space around them, the actual being 1 for a row and 0 for a point; ``rows``:
            cluster indices, the actual being the encoded rows, (n, width); ``resamples``: numbers between
            0 and 1, one for each two models of resampled rows, that say how far they agree; ``lists``:
            how many items came later, (entities,), the actual being 1 where the item at a place of the
            entity's list came, (entities, places).
        function: From actual, predicted and weights (arrays that were checked) to the number.
        needs_actual: Whether it cannot be measured without labels.
    """

    name: str
    tasks: tuple[str, ...]
    greater_is_better: bool
    needs: Needs
    function: Callable[[ArrayLike, ArrayLike, Floats], float]
    needs_actual: bool = True


def log_loss(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The mean of -log of the chance that was given to what happened; chances are kept off 0 and 1.

    Source:
        Good, "Rational decisions" (1952). The clip is the double's epsilon, as in scikit-learn.
    """
    chances = np.asarray(predicted, dtype=np.float64)
    if chances.ndim == 2:
        given = multiclass.chance_of_actual(actual, chances)
    else:
        scores = numbers(chances, "scores")
        given = np.where(binary(actual, "actuals"), scores, 1 - scores)
    epsilon = np.finfo(np.float64).eps
    return regression.mean(-np.log(np.clip(given, epsilon, 1 - epsilon)), weights)


def brier(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The mean squared difference of chance and outcome.

    Source:
        Brier, Monthly Weather Review 78 (1950): for two classes in the form between 0 and 1, for more in
        the first one, between 0 and 2.
    """
    if np.ndim(predicted) == 2:
        return multiclass.brier(actual, predicted, weights)
    return regression.mean((numbers(predicted, "scores") - binary(actual, "actuals")) ** 2, weights)


def calibration_error(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The expected calibration error; for many classes of the chance of the decided one."""
    if np.ndim(predicted) == 2:
        return multiclass.calibration_error(actual, predicted, weights)
    return calibration.calibration_error(predicted, actual, weights=weights)


def _ranked(
    function: Callable[[Booleans, Floats, Floats], float],
) -> Callable[[ArrayLike, ArrayLike, Floats], float]:
    def measure(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
        return function(binary(actual, "actuals"), numbers(predicted, "scores"), weights)

    return measure


def _within(
    function: Callable[[float, Booleans, Floats, Floats], float], share: float
) -> Callable[[ArrayLike, ArrayLike, Floats], float]:
    return _ranked(partial(function, share))


def stability(_actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
    """The mean agreement of models that were fitted on resampled rows."""
    return regression.mean(numbers(predicted, "agreements"), weights)


def _decided(name: str) -> Callable[[ArrayLike, ArrayLike, Floats], float]:
    def measure(actual: ArrayLike, predicted: ArrayLike, weights: Floats) -> float:
        decision = binary(predicted, "decisions")
        counts = confusion.confusion_of(binary(actual, "actuals"), decision, weights)
        return float(confusion.DECISION_MEASURES[name](counts))

    return measure


_ALL = (
    Metric("roc_auc", _EVENTS, True, "score", _ranked(ranking.roc_auc)),
    Metric("average_precision", _EVENTS, True, "score", _ranked(ranking.average_precision)),
    Metric("log_loss", _CLASSES, False, "probabilities", log_loss),
    Metric("brier", _CLASSES, False, "probabilities", brier),
    Metric("calibration_error", _CLASSES, False, "probabilities", calibration_error),
    Metric("kolmogorov_smirnov", _BINARY, True, "score", _ranked(ranking.kolmogorov_smirnov)),
    Metric("accuracy", _CLASSES, True, "decision", multiclass.accuracy),
    Metric("balanced_accuracy", _CLASSES, True, "decision", multiclass.balanced_accuracy),
    Metric("precision", _EVENTS, True, "decision", _decided("precision")),
    Metric("recall", _EVENTS, True, "decision", _decided("recall")),
    Metric("specificity", _EVENTS, True, "decision", _decided("specificity")),
    Metric("f1", _EVENTS, True, "decision", _decided("f1")),
    Metric("mcc", _CLASSES, True, "decision", multiclass.mcc),
    Metric("kappa", _CLASSES, True, "decision", multiclass.kappa),
    Metric("positive_rate", _EVENTS, False, "decision", _decided("positive_rate"), needs_actual=False),
    *(
        Metric(f"{name}_{average}", _MULTICLASS, True, "decision", multiclass.averaged(name, average))
        for name in ("precision", "recall", "f1")
        for average in ("macro", "micro", "weighted")
    ),
    Metric("top_3_accuracy", _MULTICLASS, True, "probabilities", multiclass.top_accuracy(3)),
    Metric("top_5_accuracy", _MULTICLASS, True, "probabilities", multiclass.top_accuracy(5)),
    Metric("roc_auc_ovr", _MULTICLASS, True, "probabilities", multiclass.roc_auc_ovr),
    Metric("rmse", _REGRESSION, False, "number", regression.rmse),
    Metric("mae", _REGRESSION, False, "number", regression.mae),
    Metric("median_absolute_error", _REGRESSION, False, "number", regression.median_absolute_error),
    Metric("mape", _REGRESSION, False, "number", regression.mape),
    Metric("smape", _REGRESSION, False, "number", regression.smape),
    Metric("rmsle", _REGRESSION, False, "number", regression.rmsle),
    Metric("max_error", _REGRESSION, False, "number", regression.max_error),
    Metric("pinball_10", _REGRESSION, False, "number", regression.pinball(0.1)),
    Metric("pinball_90", _REGRESSION, False, "number", regression.pinball(0.9)),
    Metric("r2", _REGRESSION, True, "number", regression.r2),
    Metric("explained_variance", _REGRESSION, True, "number", regression.explained_variance),
    Metric("recall_at_1_percent", _ANOMALY, True, "score", _within(capacity.recall_at, 0.01)),
    Metric("recall_at_5_percent", _ANOMALY, True, "score", _within(capacity.recall_at, 0.05)),
    Metric("precision_at_1_percent", _ANOMALY, True, "score", _within(capacity.precision_at, 0.01)),
    Metric("precision_at_5_percent", _ANOMALY, True, "score", _within(capacity.precision_at, 0.05)),
    Metric("volume_excluded", _ANOMALY, True, "contrast", _ranked(capacity.volume_excluded), False),
    Metric("silhouette", _CLUSTERING, True, "rows", clusters.silhouette, False),
    Metric("davies_bouldin", _CLUSTERING, False, "rows", clusters.davies_bouldin, False),
    Metric("calinski_harabasz", _CLUSTERING, True, "rows", clusters.calinski_harabasz, False),
    Metric("stability", (*_ANOMALY, *_CLUSTERING), True, "resamples", stability, False),
)


def _of_lists(family: str, places: int) -> Metric:
    name = recommendation.list_metric_name(family, places)
    values = recommendation.mean_of(recommendation.LIST_METRICS[name])
    return Metric(name, ("recommendation",), True, "lists", values)


METRICS: dict[str, Metric] = recommendation.ListMetrics(_of_lists, {metric.name: metric for metric in _ALL})
"""Every metric by its name; of those of lists those of ten items, and any other that is asked for."""


def metric_named(name: str) -> Metric:
    """Finds a metric.

    Raises:
        SpecFault: When there is none of that name.
    """
    if name in METRICS:
        return METRICS[name]
    raise SpecFault(
        f"{name!r} is not a metric; known are {', '.join(METRICS)}.", hint=nearest_metric(name, METRICS)
    )


def nearest_metric(name: str, known: Iterable[str]) -> str | None:
    """Says what a name that is no metric may have meant; None where nothing is near."""
    of_lists = recommendation.list_metric_hint(name)
    near = near_names(name, known)
    return of_lists or (f"did you mean {near[0]}?" if near else None)


def judges(name: str, task: str, *, labelled: bool = True) -> bool:
    """Says whether there is a metric of that name that judges a task, with or without labels."""
    return name in METRICS and task in METRICS[name].tasks and (labelled or not METRICS[name].needs_actual)


def metrics_of(task: str) -> tuple[Metric, ...]:
    """Gives the metrics that judge a task; those of lists of ten items, of all that there are."""
    return tuple(metric for metric in METRICS.values() if task in metric.tasks)


def compute(name: str, actual: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Computes one metric.

    Args:
        name: A key of `METRICS`.
        actual: Shape (n,): 0/1 for binary, class indices for multiclass, numbers for regression.
        predicted: What the metric `needs`, shape (n,); for multiclass probabilities (n, classes), from
            which a metric that needs decisions takes the likeliest class.
        weights: The rows' weights, shape (n,), at least 0; all 1 when left out.

    Returns:
        The metric, or NaN where it is not defined (no rows, one class only).

    Raises:
        SpecFault: When there is no metric of that name.
        DataFault: When the arrays do not fit each other or hold missing values.
    """
    metric = metric_named(name)
    size = len(np.atleast_1d(np.asarray(actual)))
    given = np.atleast_1d(np.asarray(predicted))
    same_length(size, predictions=given)
    if metric.needs == "decision" and given.ndim == 2:
        given = np.argmax(matrix(given, "probabilities"), axis=1)
    return metric.function(actual, given, weights_for(weights, size))
