"""scikit-learn's trees, forests and histogram boosting as a `ScoreForm`."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.compile.form import LESS_OR_EQUAL, Floats, Link, ScoreForm, Tree

_HISTOGRAM_LINKS: dict[str, Link] = {
    "IdentityLink": "identity",
    "LogLink": "exp",
    "LogitLink": "sigmoid",
    "MultinomialLogit": "softmax",
}


def tree_form(estimator: Any) -> ScoreForm:
    """Reads a single scikit-learn decision tree or extra tree."""
    return _averaged(estimator, [estimator])


def forest_form(estimator: Any) -> ScoreForm:
    """Reads a scikit-learn random forest or extra-trees forest: the mean over its trees."""
    return _averaged(estimator, list(estimator.estimators_))


def _averaged(estimator: Any, members: list[Any]) -> ScoreForm:
    if getattr(estimator, "n_outputs_", 1) != 1:
        raise ModelFault(
            f"{type(estimator).__name__} predicts {estimator.n_outputs_} targets at once; "
            "a package answers with one.",
            hint="train one model for each target",
        )
    classes = len(getattr(estimator, "classes_", ()))
    trees = [tree for member in members for tree in _cython_trees(member.tree_, classes)]
    outputs = classes if classes > 2 else 1
    return ScoreForm(
        width=int(estimator.n_features_in_),
        outputs=outputs,
        link="identity",
        trees=tuple(trees),
        bias=(0.0,) * outputs,
        divisor=float(len(members)),
        float32_input=True,
    )


def _cython_trees(raw: Any, classes: int) -> list[Tree]:
    """One tree for each output; a regressor and a binary classifier have one."""
    values: Floats = raw.value[:, 0, :]
    columns = list(range(classes)) if classes > 2 else [min(1, values.shape[1] - 1)]
    return [cython_tree(raw, target, values[:, column]) for target, column in enumerate(columns)]


def cython_tree(raw: Any, target: int, values: Floats) -> Tree:
    """Reads the arrays of one of scikit-learn's trees.

    Args:
        raw: An estimator's ``tree_``.
        target: The output that its leaves add to.
        values: What each leaf adds, (nodes,).
    """
    return Tree(
        target=target,
        feature=np.maximum(raw.feature, 0).astype(np.int64),
        threshold=raw.threshold.astype(np.float64),
        left=raw.children_left.astype(np.int64),
        right=raw.children_right.astype(np.int64),
        missing_left=raw.missing_go_to_left.astype(bool),
        value=values.astype(np.float64),
        mode=np.full(raw.node_count, LESS_OR_EQUAL, dtype=np.uint8),
    )


def histogram_form(estimator: Any) -> ScoreForm:
    """Reads scikit-learn's HistGradientBoosting, classifier or regressor, missing values included."""
    link_name = type(estimator._loss.link).__name__  # noqa: SLF001  (there is no public way to its trees)
    if link_name not in _HISTOGRAM_LINKS:
        raise ModelFault(
            f"{type(estimator).__name__} with loss {estimator.loss!r} has no compiled form.",
            hint="use one of the losses squared_error, absolute_error, quantile, poisson, gamma, log_loss",
        )
    stages = estimator._predictors  # noqa: SLF001
    outputs = len(stages[0]) if stages else int(np.size(estimator._baseline_prediction))  # noqa: SLF001
    trees = [
        _histogram_tree(predictor.nodes, target, type(estimator).__name__)
        for stage in stages
        for target, predictor in enumerate(stage)
    ]
    baseline = np.ravel(estimator._baseline_prediction).astype(np.float64)  # noqa: SLF001
    return ScoreForm(
        width=int(estimator.n_features_in_),
        outputs=outputs,
        link=_HISTOGRAM_LINKS[link_name],
        trees=tuple(trees),
        bias=tuple(baseline.tolist()),
    )


def _histogram_tree(nodes: Any, target: int, name: str) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    if (nodes["is_categorical"].astype(bool) & ~leaf).any():
        raise ModelFault(
            f"{name} was trained with categorical_features, which has no compiled form.",
            hint="encode categories as numbers and train with categorical_features=None",
        )
    return Tree(
        target=target,
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"].astype(np.float64),
        mode=np.full(len(nodes), LESS_OR_EQUAL, dtype=np.uint8),
    )
