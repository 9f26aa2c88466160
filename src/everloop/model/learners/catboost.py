"""CatBoost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task, Watch

LOSSES: dict[Task, str] = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "RMSE"}
"""What is minimised for each task."""

_MADE_BY_CHANCE = ("train_finish_time", "model_guid")


class CatBoost:
    """Gradient boosting on oblivious trees by CatBoost.

    It rounds its input to float32, compares so, and adds in doubles. Categories come as the numbers of
    the preparation, as for every learner, not as CatBoost's own statistics of the target: so what it
    learned can be compiled, and a category is encoded once and in one way.
    """

    name: ClassVar[str] = "catboost"
    capabilities: ClassVar[Capabilities] = Capabilities(
        takes_missing=True, computes_in_float32=True, cost=4.0, class_by_class=True
    )
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("learning_rate", "number", 0.02, 0.2, log=True),
        Parameter("depth", "integer", 3, 9),
        Parameter("l2", "number", 0.3, 30.0, log=True),
        Parameter("column_share", "number", 0.3, 1.0),
        Parameter("random_strength", "number", 0.1, 10.0, log=True),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"learning_rate": 0.06, "depth": 6, "l2": 3.0},
        {"learning_rate": 0.05, "depth": 4, "l2": 6.0, "random_strength": 2.0},
        {"learning_rate": 0.06, "depth": 8, "l2": 5.0, "column_share": 0.5},
        {"learning_rate": 0.03, "depth": 5, "l2": 10.0, "column_share": 0.7},
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
        estimator.fit(X, y, sample_weight=weights)
        _forget_when(estimator)
        return estimator

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
        from everloop.core.extras import require

        package = require("catboost", extra="catboost")
        estimator = self._estimator(task, {**configuration, "rounds": watch.most_rounds}, seed, threads)
        estimator.fit(
            X,
            y,
            sample_weight=weights,
            eval_set=package.Pool(watch.X, watch.y, weight=watch.weights),
            early_stopping_rounds=watch.patience,
            callbacks=[_InTime(watch.seconds)],
        )
        _forget_when(estimator)
        return estimator, int(estimator.tree_count_)

    def _estimator(self, task: Task, configuration: Mapping[str, Any], seed: int, threads: int) -> Any:
        from everloop.core.extras import require

        package = require("catboost", extra="catboost")
        kind = package.CatBoostRegressor if task == "regression" else package.CatBoostClassifier
        return kind(
            iterations=int(configuration.get("rounds", 200)),
            learning_rate=float(configuration.get("learning_rate", 0.1)),
            depth=int(configuration.get("depth", 6)),
            l2_leaf_reg=float(configuration.get("l2", 3.0)),
            rsm=float(configuration.get("column_share", 1.0)),
            random_strength=float(configuration.get("random_strength", 1.0)),
            loss_function=LOSSES[task],
            boosting_type="Plain",
            random_seed=seed,
            thread_count=threads,
            allow_writing_files=False,
            logging_level="Silent",
        )


class _InTime:
    """Ends a training after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._until = time.perf_counter() + seconds

    def after_iteration(self, info: Any) -> bool:  # noqa: ARG002
        """Says whether to go on."""
        return time.perf_counter() < self._until


def _forget_when(estimator: Any) -> None:
    """Takes the moment of training and a random id out, so that equal models have equal files."""
    facts = estimator.get_metadata()
    for name in _MADE_BY_CHANCE:
        if name in facts.keys():  # noqa: SIM118  (it is no dict)
            del facts[name]
