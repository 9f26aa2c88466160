"""Random forests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.forest import FOREST_PORTFOLIO, FOREST_SPACE, fit_forest
from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task


class RandomForest:
    """A random forest (Breiman 2001), by scikit-learn."""

    name: ClassVar[str] = "random_forest"
    capabilities: ClassVar[Capabilities] = Capabilities(
        takes_missing=True, computes_in_float32=True, cost=8.0
    )
    space: ClassVar[tuple[Parameter, ...]] = FOREST_SPACE
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = FOREST_PORTFOLIO

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
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
        return fit_forest(kind, X, y, weights, configuration, seed=seed, threads=threads, resamples=True)
