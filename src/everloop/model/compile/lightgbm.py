"""LightGBM's boosters as a `ScoreForm`, read from the text that the library itself saves.

The rules of a split are those of `Tree::NumericalDecision` and `Tree::CategoricalDecision` in
LightGBM's `include/LightGBM/tree.h`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.compile.form import LESS_OR_EQUAL, MEMBER, Floats, Integers, Link, ScoreForm, Tree

# kZeroThreshold, a float32 constant: what is nearer to zero than this is zero.
ZERO_THRESHOLD = float(np.float32(1e-35))

_LINKS: dict[str, Link] = {
    "binary": "sigmoid",
    "cross_entropy": "sigmoid",
    "multiclass": "softmax",
    "multiclassova": "sigmoid",
    "cross_entropy_lambda": "log1p_exp",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "fair": "identity",
    "quantile": "identity",
    "mape": "identity",
}
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = 0, 1, 2


def lightgbm_form(estimator: Any) -> ScoreForm:
    """Reads an `LGBMClassifier`, an `LGBMRegressor` or a `Booster`, up to its best iteration."""
    booster = getattr(estimator, "booster_", estimator)
    header, *sections = _sections(booster.model_to_string())
    name, options = _objective(header)
    outputs = int(header["num_tree_per_iteration"])
    zero_columns: set[int] = set()
    other_columns: set[int] = set()
    truncated: set[int] = set()
    trees = []
    for index, section in enumerate(sections):
        tree, missing = _tree(section, index % outputs)
        trees.append(tree)
        inner = np.flatnonzero(tree.left >= 0)
        categorical = tree.mode[inner] == MEMBER
        truncated.update(tree.feature[inner][categorical].tolist())
        zero = (missing == _MISSING_ZERO) & ~categorical
        zero_columns.update(tree.feature[inner][zero].tolist())
        other_columns.update(tree.feature[inner][~zero & ~categorical].tolist())
    if zero_columns & other_columns:
        raise ModelFault("This LightGBM model treats zeros of one column as missing in some trees only.")
    return ScoreForm(
        width=int(header["max_feature_idx"]) + 1,
        outputs=outputs,
        link="signed_square" if "sqrt" in options else _LINKS[name],
        trees=tuple(trees),
        bias=(0.0,) * outputs,
        divisor=len(trees) / outputs if "average_output" in header and trees else 1.0,
        slope=float(options.get("sigmoid", "1")),
        column=1 if name == "multiclass" and outputs == 2 else None,
        zero_is_missing=tuple(sorted(zero_columns)),
        truncated=tuple(sorted(truncated)),
    )


def _sections(text: str) -> Iterator[dict[str, str]]:
    """Gives the header, then each tree, as names and values; flags have an empty value."""
    body = text.split("\nend of trees", 1)[0]
    for part in body.split("\nTree="):
        lines = (line.partition("=") for line in part.splitlines() if line)
        yield {name: value for name, _, value in lines}


def _objective(header: dict[str, str]) -> tuple[str, dict[str, str]]:
    words = header.get("objective", "").split()
    name = words[0] if words else ""
    if name not in _LINKS:
        raise ModelFault(
            f"A LightGBM model with objective {name or 'custom'!r} has no compiled form; "
            f"known are {', '.join(sorted(_LINKS))}.",
            hint="train with one of these objectives",
        )
    options = dict(pair for pair in (word.partition(":")[::2] for word in words[1:]))
    return name, options


def _numbers(section: dict[str, str], name: str, dtype: Any) -> Any:
    return np.array(section.get(name, "").split(), dtype=dtype)


def _tree(section: dict[str, str], target: int) -> tuple[Tree, Integers]:
    """Gives one tree and the missing type of each of its inner nodes."""
    if section.get("is_linear", "0") != "0":
        raise ModelFault(
            "A LightGBM model with linear_tree=True has no compiled form.",
            hint="train with linear_tree=False",
        )
    leaves: Floats = _numbers(section, "leaf_value", np.float64)
    inner = len(leaves) - 1
    kind: Integers = _numbers(section, "decision_type", np.int64)[:inner]
    threshold: Floats = _numbers(section, "threshold", np.float64)[:inner]
    missing = (kind >> 2) & 3
    categorical = (kind & _CATEGORICAL) != 0
    default_left = (kind & _DEFAULT_LEFT) != 0
    # Where missing values are not expected, LightGBM reads them as zero.
    missing_left = np.where(missing == _MISSING_NONE, threshold >= 0.0, default_left) & ~categorical
    tail = np.zeros(len(leaves))
    tree = Tree(
        target=target,
        feature=_padded(_numbers(section, "split_feature", np.int64)[:inner], len(leaves)),
        threshold=np.concatenate([np.where(categorical, 0.0, _around_zero(threshold)), tail]),
        left=_children(section, "left_child", inner),
        right=_children(section, "right_child", inner),
        missing_left=np.concatenate([missing_left, tail.astype(bool)]),
        value=np.concatenate([np.zeros(inner), leaves]),
        mode=np.concatenate([np.where(categorical, MEMBER, LESS_OR_EQUAL), tail]).astype(np.uint8),
        members=_members(section, threshold, categorical),
    )
    return tree, missing


def _around_zero(threshold: Floats) -> Floats:
    """Moves split values that lie within what LightGBM takes for zero to the end of that range.

    A value that near to zero is read as zero, so no split can part two of them.
    """
    below = np.nextafter(-ZERO_THRESHOLD, -np.inf)
    near = np.abs(threshold) <= ZERO_THRESHOLD
    return np.where(near, np.where(threshold < 0.0, below, ZERO_THRESHOLD), threshold)


def _padded(values: Integers, more: int) -> Integers:
    return np.concatenate([values, np.zeros(more, dtype=np.int64)])


def _children(section: dict[str, str], name: str, inner: int) -> Integers:
    """Turns LightGBM's `~leaf` into the leaf's place after the inner nodes."""
    children: Integers = _numbers(section, name, np.int64)[:inner]
    places = np.where(children < 0, inner + ~children, children)
    return np.concatenate([places, np.full(inner + 1, -1, dtype=np.int64)])


def _members(section: dict[str, str], threshold: Floats, categorical: Any) -> dict[int, tuple[int, ...]]:
    """Reads the bit sets of categorical splits: bit c of a set says that category c goes left."""
    if not categorical.any():
        return {}
    bounds: Integers = _numbers(section, "cat_boundaries", np.int64)
    words: Integers = _numbers(section, "cat_threshold", np.int64)
    found = {}
    for node in np.flatnonzero(categorical):
        which = int(threshold[node])
        bits = words[bounds[which] : bounds[which + 1]]
        found[int(node)] = tuple(
            32 * place + bit
            for place, word in enumerate(bits.tolist())
            for bit in range(32)
            if word >> bit & 1
        )
    return found
