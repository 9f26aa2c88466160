"""Gradient boosting on histograms, by scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task


class HistGradientBoosting:
    """scikit-learn's histogram gradient boosting; computes in doubles throughout."""

    name: ClassVar[str] = "hist_gradient_boosting"
    capabilities: ClassVar[Capabilities] = Capabilities(takes_missing=True, cost=3.0, class_by_class=True)
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("rounds", "integer", 50, 400, log=True),
        Parameter("learning_rate", "number", 0.02, 0.3, log=True),
        Parameter("leaves", "integer", 7, 127, log=True),
        Parameter("min_samples_leaf", "integer", 5, 200, log=True),
        Parameter("l2", "number", 1e-6, 10.0, log=True),
        Parameter("max_features", "number", 0.3, 1.0),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"rounds": 100, "learning_rate": 0.1, "leaves": 31, "min_samples_leaf": 20},
        {
            "rounds": 200,
            "learning_rate": 0.05,
            "leaves": 15,
            "min_samples_leaf": 50,
            "l2": 1.0,
            "max_features": 0.5,
        },
    )

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
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        from everloop.core.extras import require

        kind: Any = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
        estimator = kind(
            max_iter=int(configuration.get("rounds", 100)),
            learning_rate=float(configuration.get("learning_rate", 0.1)),
            max_leaf_nodes=int(configuration.get("leaves", 31)),
            min_samples_leaf=int(configuration.get("min_samples_leaf", 20)),
            l2_regularization=float(configuration.get("l2", 0.0)),
            max_features=float(configuration.get("max_features", 1.0)),
            early_stopping=False,
            random_state=seed,
        )
        with require("threadpoolctl", extra="train").threadpool_limits(limits=threads):
            estimator.fit(X, y, sample_weight=weights)
        return estimator
