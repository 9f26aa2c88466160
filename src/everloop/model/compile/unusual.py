"""Detectors of anomalies as a `ScoreForm`: isolation forests and empirical tails are sums of trees."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.model.compile.form import LESS, LESS_OR_EQUAL, Floats, ScoreForm, Tree


def isolation_form(estimator: Any) -> ScoreForm:
    """Reads scikit-learn's isolation forest: the mean depth at which a row is alone, as 2 to its negative.

    Source:
        Liu, Ting and Zhou, "Isolation Forest" (ICDM 2008), equation 2.
    """
    pairs = zip(estimator.estimators_, estimator.estimators_features_, strict=True)
    trees = tuple(_isolation_tree(member.tree_, np.asarray(columns)) for member, columns in pairs)
    usual = float(_path_length(np.array([estimator.max_samples_]))[0])
    return ScoreForm(
        width=int(estimator.n_features_in_),
        outputs=1,
        link="half_power",
        trees=trees,
        bias=(0.0,),
        divisor=len(trees) * usual,
        float32_input=True,
    )


def _isolation_tree(raw: Any, columns: Any) -> Tree:
    left, right = raw.children_left.astype(np.int64), raw.children_right.astype(np.int64)
    depth = np.zeros(raw.node_count)
    for node in np.flatnonzero(left >= 0):  # a parent comes before its children
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    return Tree(
        target=0,
        feature=columns[np.maximum(raw.feature, 0)].astype(np.int64),
        threshold=raw.threshold.astype(np.float64),
        left=left,
        right=right,
        missing_left=raw.missing_go_to_left.astype(bool),
        value=depth + _path_length(raw.n_node_samples),
        mode=np.full(raw.node_count, LESS_OR_EQUAL, dtype=np.uint8),
    )


def _path_length(rows: Any) -> Floats:
    """Gives the mean depth of a failing search among so many rows (equation 1 of the source)."""
    n = np.asarray(rows, dtype=np.float64)
    known = np.maximum(n, 3.0)
    length = 2 * (np.log(known - 1) + np.euler_gamma) - 2 * (known - 1) / known
    return np.where(n > 2, length, np.where(n == 2, 1.0, 0.0))


def tail_form(estimator: Any) -> ScoreForm:
    """Reads a `TailDetector`: each tail of each column is a flight of steps, and so a tree."""
    trees: list[Tree] = []
    for column, values in enumerate(estimator.values_):
        lower = (values, estimator.lower_[column], LESS)
        upper = (values, estimator.upper_[column], LESS_OR_EQUAL)
        leaning = lower if estimator.leans_low_[column] else upper
        trees += [_steps(column, target, *tail) for target, tail in enumerate((lower, upper, leaning))]
    return ScoreForm(
        width=len(estimator.values_),
        outputs=3,
        link="greatest",
        trees=tuple(trees),
        bias=(0.0, 0.0, 0.0),
    )


def _steps(column: int, target: int, values: Floats, levels: Floats, mode: int) -> Tree:
    """Makes a balanced tree of a step function: level k holds between value k - 1 and value k.

    Args:
        column: What it looks at.
        target: Which sum it adds to.
        values: Where it steps, (steps,).
        levels: What it is before, between and after, (steps + 1,).
        mode: `LESS` where a step belongs to what follows it, `LESS_OR_EQUAL` where to what it ends.
    """
    inner = len(values)
    left, right = np.full(2 * inner + 1, -1), np.full(2 * inner + 1, -1)
    threshold, value = np.zeros(2 * inner + 1), np.zeros(2 * inner + 1)
    waiting, used = [(0, 0, inner)], 1
    while waiting:
        node, first, last = waiting.pop()
        if first == last:
            value[node] = levels[first]
            continue
        middle = (first + last) // 2
        threshold[node] = values[middle]
        left[node], right[node] = used, used + 1
        waiting += [(used, first, middle), (used + 1, middle + 1, last)]
        used += 2
    return Tree(
        target=target,
        feature=np.full(2 * inner + 1, column, dtype=np.int64),
        threshold=threshold,
        left=left,
        right=right,
        missing_left=np.zeros(2 * inner + 1, dtype=bool),
        value=value,
        mode=np.full(2 * inner + 1, mode, dtype=np.uint8),
    )
