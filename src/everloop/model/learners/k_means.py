"""k-means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task


class KMeans:
    """Round clusters of about the same width, by scikit-learn; the largest cluster first."""

    name: ClassVar[str] = "k_means"
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("clustering",), wants_scaling=True, cost=0.5, most_rows=200_000
    )
    space: ClassVar[tuple[Parameter, ...]] = (Parameter("clusters", "integer", 2, 30),)
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = ({"clusters": 3},)

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
        import numpy as np
        from sklearn.cluster import KMeans as Centres

        from everloop.core.extras import require
        from everloop.model.estimators import ClusterCentres
        from everloop.model.learners.learner import require_different_rows

        if weights is not None:
            X, weights = X[weights > 0], weights[weights > 0]
        clusters = int(configuration.get("clusters", 3))
        require_different_rows(X, clusters)
        with require("threadpoolctl", extra="train").threadpool_limits(limits=threads):
            found = Centres(clusters, n_init=10, random_state=seed).fit(X, sample_weight=weights)
        order = np.argsort(-np.bincount(found.labels_, weights, clusters), kind="stable")
        total = float(len(X) if weights is None else weights.sum())
        return ClusterCentres(found.cluster_centers_[order], found.inertia_ / (total * X.shape[1]) or 1.0)
