"""Arrays that compiled code walks by indices from a file: held within their ends before anything asks them.

scikit-learn's trees, its histogram boosting, its support vectors and SciPy's splines read memory where
their arrays say, without a look. A file is free to say anything; what points outside is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from everloop.core.errors import ModelFault

_MOST_DEEP = 200


def hold_within_bounds(estimator: Any, path: str) -> None:
    """Looks at everything that an estimator is made of; and has it answer by one thread.

    Args:
        estimator: As it was read.
        path: What messages call its file.

    Raises:
        ModelFault: When an array of it points outside itself, or it is nested without end.
    """
    for one, width in _parts(estimator, 0, {}, 0):
        check = CHECKS.get(type(one).__name__)
        if check is not None and not check(one, width):
            raise ModelFault(
                f"The estimator {path} is damaged: the indices of a {type(one).__name__} point outside it.",
                hint="copy it again from where it was written",
            )


def _parts(one: Any, width: int, seen: dict[tuple[int, int], Any], depth: int) -> Iterator[tuple[Any, int]]:
    """Gives every object with the number of columns that the nearest estimator around it is given."""
    if depth > _MOST_DEEP:
        raise ModelFault("The estimator is nested too deeply to be read.")
    if isinstance(one, dict):
        inner = list(one.values())
    elif isinstance(one, (list, tuple, set)):
        inner = list(one)
    elif isinstance(one, np.ndarray):
        inner = one.ravel().tolist() if one.dtype == object else []
    elif type(one).__module__ == "builtins":
        return
    else:
        own = getattr(one, "__dict__", {})
        width = _width_of(own, width)
        yield one, width
        if isinstance(own.get("n_jobs"), int):
            one.n_jobs = 1  # a thread for each row costs more than it gains
        inner = list(own.values())
    if (id(one), width) in seen:
        return
    seen[id(one), width] = one
    for part in inner:
        yield from _parts(part, width, seen, depth + 1)


def _width_of(own: dict[str, Any], width: int) -> int:
    """The columns that an object says it is given; otherwise those of what is around it."""
    said = own.get("n_features_in_")
    return int(said) if isinstance(said, (int, np.integer)) else width


def _descends(left: Any, right: Any, inner: Any) -> bool:
    """Says whether every inner node's children come after it and are there: a walk ends, and stays inside."""
    places = np.flatnonzero(inner)
    children = np.stack([left[places], right[places]]).astype(np.int64)
    return bool(((children > places) & (children < len(left))).all())


def _tree(tree: Any, width: int) -> bool:
    inner = tree.children_left != -1
    features = tree.feature[inner]
    return (
        tree.node_count > 0
        and _descends(tree.children_left, tree.children_right, inner)
        and bool(((features >= 0) & (features < min(width, tree.n_features))).all())
    )


def _members(ensemble: Any, width: int) -> bool:
    """An ensemble of trees hands its rows to them without a further look."""
    own = vars(ensemble)
    trees = np.ravel(np.array(own.get("estimators_", []), dtype=object))
    subsets = own.get("estimators_features_") or [range(width)] * len(trees)
    return len(subsets) == len(trees) and all(
        vars(tree).get("n_features_in_") == len(columns) for tree, columns in zip(trees, subsets, strict=True)
    )


def _tree_predictor(tree: Any, width: int) -> bool:
    nodes = tree.nodes
    inner = nodes["is_leaf"] == 0
    features = nodes["feature_idx"][inner]
    sets = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    return (
        len(nodes) > 0
        and _descends(nodes["left"], nodes["right"], inner)
        and bool(((features >= 0) & (features < width)).all())
        and bool((sets < min(len(tree.raw_left_cat_bitsets), len(tree.binned_left_cat_bitsets))).all())
    )


def _support_vectors(model: Any, width: int) -> bool:
    own = vars(model)
    if "support_vectors_" not in own:
        return True  # not fitted
    vectors, counts = own["support_vectors_"], own["_n_support"]
    rows, kinds = vectors.shape[0], max(len(counts), 2)
    one_sided = type(model).__name__ in ("SVR", "NuSVR", "OneClassSVM")
    pairs = 1 if one_sided else kinds * (kinds - 1) // 2
    chances = [len(own[name]) for name in ("_probA", "_probB") if name in own and len(own[name])]
    return (
        (vectors.shape[1] == width or own.get("kernel") == "precomputed")
        and bool((counts >= 0).all())
        and (one_sided or int(counts.sum()) == rows)
        and own["_dual_coef_"].shape == (1 if one_sided else kinds - 1, rows)
        and len(own["support_"]) == rows
        and len(own["_intercept_"]) == pairs
        and all(length == pairs for length in chances)
    )


def _spline(spline: Any, _width: int) -> bool:
    return int(spline.k) >= 0 and len(spline.c) >= len(spline.t) - int(spline.k) - 1 >= 1


_FORESTS = (
    "ExtraTreesClassifier", "ExtraTreesRegressor", "GradientBoostingClassifier", "GradientBoostingRegressor",
    "IsolationForest", "RandomForestClassifier", "RandomForestRegressor", "RandomTreesEmbedding",
)  # fmt: skip

CHECKS: dict[str, Callable[[Any, int], bool]] = {
    "Tree": _tree,
    "TreePredictor": _tree_predictor,
    "BSpline": _spline,
    **dict.fromkeys(_FORESTS, _members),
    **dict.fromkeys(("SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM"), _support_vectors),
}
"""A type's name -> whether its arrays stay within themselves and the columns that it is given."""
