"""Linear models: logistic regression and ridge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task


MOST_ITERATIONS, FEWEST_ITERATIONS = 300, 30
MOST_PRODUCTS = 1.5e10
"""Products of a fit's iterations together: with many classes the last ones change little and take minutes."""


class Linear:
    """Logistic regression for classes, ridge regression for numbers; both with an L2 penalty.

    ``strength`` is scikit-learn's C: the greater, the weaker the penalty (ridge: alpha = 1 / strength).
    """

    name: ClassVar[str] = "linear"
    capabilities: ClassVar[Capabilities] = Capabilities(wants_scaling=True, cost=0.5)
    space: ClassVar[tuple[Parameter, ...]] = (Parameter("strength", "number", 1e-4, 1e3, log=True),)
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = ({"strength": 1.0}, {"strength": 0.01})

    def fit(
        self,
        X: NDArray[np.float64],
        y: NDArray[Any],
        *,
        task: Task,
        configuration: Mapping[str, Any],
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> Any:
        """Fits; see `Learner.fit`."""
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression, Ridge

        from everloop.core.extras import require

        strength = float(configuration.get("strength", 1.0))
        estimator: Any
        if task == "regression":
            estimator = Ridge(alpha=1.0 / strength, random_state=seed)
        else:
            estimator = LogisticRegression(C=strength, max_iter=_iterations(X, y), random_state=seed)
        with (
            require("threadpoolctl", extra="train").threadpool_limits(limits=threads),
            warnings.catch_warnings(),
        ):
            # A model a little short of its optimum is judged on held-out rows like any other.
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(X, y, sample_weight=weights)
        return estimator


def _iterations(X: NDArray[np.float64], y: NDArray[Any]) -> int:
    import numpy as np

    products = X.size * len(np.unique(y))
    return int(min(MOST_ITERATIONS, max(FEWEST_ITERATIONS, MOST_PRODUCTS / max(products, 1))))
