"""LightGBM."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task, Watch


class LightGbm:
    """Gradient boosting by LightGBM, in its deterministic mode; computes in doubles."""

    name: ClassVar[str] = "lightgbm"
    capabilities: ClassVar[Capabilities] = Capabilities(takes_missing=True, cost=1.0, class_by_class=True)
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("learning_rate", "number", 0.02, 0.2, log=True),
        Parameter("leaves", "integer", 4, 160, log=True),
        Parameter("min_samples_leaf", "integer", 2, 100, log=True),
        Parameter("row_share", "number", 0.5, 1.0),
        Parameter("column_share", "number", 0.3, 1.0),
        Parameter("l2", "number", 1e-6, 10.0, log=True),
        Parameter("random_cuts", "choice", choices=(False, True)),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"learning_rate": 0.08, "leaves": 31, "min_samples_leaf": 20},
        {"learning_rate": 0.06, "leaves": 31, "min_samples_leaf": 10, "random_cuts": True},
        {
            "learning_rate": 0.04,
            "leaves": 15,
            "min_samples_leaf": 20,
            "row_share": 0.8,
            "column_share": 0.5,
            "l2": 1.0,
        },
        {"learning_rate": 0.04, "leaves": 120, "min_samples_leaf": 5, "column_share": 0.8, "row_share": 0.9},
        {"learning_rate": 0.05, "leaves": 6, "min_samples_leaf": 8, "column_share": 0.6, "row_share": 0.8},
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

        package = require("lightgbm", extra="train")
        estimator = self._estimator(task, {**configuration, "rounds": watch.most_rounds}, seed, threads)
        until = time.perf_counter() + watch.seconds

        def in_time(state: Any) -> None:
            if time.perf_counter() >= until:
                raise package.callback.EarlyStopException(state.iteration, state.evaluation_result_list)

        callbacks = [package.early_stopping(watch.patience, first_metric_only=True, verbose=False), in_time]
        judges = None if watch.weights is None else [watch.weights]
        estimator.fit(
            X,
            y,
            sample_weight=weights,
            eval_X=watch.X,
            eval_y=watch.y,
            eval_sample_weight=judges,
            callbacks=callbacks,
        )
        rounds = int(estimator.best_iteration_ or estimator.booster_.current_iteration())
        return _cut(estimator, rounds, package), rounds

    def _estimator(self, task: Task, configuration: Mapping[str, Any], seed: int, threads: int) -> Any:
        from everloop.core.extras import require

        package = require("lightgbm", extra="train")
        kind = package.LGBMRegressor if task == "regression" else package.LGBMClassifier
        row_share = float(configuration.get("row_share", 1.0))
        column_share = float(configuration.get("column_share", 1.0))
        # Either way is exact. By rows is faster where one thread reads all of each row of few values, and
        # slower where rows or columns are drawn.
        by_rows = threads == 1 and row_share == column_share == 1.0
        return kind(
            n_estimators=int(configuration.get("rounds", 100)),
            learning_rate=float(configuration.get("learning_rate", 0.1)),
            num_leaves=int(configuration.get("leaves", 31)),
            min_child_samples=int(configuration.get("min_samples_leaf", 20)),
            subsample=row_share,
            subsample_freq=int(row_share < 1.0),
            colsample_bytree=column_share,
            reg_lambda=float(configuration.get("l2", 0.0)),
            extra_trees=bool(configuration.get("random_cuts", False)),
            random_state=seed,
            n_jobs=threads,
            deterministic=True,
            force_col_wise=not by_rows,
            force_row_wise=by_rows,
            verbosity=-1,
        )


def _cut(estimator: Any, rounds: int, package: Any) -> Any:
    """Gives the estimator without the rounds after its best: what it says and what is written are one."""
    booster = estimator.booster_
    if booster.current_iteration() > rounds:
        estimator._Booster = package.Booster(model_str=booster.model_to_string(num_iteration=rounds))  # noqa: SLF001
    estimator._best_iteration = rounds  # noqa: SLF001  (there is no public way to set either)
    return estimator
