"""CatBoost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

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
        takes_missing=True, computes_in_float32=True, cost=4.0
    )
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("rounds", "integer", 50, 800, log=True),
        Parameter("learning_rate", "number", 0.02, 0.3, log=True),
        Parameter("depth", "integer", 3, 9),
        Parameter("l2", "number", 0.3, 30.0, log=True),
        Parameter("column_share", "number", 0.3, 1.0),
        Parameter("random_strength", "number", 0.1, 10.0, log=True),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"rounds": 300, "learning_rate": 0.06, "depth": 4, "l2": 3.0},
        {"rounds": 300, "learning_rate": 0.03, "depth": 5, "l2": 10.0},
        {"rounds": 500, "learning_rate": 0.06, "depth": 6, "l2": 3.0, "column_share": 0.7},
        {"rounds": 400, "learning_rate": 0.06, "depth": 8, "l2": 5.0, "column_share": 0.5},
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

        package = require("catboost", extra="catboost")
        kind = package.CatBoostRegressor if task == "regression" else package.CatBoostClassifier
        estimator = kind(
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
        estimator.fit(X, y, sample_weight=weights)
        _forget_when(estimator)
        return estimator


def _forget_when(estimator: Any) -> None:
    """Takes the moment of training and a random id out, so that equal models have equal files."""
    facts = estimator.get_metadata()
    for name in _MADE_BY_CHANCE:
        if name in facts.keys():  # noqa: SIM118  (it is no dict)
            del facts[name]
