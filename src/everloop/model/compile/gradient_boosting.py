"""scikit-learn's GradientBoosting as a `ScoreForm`."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.compile.forest import cython_tree
from everloop.model.compile.form import Link, ScoreForm


def gradient_form(estimator: Any) -> ScoreForm:
    """Reads a gradient boosting, classifier or regressor, that starts from a constant."""
    name = type(estimator).__name__
    if estimator.init is not None and estimator.init != "zero":
        raise ModelFault(f"{name} that starts from a model of its own has no compiled form.")
    classes = len(getattr(estimator, "classes_", ()))
    stages = estimator.estimators_
    outputs = stages.shape[1]
    # What it starts from is the same for every row.
    start = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32))  # noqa: SLF001
    link: Link = "identity" if classes == 0 else "sigmoid" if outputs == 1 else "softmax"
    return ScoreForm(
        width=int(estimator.n_features_in_),
        outputs=outputs,
        link=link,
        trees=tuple(
            cython_tree(tree.tree_, target, tree.tree_.value[:, 0, 0] * estimator.learning_rate)
            for stage in stages
            for target, tree in enumerate(stage)
        ),
        bias=tuple(np.ravel(start).astype(np.float64).tolist()),
        slope=2.0 if estimator.loss == "exponential" else 1.0,
        float32_input=True,
    )
