"""LightGBM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task


class LightGbm:
    """Gradient boosting by LightGBM, in its deterministic mode; computes in doubles."""

    name: ClassVar[str] = "lightgbm"
    capabilities: ClassVar[Capabilities] = Capabilities(takes_missing=True, cost=1.0)
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("rounds", "integer", 50, 500, log=True),
        Parameter("learning_rate", "number", 0.02, 0.3, log=True),
        Parameter("leaves", "integer", 7, 127, log=True),
        Parameter("min_samples_leaf", "integer", 5, 200, log=True),
        Parameter("row_share", "number", 0.5, 1.0),
        Parameter("column_share", "number", 0.4, 1.0),
        Parameter("l2", "number", 1e-6, 10.0, log=True),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"rounds": 100, "learning_rate": 0.1, "leaves": 31, "min_samples_leaf": 20},
        {
            "rounds": 300,
            "learning_rate": 0.04,
            "leaves": 31,
            "min_samples_leaf": 40,
            "row_share": 0.8,
            "column_share": 0.6,
        },
        {
            "rounds": 150,
            "learning_rate": 0.05,
            "leaves": 7,
            "min_samples_leaf": 10,
            "column_share": 0.5,
            "l2": 1.0,
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
        from everloop.core.extras import require

        package = require("lightgbm", extra="train")
        kind = package.LGBMRegressor if task == "regression" else package.LGBMClassifier
        row_share = float(configuration.get("row_share", 1.0))
        estimator = kind(
            n_estimators=int(configuration.get("rounds", 100)),
            learning_rate=float(configuration.get("learning_rate", 0.1)),
            num_leaves=int(configuration.get("leaves", 31)),
            min_child_samples=int(configuration.get("min_samples_leaf", 20)),
            subsample=row_share,
            subsample_freq=int(row_share < 1.0),
            colsample_bytree=float(configuration.get("column_share", 1.0)),
            reg_lambda=float(configuration.get("l2", 0.0)),
            random_state=seed,
            n_jobs=threads,
            deterministic=True,
            force_col_wise=True,
            verbosity=-1,
        )
        estimator.fit(X, y, sample_weight=weights)
        return estimator
