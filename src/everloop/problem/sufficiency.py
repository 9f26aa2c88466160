"""Are there enough labels: a quick model's learning curve, carried on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from everloop.core.tasks import TASKS
from everloop.measure.curves import LearningCurve, fit_learning_curve
from everloop.measure.metrics import METRICS, compute
from everloop.problem.quick_model import (
    arrays_of,
    fitted_scores,
    labelled_rows,
    measured_metric,
    quick_learner,
    taken,
)
from everloop.table.sufficiency import Ahead, Sufficiency

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.core.units import Bound
    from everloop.measure.intervals import Interval
    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable

# Nested shares of the training rows, in even steps of their logarithm.
SHARES = (0.0625, 0.125, 0.25, 0.5, 0.75, 1.0)
REPEATS = 4
MOST_ROWS = 16_000
FEWEST_ROWS = 60
CHANCE_MARGIN = 2.0
# How many times the labels there are the curve is carried on to.
FACTORS = (1.5, 2.0, 4.0, 8.0)
MOST_FACTOR = 10.0
_BOOTSTRAP = 60


@dataclass(frozen=True, slots=True)
class Points:
    """A learning curve as measured.

    Attributes:
        sizes: Rows learned from, rising.
        scores: The metric at each, one for each repeat.
        common_error: The standard error that all points share: they are scored on the same rows, and learn
            from parts of the same.
    """

    sizes: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]
    common_error: float = 0.0

    def curve(self, metric: str) -> LearningCurve:
        """Fits them."""
        repeats = [len(points) for points in self.scores]
        scores = np.concatenate([np.array(points) for points in self.scores])
        limits = (-np.inf, 1.0) if METRICS[metric].greater_is_better else (0.0, np.inf)
        return fit_learning_curve(
            np.repeat(self.sizes, repeats), scores, common_error=self.common_error, limits=limits
        )


def judge_labels(
    table: ColumnTable,
    frame: Frame,
    *,
    seed: int = 0,
    required: Bound | None = None,
    most_rows: int = MOST_ROWS,
) -> Sufficiency:
    """Judges whether the labels suffice, by a quick model on nested subsets.

    Rows with a time are learned from in time order's past and scored on its future; others at random, each
    row being scored once. At most 16,000 rows are used.

    Args:
        table: The rows, the target among the columns.
        frame: The problem.
        seed: Of the subsets.
        required: The bound that the metric must keep, if any.
        most_rows: Of a larger table so many are used.

    Returns:
        The verdict with its curve.
    """
    if not TASKS[frame.task].supervised:
        return _not_needed(table, frame)
    places = labelled_rows(table, frame)
    labels = len(places)
    if labels < FEWEST_ROWS:
        reason = f"{labels} labelled rows; at least {FEWEST_ROWS} are needed to judge"
        return Sufficiency("too few", reason, frame.metric, labels)
    if labels > most_rows:
        places = places[np.linspace(0, labels - 1, most_rows).astype(np.int64)]
    inputs, target = arrays_of(taken(table, places, (*frame.inputs, frame.target)), frame)
    points = measure_points(
        inputs, target, frame, np.random.default_rng(seed), in_order=frame.time is not None
    )
    return _judge(frame, labels, points, base_rate=float(np.mean(target)), required=required)


def _not_needed(table: ColumnTable, frame: Frame) -> Sufficiency:
    labels = int(table[frame.target].is_not_null().sum()) if frame.is_labelled else 0
    use = f"{labels} labels choose between models and judge them" if labels else "none are given"
    reason = f"{frame.task} is learned without labels; {use}"
    if not TASKS[frame.task].alone:
        reason = f"{labels} events are what is learned from; what came later judges"
    return Sufficiency("not needed", reason, frame.metric, labels)


def measure_points(
    inputs: NDArray[np.float64],
    target: NDArray[np.float64],
    frame: Frame,
    random: np.random.Generator,
    *,
    in_order: bool,
) -> Points:
    """Scores a quick model that learned from more and more rows.

    Args:
        inputs: Shape (n, columns).
        target: Class positions or numbers, shape (n,).
        frame: The problem.
        random: Draws the subsets.
        in_order: Whether the last quarter of the rows is scored, and not each quarter in turn.
    """
    # The limit holds for the libraries that are loaded when it is set.
    import sklearn.ensemble  # noqa: F401
    from threadpoolctl import threadpool_limits

    rows = len(target)
    order = np.arange(rows) if in_order else random.permutation(rows)
    quarters = np.array_split(order, 4)
    pool_size = rows - len(quarters[3])
    sizes = tuple(dict.fromkeys(max(20, round(pool_size * share)) for share in SHARES))
    metric, scores, errors = measured_metric(frame), [list[float]() for _ in sizes], list[float]()
    # On tables of this size one thread is faster than several that wait for each other.
    with threadpool_limits(1):
        for repeat in range(REPEATS):
            quarter = 3 if in_order else repeat % 4
            held_out = quarters[quarter]
            pool = np.concatenate([part for place, part in enumerate(quarters) if place != quarter])
            shuffled = random.permutation(pool)
            for points, size in zip(scores, sizes, strict=True):
                given = fitted_scores(quick_learner(frame), inputs, target, shuffled[:size], held_out, frame)
                score = float("nan") if given is None else compute(metric, target[held_out], given)
                if np.isfinite(score):
                    points.append(score)
            if given is not None:
                errors.append(_error(metric, target[held_out], given, random))
    kept = [(size, tuple(points)) for size, points in zip(sizes, scores, strict=True) if points]
    known = [error for error in errors if np.isfinite(error)]
    # Quarters that are scored in turn hold different rows, so their errors average out. That other rows
    # would have been learned from moves a score about as much as that others would have been scored.
    common = float(np.mean(known)) * np.sqrt(2.0) / (1.0 if in_order else np.sqrt(4)) if known else 0.0
    return Points(tuple(size for size, _ in kept), tuple(points for _, points in kept), float(common))


def _error(
    metric: str, actual: NDArray[np.float64], scores: NDArray[np.float64], random: np.random.Generator
) -> float:
    """The standard error of a metric on these rows, by the bootstrap."""
    size = len(actual)
    found = []
    for _ in range(_BOOTSTRAP):
        rows = random.integers(0, size, size)
        found.append(compute(metric, actual[rows], scores[rows]))
    known = [number for number in found if np.isfinite(number)]
    return float(np.std(known)) if len(known) > 1 else float("nan")


def _judge(
    frame: Frame, labels: int, points: Points, *, base_rate: float, required: Bound | None
) -> Sufficiency:
    metric = measured_metric(frame)
    found = Sufficiency("unclear", "", metric, labels, points.sizes, points.scores)
    chance = _chance(frame, metric, points.scores, base_rate)
    if chance is not None:
        return _with(found, "too few", chance)
    if len(points.sizes) < 4:
        return _with(
            found, "unclear", f"only {len(points.sizes)} sizes could be learned from, too few for a curve"
        )
    curve = points.curve(metric)
    if not curve.well_behaved:
        return _with(found, "unclear", curve.reason)
    # A quarter of the labels there are is held out, whatever their number.
    of_labels = 0.75
    now, double = curve.at(of_labels * labels), curve.at(of_labels * 2 * labels)
    if not double.high - double.low < abs(now.estimate):
        return _with(found, "unclear", f"the curve foretells {metric} too loosely: {_said(double)}")
    spread = max(float(np.std(scores)) for scores in points.scores[-2:])
    gain = abs(double.estimate - now.estimate)
    enough = gain <= max(2 * spread / np.sqrt(REPEATS), 0.005 * max(1e-9, abs(now.estimate)))
    ahead = tuple(
        Ahead(_round(labels * (factor - 1)), curve.at(of_labels * (labels + _round(labels * (factor - 1)))))
        for factor in FACTORS
    )
    reason = (
        f"twice the labels would change {metric} by {gain:.3f}"
        if enough
        else f"with {ahead[1].more:,} more labels: {metric} {_said(double)}, now {now.estimate:.3g}"
    )
    needed = None if required is None else _needed(curve, labels, required, of_labels)
    return replace(
        _with(found, "enough" if enough else "more", reason),
        now=now,
        at_double=double,
        ahead=ahead,
        required=None if required is None else str(required),
        needed=needed,
    )


def _with(found: Sufficiency, verdict: str, reason: str) -> Sufficiency:
    return replace(found, verdict=verdict, reason=reason)


def _said(score: Interval) -> str:
    return f"{score.estimate:.3g} ({score.low:.3g} to {score.high:.3g})"


def _round(count: float) -> int:
    """Two digits of a count say all that a forecast knows."""
    step: int = 10 ** max(0, len(str(int(count))) - 2)
    return max(1, round(count / step) * step)


def _needed(curve: LearningCurve, labels: int, required: Bound, of_labels: float) -> int | None:
    """The fewest more labels with which the expected score keeps a bound."""
    for factor in np.geomspace(1.0, MOST_FACTOR, 60):
        if required.holds(curve.at(of_labels * labels * float(factor)).estimate):
            return 0 if factor == 1.0 else _round(labels * (float(factor) - 1))
    return None


def _chance(frame: Frame, metric: str, scores: tuple[tuple[float, ...], ...], base_rate: float) -> str | None:
    """Says that the quick model is no better than chance, where the metric of chance is known."""
    levels = {"roc_auc": 0.5, "average_precision": base_rate}
    if frame.task != "binary" or metric not in levels or not scores:
        return None
    best = np.array(scores[-1])
    if best.mean() - CHANCE_MARGIN * best.std(ddof=0) > levels[metric] * 1.02:
        return None
    return (
        f"a quick model cannot be told from chance ({metric} {best.mean():.3f}, chance {levels[metric]:.3f})"
    )
