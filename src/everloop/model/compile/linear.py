"""scikit-learn's linear models as a `ScoreForm`."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.compile.form import Link, ScoreForm


def linear_form(estimator: Any) -> ScoreForm:
    """Reads a linear regression or a logistic regression, binary or multinomial."""
    classes = len(getattr(estimator, "classes_", ()))
    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64)).T
    width, outputs = coefficients.shape
    if classes == 0 and outputs != 1:
        raise ModelFault(
            f"{type(estimator).__name__} predicts {outputs} targets at once; a package answers with one.",
            hint="train one model for each target",
        )
    intercept = np.broadcast_to(np.ravel(np.asarray(estimator.intercept_, dtype=np.float64)), (outputs,))
    link: Link = "identity" if classes == 0 else "sigmoid" if outputs == 1 else "softmax"
    return ScoreForm(
        width=width,
        outputs=outputs,
        link=link,
        coefficients=coefficients,
        bias=tuple(intercept.tolist()),
    )
