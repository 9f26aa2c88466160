"""XGBoost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task, Watch


class XgBoost:
    """Gradient boosting by XGBoost on histograms.

    It computes in float32 and is given dense rows always: trained on sparse ones it takes an absent
    category for a missing value, which no dense row can say again when it serves.
    """

    name: ClassVar[str] = "xgboost"
    capabilities: ClassVar[Capabilities] = Capabilities(
        takes_missing=True, computes_in_float32=True, cost=1.5, class_by_class=True
    )
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("learning_rate", "number", 0.02, 0.2, log=True),
        Parameter("depth", "integer", 2, 10),
        Parameter("min_child_weight", "number", 0.5, 50.0, log=True),
        Parameter("row_share", "number", 0.5, 1.0),
        Parameter("column_share", "number", 0.3, 1.0),
        Parameter("l2", "number", 1e-3, 20.0, log=True),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"learning_rate": 0.08, "depth": 6, "row_share": 0.8, "column_share": 0.8},
        {"learning_rate": 0.05, "depth": 4, "min_child_weight": 5.0, "row_share": 0.8, "column_share": 0.6},
        {"learning_rate": 0.04, "depth": 9, "min_child_weight": 2.0, "row_share": 0.8, "column_share": 0.5},
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
        estimator = self._estimator(task, configuration, seed, threads)
        if task == "regression":
            return estimator.fit(X, y, sample_weight=weights)
        rows, actual, each = _with_every_class(X, y, weights)
        return estimator.fit(rows, actual, sample_weight=each)

    def fit_watched(  # noqa: PLR0913  (what `fit` takes, and what watches)
        self,
        X: NDArray[np.float64],
        y: NDArray[Any],
        watch: Watch,
        *,
        task: Task,
        configuration: Mapping[str, Any],
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> tuple[Any, int]:
        """Fits until nothing is gained; see `StopsEarly.fit_watched`."""
        stops = {"early_stopping_rounds": watch.patience, "callbacks": [_in_time(watch.seconds)]}
        estimator = self._estimator(
            task, {**configuration, "rounds": watch.most_rounds}, seed, threads
        ).set_params(**stops)
        rows, actual, each = (X, y, weights) if task == "regression" else _with_every_class(X, y, weights)
        judges = None if watch.weights is None else [watch.weights]
        estimator.fit(
            rows,
            actual,
            sample_weight=each,
            eval_set=[(watch.X, watch.y)],
            sample_weight_eval_set=judges,
            verbose=False,
        )
        # Ended in its first round it has no best one yet.
        rounds = int(estimator.get_booster().attr("best_iteration") or 0) + 1
        estimator._Booster = estimator.get_booster()[:rounds]  # noqa: SLF001  (there is no public way)
        return estimator.set_params(early_stopping_rounds=None, callbacks=None, n_estimators=rounds), rounds

    def _estimator(self, task: Task, configuration: Mapping[str, Any], seed: int, threads: int) -> Any:
        from everloop.core.extras import require

        package = require("xgboost", extra="train")
        settings = {
            "n_estimators": int(configuration.get("rounds", 100)),
            "learning_rate": float(configuration.get("learning_rate", 0.1)),
            "max_depth": int(configuration.get("depth", 6)),
            "min_child_weight": float(configuration.get("min_child_weight", 1.0)),
            "subsample": float(configuration.get("row_share", 1.0)),
            "colsample_bytree": float(configuration.get("column_share", 1.0)),
            "reg_lambda": float(configuration.get("l2", 1.0)),
            "tree_method": "hist",
            "random_state": seed,
            "n_jobs": threads,
            "verbosity": 0,
        }
        kind = package.XGBRegressor if task == "regression" else package.XGBClassifier
        return kind(**settings)


def _in_time(seconds: float) -> Any:
    """Gives a callback that ends a training after so many seconds."""
    from xgboost.callback import TrainingCallback

    until = time.perf_counter() + seconds

    class InTime(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
            return time.perf_counter() >= until

    return InTime()


def _with_every_class(
    X: NDArray[np.float64], y: NDArray[Any], weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.float64] | None]:
    """Adds a row of no weight for each absent class below the greatest: XGBoost refuses gaps."""
    import numpy as np

    absent = np.setdiff1d(np.arange(int(y.max()) + 1), y)
    if not len(absent):
        return X, y, weights
    one_each = np.ones(len(X)) if weights is None else weights
    return (
        np.concatenate([X, np.repeat(X[:1], len(absent), axis=0)]),
        np.concatenate([y, absent]),
        np.concatenate([one_each, np.zeros(len(absent))]),
    )
