"""Items that go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task


class ItemItem:
    """Recommends the items most like those that an entity had: items are alike that the same entities have.

    How often an entity had an item counts by BM25, so that neither a hundred repetitions nor an entity
    that has everything says much; likeness is the cosine. Of each item the most similar ones are kept.
    ``popularity`` is what the most popular item is worth beside one that an entity had.

    Source:
        Sarwar et al., "Item-Based Collaborative Filtering Recommendation Algorithms" (WWW 2001);
        Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009).
    """

    name: ClassVar[str] = "item_item"
    capabilities: ClassVar[Capabilities] = Capabilities(tasks=("recommendation",), cost=1.0)
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("neighbours", "integer", 5, 500, log=True),
        Parameter("weighting", "choice", choices=("bm25", "count", "none")),
        Parameter("popularity", "number", 1e-9, 100.0, log=True),
        Parameter("repeats", "choice", choices=(True, False)),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"neighbours": 100, "weighting": "bm25", "popularity": 1.0, "repeats": True},
        {"neighbours": 100, "weighting": "bm25", "popularity": 30.0, "repeats": True},
        {"neighbours": 20, "weighting": "bm25", "popularity": 1e-6, "repeats": True},
        {"neighbours": 100, "weighting": "bm25", "popularity": 1.0, "repeats": False},
    )

    def fit(
        self,
        X: NDArray[np.float64],
        y: NDArray[Any],  # noqa: ARG002  (what an entity had is the rows themselves)
        *,
        task: Task,  # noqa: ARG002
        configuration: Mapping[str, Any],
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,  # noqa: ARG002
        threads: int = 1,  # noqa: ARG002
    ) -> Any:
        """Fits; see `Learner.fit`."""
        import numpy as np

        from everloop.model.estimators import SimilarItems
        from everloop.model.interactions import cosine_neighbours, matrix_of, weighted

        rows = matrix_of(X, weights)
        likeness = cosine_neighbours(
            weighted(rows, str(configuration.get("weighting", "bm25"))),
            int(configuration.get("neighbours", 100)),
        )
        popular = np.asarray((rows > 0).sum(axis=0), dtype=np.float64).ravel()
        share = float(configuration.get("popularity", 1.0))
        return SimilarItems(likeness, share * popular / max(1.0, popular.max()))
