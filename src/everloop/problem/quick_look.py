"""Is there anything to learn: a quick model and one simple rule, on rows that they did not learn from."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.tasks import TASKS
from everloop.measure.linear_signal import linear_p
from everloop.measure.metrics import compute
from everloop.measure.noise import label_noise
from everloop.measure.permutation import combined_p, permutation_p
from everloop.problem.quick_model import (
    A_VALUE,
    fitted_scores,
    inputs_of,
    labelled_rows,
    measured_metric,
    quick_learner,
    taken,
)
from everloop.table.labels import actuals_of, label_codes
from everloop.table.quick_look import QuickLook

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable

LOOKED_AT = 6_000
"""Rows that are looked at, a sample of all labelled ones: enough to tell signal from chance in a second."""

FOLDS = 3
LINEAR_ROWS = 1_200
"""Rows of the linear test, which holds a matrix of rows by rows."""

FEWEST_ROWS = 30
ALIKE = 0.1
"""From this intraclass correlation on, rows of one entity are no evidence of their own."""

_SHOWN_SUSPECTS = 20
_FEWEST_IN_A_LEAF = 5
_FREQUENT = 10
MISSING = -1e30


def look_quickly(table: ColumnTable, frame: Frame, *, seed: int = 0) -> QuickLook | None:
    """Cross-fits a quick model and the best rule on one column, and tests them against chance.

    Rows of one entity stay in one fold; where their actuals are alike, one of them is tested. Of two tests
    both are exact: one shuffles the actuals of each fold against scores of the quick model, which has not
    seen them; the other fits a linear model again for each shuffle.

    Args:
        table: The rows, the target among the columns.
        frame: The problem.
        seed: Of the sample, the folds and the shuffles.

    Returns:
        What was found; None where fewer than 30 rows have a label, and for a task that is learned without
        labels.
    """
    if not TASKS[frame.task].supervised:
        return None
    places = labelled_rows(table, frame)
    labels = len(places)
    if labels < FEWEST_ROWS:
        return None
    random = np.random.default_rng(seed)
    if labels > LOOKED_AT:
        places = np.sort(random.choice(places, LOOKED_AT, replace=False))
    columns = tuple(dict.fromkeys((*frame.inputs, frame.target, *([frame.entity] if frame.entity else []))))
    rows = taken(table, places, columns)
    names, inputs = inputs_of(rows, frame)
    target = actuals_of(rows[frame.target], frame)
    folds, independent = _folds(rows, frame, random), _independent(rows, frame, target, random)
    scores, rule_scores = _cross_fitted(inputs, target, folds, frame)
    known = np.isfinite(scores.reshape(len(scores), -1)).all(axis=1)
    places, target, folds, inputs = places[known], target[known], folds[known], inputs[known]
    scores, rule_scores = scores[known], rule_scores[known]
    metric = measured_metric(frame)
    noise = _noise(target, scores, frame)
    alone = independent[known]
    p_value = _p_value(names, inputs[alone], target[alone], scores[alone], folds[alone], frame, seed)
    return QuickLook(
        metric=metric,
        score=_mean_over(folds, metric, target, scores),
        rule=_rule_in_words(names, inputs, target, frame),
        rule_score=_mean_over(folds, metric, target, rule_scores),
        chance_score=_by_chance(metric, target, scores, random),
        p_value=p_value,
        labels=labels,
        fewest=_fewest(target, frame, labels),
        noise=noise.share if noise else None,
        suspects=tuple(int(places[row]) for row in noise.suspects[:_SHOWN_SUSPECTS]) if noise else (),
        rows=places,
        folds=folds,
        scores=scores,
        rule_scores=rule_scores,
    )


def _folds(rows: pl.DataFrame, frame: Frame, random: np.random.Generator) -> NDArray[np.int64]:
    """Gives each row's fold; rows of one entity are in one, unless nearly all are of the same."""
    if frame.entity is not None and frame.entity in rows.columns:
        names, codes = label_codes(rows[frame.entity])
        if len(names) >= 2 * FOLDS:
            of_entity = random.permutation(len(names)) % FOLDS
            return np.where(codes >= 0, of_entity[codes], 0)
    return random.permutation(rows.height) % FOLDS


def _cross_fitted(
    inputs: NDArray[np.float64], target: NDArray[np.float64], folds: NDArray[np.int64], frame: Frame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # The limit holds for the libraries that are loaded when it is set.
    import sklearn.ensemble  # noqa: F401
    from threadpoolctl import threadpool_limits

    shape = (len(target), len(frame.classes)) if frame.task == "multiclass" else (len(target),)
    found = [np.full(shape, np.nan), np.full(shape, np.nan)]
    filled = np.nan_to_num(inputs, nan=MISSING)
    with threadpool_limits(1):
        for fold in range(FOLDS):
            learned, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            if not len(learned) or not len(held_out):
                continue
            for scores, learner, X in zip(
                found, (quick_learner(frame), _stump(frame)), (inputs, filled), strict=True
            ):
                given = fitted_scores(learner, X, target, learned, held_out, frame)
                if given is not None:
                    scores[held_out] = given
    return found[0], found[1]


def _stump(frame: Frame) -> Any:
    """A tree with one question about one column."""
    from sklearn import tree

    kind = tree.DecisionTreeRegressor if frame.task == "regression" else tree.DecisionTreeClassifier
    return kind(max_depth=1, min_samples_leaf=_FEWEST_IN_A_LEAF, random_state=0)


def _rule_in_words(
    names: list[str], inputs: NDArray[np.float64], target: NDArray[np.float64], frame: Frame
) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of many classes on few rows
        tree = _stump(frame).fit(np.nan_to_num(inputs, nan=MISSING), target).tree_
    if tree.node_count < 2:
        return ""
    name, cut = names[int(tree.feature[0])], float(tree.threshold[0])
    if cut < MISSING / 2:
        return f"{name} is missing"
    return name if name.startswith("'") or name.endswith(A_VALUE) else f"{name} > {cut:.4g}"


def _mean_over(
    folds: NDArray[np.int64], metric: str, target: NDArray[np.float64], scores: NDArray[np.float64]
) -> float:
    """The metric's mean over the folds, since scores of two models are not comparable."""
    found = [compute(metric, target[folds == fold], scores[folds == fold]) for fold in np.unique(folds)]
    known = [number for number in found if np.isfinite(number)]
    return float(np.mean(known)) if known else float("nan")


def _by_chance(
    metric: str, target: NDArray[np.float64], scores: NDArray[np.float64], random: np.random.Generator
) -> float:
    found = [compute(metric, random.permutation(target), scores) for _ in range(20)]
    known = [number for number in found if np.isfinite(number)]
    return float(np.mean(known)) if known else float("nan")


def _p_value(
    names: list[str],
    inputs: NDArray[np.float64],
    target: NDArray[np.float64],
    scores: NDArray[np.float64],
    folds: NDArray[np.int64],
    frame: Frame,
    seed: int,
) -> float:
    """Twice the smaller p of two exact tests: the quick model's, and a linear one that finds weak signals."""
    metric = measured_metric(frame)
    parts = [folds == fold for fold in np.unique(folds)]
    quick = combined_p(
        [
            permutation_p(metric, target[part], scores[part], seed=seed + place)
            for place, part in enumerate(parts)
        ]
    )
    some = np.sort(np.random.default_rng(seed).permutation(len(target))[:LINEAR_ROWS])
    columns = _one_hot(names, inputs[some])
    linear = linear_p(columns, _targets(target[some], frame), folds[some], seed=seed)
    return min(1.0, 2 * min(quick, linear))


def _one_hot(names: list[str], inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives a column for each frequent value of text, and numbers as they are."""
    columns = []
    for place, name in enumerate(names):
        column = inputs[:, place]
        if name.endswith(A_VALUE):
            columns += [(column == code).astype(np.float64) for code in range(_FREQUENT)]
        else:
            columns.append(column)
    return np.column_stack(columns)


def _targets(target: NDArray[np.float64], frame: Frame) -> NDArray[np.float64]:
    """Gives the ranks of numbers, or 0/1 for each of the most frequent classes: (n, k)."""
    if frame.task == "regression":
        return (target.argsort().argsort() / len(target))[:, np.newaxis]
    frequent = np.argsort(-np.bincount(target.astype(np.int64)), kind="stable")[:_FREQUENT]
    return np.column_stack([target == place for place in frequent]).astype(np.float64)


def _independent(
    rows: pl.DataFrame, frame: Frame, target: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.bool_]:
    """Marks the rows that are evidence of their own: one of each entity, where its actuals are alike.

    Actuals that differ within an entity as they do between entities are no repetition; and a handful of
    entities can show nothing, which is no reason to say that there is nothing.
    """
    everything = np.ones(rows.height, dtype=np.bool_)
    if frame.entity is None or frame.entity not in rows.columns:
        return everything
    _, codes = label_codes(rows[frame.entity])
    if _likeness(target, codes, frame) < ALIKE:
        return everything
    order = random.permutation(rows.height)
    _, first = np.unique(codes[order], return_index=True)
    marked = np.zeros(rows.height, dtype=np.bool_)
    marked[order[first]] = True
    marked |= codes < 0
    return marked if marked.sum() >= FEWEST_ROWS else everything


def _likeness(target: NDArray[np.float64], codes: NDArray[np.int64], frame: Frame) -> float:
    """The intraclass correlation of actuals by entity, by one-way analysis of variance (Fisher 1925)."""
    named = codes >= 0
    groups, values = codes[named], target[named]
    if frame.task != "regression" and len(values):
        values = (values == np.bincount(values.astype(np.int64)).argmax()).astype(np.float64)
    counts = np.bincount(groups) if len(groups) else np.zeros(0)
    counts = counts[counts > 0]
    between_count, within_count = len(counts) - 1, len(values) - len(counts)
    if between_count < 1 or within_count < 1:
        return 0.0
    _, places = np.unique(groups, return_inverse=True)
    means = np.bincount(places, values) / counts
    between = float(counts @ (means - values.mean()) ** 2) / between_count
    within = float(((values - means[places]) ** 2).sum()) / within_count
    size = (len(values) - float(counts @ counts) / len(values)) / between_count
    whole = between + (size - 1) * within
    return (between - within) / whole if whole > 0 else 1.0


def _noise(target: NDArray[np.float64], scores: NDArray[np.float64], frame: Frame) -> Any:
    if frame.task == "regression" or not len(target):
        return None
    chances = np.column_stack([1 - scores, scores]) if frame.task == "binary" else scores
    return label_noise(target, chances)


def _fewest(target: NDArray[np.float64], frame: Frame, labels: int) -> int:
    """Rows of the rarest class, carried on from the sample to all labels."""
    if frame.task == "regression" or not len(target):
        return labels
    counts = np.bincount(target.astype(np.int64), minlength=len(frame.classes))
    return round(int(counts.min()) * labels / len(target))
