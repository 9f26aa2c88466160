"""Isolation forests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter
from everloop.model.learners.repeating import repeated

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

MOST_ROWS = 200_000
"""So many copies of weighed rows are drawn from at most: a tree takes 4,096 of them."""


class IsolationForest:
    """Random trees that part a row from all others the sooner, the more unusual it is; by scikit-learn.

    Source:
        Liu, Ting and Zhou, "Isolation Forest" (ICDM 2008).
    """

    name: ClassVar[str] = "isolation_forest"
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("anomaly",), takes_missing=True, computes_in_float32=True, cost=1.0
    )
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("trees", "integer", 50, 400, log=True),
        Parameter("rows_per_tree", "integer", 64, 4096, log=True),
        Parameter("column_share", "number", 0.3, 1.0),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"trees": 100, "rows_per_tree": 256},
        {"trees": 200, "rows_per_tree": 1024},
        {"trees": 200, "rows_per_tree": 256, "column_share": 0.5},
    )

    def fit(
        self,
        X: NDArray[np.float64],
        y: NDArray[Any],  # noqa: ARG002  (nothing is learned from it)
        *,
        task: Task,  # noqa: ARG002
        configuration: Mapping[str, Any],
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> Any:
        """Fits; see `Learner.fit`."""
        from sklearn.ensemble import IsolationForest as Forest

        # The library draws a tree's rows by their weights, and then takes copies of a row for one.
        X = repeated(X, weights, MOST_ROWS)
        estimator = Forest(
            n_estimators=int(configuration.get("trees", 100)),
            max_samples=min(len(X), int(configuration.get("rows_per_tree", 256))),
            max_features=float(configuration.get("column_share", 1.0)),
            random_state=seed,
            n_jobs=threads,
        )
        estimator.fit(X)
        # Threads add up the trees' depths in any order, and doubles do not commute to the last bit.
        return estimator.set_params(n_jobs=1)
