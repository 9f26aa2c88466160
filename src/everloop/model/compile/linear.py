"""scikit-learn's linear models as a `ScoreForm`."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.compile.form import Link, ScoreForm


def linear_form(estimator: Any) -> ScoreForm:
    """Reads a linear regression or a logistic regression, binary or multinomial."""
    classes = len(getattr(estimator, "classes_", ()))
    link: Link = "identity" if classes == 0 else "sigmoid" if classes == 2 else "softmax"
    return _linear(estimator, link)


def log_linear_form(estimator: Any) -> ScoreForm:
    """Reads a generalised linear model whose link is the logarithm, or none."""
    link = type(estimator._base_loss.link).__name__  # noqa: SLF001  (there is no public way to its link)
    links: dict[str, Link] = {"LogLink": "exp", "IdentityLink": "identity"}
    if link not in links:
        raise ModelFault(f"{type(estimator).__name__} with the link {link} has no compiled form.")
    return _linear(estimator, links[link])


def _linear(estimator: Any, link: Link) -> ScoreForm:
    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64)).T
    width, outputs = coefficients.shape
    if not len(getattr(estimator, "classes_", ())) and outputs != 1:
        raise ModelFault(
            f"{type(estimator).__name__} predicts {outputs} targets at once; a package answers with one.",
            hint="train one model for each target",
        )
    intercept = np.broadcast_to(np.ravel(np.asarray(estimator.intercept_, dtype=np.float64)), (outputs,))
    return ScoreForm(
        width=width,
        outputs=outputs,
        link=link,
        coefficients=coefficients,
        bias=tuple(intercept.tolist()),
    )
