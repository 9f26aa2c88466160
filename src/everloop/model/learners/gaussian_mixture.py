"""Mixtures of normal distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter
from everloop.model.learners.repeating import repeated

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

MOST_ROWS = 50_000


class GaussianMixture:
    """Clusters of any width and slant, each a normal distribution, by scikit-learn; the largest first."""

    name: ClassVar[str] = "gaussian_mixture"
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("clustering",), wants_scaling=True, cost=3.0, most_rows=MOST_ROWS
    )
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("clusters", "integer", 2, 30),
        Parameter("shape", "choice", choices=("full", "tied", "diag", "spherical")),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"clusters": 3, "shape": "full"},
        {"clusters": 3, "shape": "diag"},
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
        import warnings

        import numpy as np
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Mixture

        from everloop.core.extras import require
        from everloop.model.learners.learner import require_different_rows

        X = repeated(X, weights, MOST_ROWS)
        clusters = int(configuration.get("clusters", 3))
        require_different_rows(X, clusters)
        estimator = Mixture(
            clusters,
            covariance_type=configuration.get("shape", "full"),
            n_init=3,
            reg_covar=1e-3,  # scaled columns: no component shrinks to a point
            random_state=seed,
        )
        with warnings.catch_warnings(), require("threadpoolctl", extra="train").threadpool_limits(threads):
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(X)
        order = np.argsort(-estimator.weights_, kind="stable")
        own = () if estimator.covariance_type == "tied" else _OF_EACH
        for name in ("weights_", "means_", *own):
            setattr(estimator, name, getattr(estimator, name)[order])
        return estimator


_OF_EACH = ("covariances_", "precisions_", "precisions_cholesky_")
