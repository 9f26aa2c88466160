"""Are there enough labels: a quick model's learning curve, extrapolated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.tasks import TASKS
from everloop.measure.curves import fit_learning_curve
from everloop.measure.intervals import Interval
from everloop.measure.metrics import METRICS, compute
from everloop.table.labels import class_indices, label_texts

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable

# Nested shares of the training rows; five sizes are the fewest that a curve with three parameters needs.
SHARES = (0.08, 0.16, 0.32, 0.64, 1.0)
REPEATS = 3
MOST_ROWS = 16_000
FEWEST_ROWS = 60
MOST_CATEGORIES = 255
CHANCE_MARGIN = 2.0
_TAKEN = "\0taken"


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """What more labels would bring.

    Attributes:
        verdict: `enough` (twice the labels change little), `more` (they would help), `too few`
            (the model cannot be told from chance, or the rows do not suffice to judge),
            `unclear` (the curve is ill-behaved, so nothing is extrapolated), or `not needed` (the task
            is learned without labels).
        reason: Why, in a sentence.
        metric: What was measured.
        labels: Labelled rows there are.
        sizes: Training rows of each point of the curve.
        scores: The metric at each size, one list of repeats each.
        at_double: The metric expected with twice the labels, where it can be said.
        now: The metric expected with all the labels there are, where it can be said.
    """

    verdict: str
    reason: str
    metric: str
    labels: int
    sizes: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]
    now: Interval | None
    at_double: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """Gives the finding as what JSON can carry."""
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "metric": self.metric,
            "labels": self.labels,
            "sizes": list(self.sizes),
            "scores": [list(repeats) for repeats in self.scores],
            "now": self.now.to_dict() if self.now else None,
            "at_double": self.at_double.to_dict() if self.at_double else None,
        }


def judge_labels(table: ColumnTable, frame: Frame, *, seed: int = 0) -> Sufficiency:
    """Judges whether the labels suffice, by a quick model on nested subsets.

    Rows with a time are learned from in time order's past and scored on its future; others at
    random. At most 16,000 rows are used.

    Args:
        table: The rows, the target among the columns.
        frame: The problem.
        seed: Of the subsets.

    Returns:
        The verdict with its curve.
    """
    if not TASKS[frame.task].supervised:
        return _not_needed(table, frame)
    places = _labelled(table, frame)
    labels = len(places)
    if labels < FEWEST_ROWS:
        reason = f"{labels} labelled rows; at least {FEWEST_ROWS} are needed to judge"
        return Sufficiency("too few", reason, frame.metric, labels, (), (), None, None)
    if labels > MOST_ROWS:
        places = places[np.linspace(0, labels - 1, MOST_ROWS).astype(np.int64)]
    inputs, target = _arrays(_taken(table, places, (*frame.inputs, frame.target)), frame)
    sizes, scores = _curve(
        inputs, target, frame, np.random.default_rng(seed), in_order=frame.time is not None
    )
    return _judge(frame, labels, sizes, scores, base_rate=float(np.mean(target)))


def _not_needed(table: ColumnTable, frame: Frame) -> Sufficiency:
    labels = int(table[frame.target].is_not_null().sum()) if frame.is_labelled else 0
    use = f"{labels} labels choose between models and judge them" if labels else "none are given"
    reason = f"{frame.task} is learned without labels; {use}"
    return Sufficiency("not needed", reason, frame.metric, labels, (), (), None, None)


def _labelled(table: ColumnTable, frame: Frame) -> NDArray[np.int64]:
    """Gives the positions of the labelled rows, in the order of their time where they have one."""
    import polars as pl

    places = np.flatnonzero(table[frame.target].is_not_null().to_numpy())
    if frame.time is None:
        return places
    times = table[frame.time].cast(pl.Datetime("us")).to_physical()
    early = np.iinfo(np.int64).min  # rows without a time come first
    return places[np.argsort(times.fill_null(early).to_numpy()[places], kind="stable")]


def _taken(table: ColumnTable, places: NDArray[np.int64], columns: tuple[str, ...]) -> pl.DataFrame:
    """Reads some columns of some rows, in the order of the positions."""
    import polars as pl

    chosen = np.unique(places)
    mask = np.zeros(table.height, dtype=np.bool_)
    mask[chosen] = True
    marked = pl.concat([table.lazy(), pl.LazyFrame({_TAKEN: mask})], how="horizontal")
    rows = marked.filter(_TAKEN).select(columns).collect(engine="streaming")
    return rows[np.searchsorted(chosen, places)]


def _arrays(labelled: pl.DataFrame, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    columns = [_numbers(labelled[name]) for name in frame.inputs]
    if frame.task == "regression":
        import polars as pl

        target = labelled[frame.target].cast(pl.Float64).to_numpy()
    else:
        target = class_indices(labelled[frame.target], frame.classes)
    return np.column_stack(columns), target


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    import polars as pl

    if column.dtype == pl.String:
        texts = label_texts(column)
        frequent = texts.drop_nulls().value_counts(sort=True)[column.name].head(MOST_CATEGORIES).to_list()
        column = texts.replace_strict(
            frequent, list(range(len(frequent))), default=None, return_dtype=pl.Float64
        )
    elif column.dtype.is_temporal():
        column = column.cast(pl.Datetime("us")).dt.epoch("s")
    numbers = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _curve(
    inputs: NDArray[np.float64],
    target: NDArray[np.float64],
    frame: Frame,
    random: np.random.Generator,
    *,
    in_order: bool,
) -> tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]:
    # The limit holds for the libraries that are loaded when it is set.
    import sklearn.ensemble  # noqa: F401
    from threadpoolctl import threadpool_limits

    rows = len(target)
    order = np.arange(rows) if in_order else random.permutation(rows)
    held_out = order[int(rows * 0.75) :]
    pool = order[: int(rows * 0.75)]
    sizes = tuple(dict.fromkeys(max(20, round(len(pool) * share)) for share in SHARES))
    scores: list[list[float]] = [[] for _ in sizes]
    # On tables of this size one thread is faster than several that wait for each other.
    with threadpool_limits(1):
        for _ in range(REPEATS):
            shuffled = random.permutation(pool)
            for points, size in zip(scores, sizes, strict=True):
                score = _score(inputs, target, shuffled[:size], held_out, frame)
                if np.isfinite(score):
                    points.append(score)
    kept = [(size, tuple(points)) for size, points in zip(sizes, scores, strict=True) if points]
    return tuple(size for size, _ in kept), tuple(points for _, points in kept)


def _score(
    inputs: NDArray[np.float64],
    target: NDArray[np.float64],
    learned: NDArray[np.int64],
    held_out: NDArray[np.int64],
    frame: Frame,
) -> float:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    settings = {"max_iter": 40, "learning_rate": 0.15, "max_leaf_nodes": 15, "random_state": 0}
    if frame.task == "regression":
        model = HistGradientBoostingRegressor(**settings).fit(inputs[learned], target[learned])
        return compute(_measured(frame), target[held_out], model.predict(inputs[held_out]))
    if len(np.unique(target[learned])) < 2:
        return float("nan")
    model = HistGradientBoostingClassifier(**settings).fit(inputs[learned], target[learned])
    chances = np.zeros((len(held_out), len(frame.classes)))
    chances[:, model.classes_.astype(np.int64)] = model.predict_proba(inputs[held_out])
    predicted = chances[:, 1] if frame.task == "binary" else chances
    return compute(_measured(frame), target[held_out], predicted)


def _measured(frame: Frame) -> str:
    """The frame's metric where it is one of scores; else one that a score can be judged by."""
    if METRICS[frame.metric].needs != "decision":
        return frame.metric
    return "roc_auc" if frame.task == "binary" else "log_loss"


def _judge(
    frame: Frame,
    labels: int,
    sizes: tuple[int, ...],
    scores: tuple[tuple[float, ...], ...],
    *,
    base_rate: float,
) -> Sufficiency:
    metric = _measured(frame)
    chance = _chance(frame, metric, scores, base_rate)
    if chance is not None:
        return Sufficiency("too few", chance, metric, labels, sizes, scores, None, None)
    if len(sizes) < 4:
        reason = f"only {len(sizes)} sizes could be learned from, too few for a curve"
        return Sufficiency("unclear", reason, metric, labels, sizes, scores, None, None)
    curve = fit_learning_curve(
        np.repeat(sizes, [len(points) for points in scores]), np.concatenate([np.array(p) for p in scores])
    )
    if not curve.well_behaved:
        return Sufficiency("unclear", curve.reason, metric, labels, sizes, scores, None, None)
    # The curve counts training rows of a sample; twice the labels are twice those rows.
    now, double = curve.at(sizes[-1]), curve.at(2 * sizes[-1])
    spread = max(float(np.std(points)) for points in scores[-2:])
    gain = abs(double.estimate - now.estimate)
    if gain <= max(2 * spread, 0.005 * max(1e-9, abs(now.estimate))):
        verdict, reason = "enough", f"twice the labels would change {metric} by {gain:.3f}"
    else:
        verdict, reason = (
            "more",
            f"twice the labels would bring {metric} from {now.estimate:.3f} to {double.estimate:.3f}",
        )
    return Sufficiency(verdict, reason, metric, labels, sizes, scores, now, double)


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
