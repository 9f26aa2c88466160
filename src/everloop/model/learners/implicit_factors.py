"""Implicit matrix factorisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task


class ImplicitFactors:
    """Points for entities and items, so that what an entity had lies near it; alternating least squares.

    Source:
        Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (ICDM 2008).
    """

    name: ClassVar[str] = "implicit_factors"
    capabilities: ClassVar[Capabilities] = Capabilities(tasks=("recommendation",), cost=10.0)
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("factors", "integer", 4, 128, log=True),
        Parameter("alpha", "number", 0.5, 50.0, log=True),
        Parameter("penalty", "number", 0.1, 200.0, log=True),
        Parameter("rounds", "integer", 3, 30),
        Parameter("repeats", "choice", choices=(True, False)),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"factors": 16, "alpha": 20.0, "penalty": 100.0, "rounds": 8, "repeats": True},
        {"factors": 32, "alpha": 5.0, "penalty": 20.0, "rounds": 8, "repeats": True},
        {"factors": 16, "alpha": 20.0, "penalty": 100.0, "rounds": 8, "repeats": False},
    )

    def fit(
        self,
        X: NDArray[np.float64],
        y: NDArray[Any],  # noqa: ARG002  (what an entity had is the rows themselves)
        *,
        task: Task,  # noqa: ARG002
        configuration: Mapping[str, Any],
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> Any:
        """Fits; see `Learner.fit`."""
        import numpy as np

        from everloop.core.extras import require
        from everloop.model.estimators import ItemFactors, solved
        from everloop.model.interactions import matrix_of

        rows = matrix_of(X, weights)
        width = min(int(configuration.get("factors", 32)), *rows.shape)
        alpha, penalty = float(configuration.get("alpha", 5.0)), float(configuration.get("penalty", 20.0))
        columns = rows.T.tocsr()
        random = np.random.default_rng(seed)
        items = random.normal(scale=0.1, size=(rows.shape[1], width))
        with require("threadpoolctl", extra="train").threadpool_limits(limits=threads):
            for _ in range(int(configuration.get("rounds", 8))):
                entities = solved(rows, items, alpha, penalty)
                items = solved(columns, entities, alpha, penalty)
        return ItemFactors(items, alpha, penalty)
