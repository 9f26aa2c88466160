"""Clusters by density."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter, refuse_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

EXEMPLARS = 50
"""A cluster is remembered by so many of its most typical rows."""


class Hdbscan:
    """Clusters of any shape where rows lie dense, by scikit-learn; it finds their number itself.

    Rows between the clusters belong to none while it fits. A row that is asked about is always given
    to the cluster of the nearest exemplar: of each cluster its most typical rows are kept.

    Source:
        Campello, Moulavi and Sander, "Density-Based Clustering Based on Hierarchical Density Estimates"
        (PAKDD 2013).
    """

    name: ClassVar[str] = "hdbscan"
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("clustering",),
        wants_scaling=True,
        cost=8.0,
        most_rows=10_000,
        takes_weights=False,
        unweighted="it looks for where rows lie dense, and copies of one row are no density",
    )
    space: ClassVar[tuple[Parameter, ...]] = (Parameter("smallest_share", "number", 0.005, 0.3, log=True),)
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"smallest_share": 0.1},
        {"smallest_share": 0.05},
        {"smallest_share": 0.02},
    )

    def fit(
        self,
        X: NDArray[np.float64],
        y: NDArray[Any],  # noqa: ARG002  (nothing is learned from it)
        *,
        task: Task,  # noqa: ARG002
        configuration: Mapping[str, Any],
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,  # noqa: ARG002
        threads: int = 1,
    ) -> Any:
        """Fits; see `Learner.fit`.

        Raises:
            DataFault: When the rows lie nowhere denser than elsewhere, so that there are no two clusters.
        """
        import numpy as np
        from sklearn.cluster import HDBSCAN

        from everloop.core.errors import DataFault
        from everloop.model.estimators import ClusterExemplars

        refuse_weights(self.name, weights)
        smallest = max(5, round(float(configuration.get("smallest_share", 0.05)) * len(X)))
        found = HDBSCAN(min_cluster_size=smallest, min_samples=5, n_jobs=threads, copy=True).fit(X)
        labels = found.labels_
        sizes = np.bincount(labels[labels >= 0])
        if len(sizes) < 2:
            raise DataFault(f"{len(sizes)} clusters of at least {smallest} rows were found; two are needed.")
        typical = [_typical(labels, found.probabilities_, one) for one in np.argsort(-sizes, kind="stable")]
        centres = np.stack([X[labels == one].mean(axis=0) for one in range(len(sizes))])
        inside = labels >= 0
        variance = float(((X[inside] - centres[labels[inside]]) ** 2).mean()) or 1.0
        return ClusterExemplars(X[np.concatenate(typical)], np.array([len(one) for one in typical]), variance)


def _typical(labels: NDArray[np.int64], membership: NDArray[np.float64], cluster: int) -> Any:
    import numpy as np

    rows = np.flatnonzero(labels == cluster)
    strongest = rows[np.argsort(-membership[rows], kind="stable")]
    # Spread over the cluster's core, and not its most crowded spot alone.
    core = strongest[: max(EXEMPLARS, len(strongest) // 2)]
    return np.sort(core[np.linspace(0, len(core) - 1, min(EXEMPLARS, len(core))).astype(int)])
