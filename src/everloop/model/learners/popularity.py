"""The items that most have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task


class Popularity:
    """Recommends what most entities had: what every other learner has to beat."""

    name: ClassVar[str] = "popularity"
    capabilities: ClassVar[Capabilities] = Capabilities(tasks=("recommendation",), cost=0.1)
    space: ClassVar[tuple[Parameter, ...]] = (Parameter("repeats", "choice", choices=(True, False)),)
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = ({"repeats": True}, {"repeats": False})

    def fit(
        self,
        X: NDArray[np.float64],
        y: NDArray[Any],  # noqa: ARG002  (what an entity had is the rows themselves)
        *,
        task: Task,  # noqa: ARG002
        configuration: Mapping[str, Any],  # noqa: ARG002
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,  # noqa: ARG002
        threads: int = 1,  # noqa: ARG002
    ) -> Any:
        """Fits; see `Learner.fit`."""
        import numpy as np

        from everloop.model.estimators import PopularItems
        from everloop.model.interactions import matrix_of

        rows = matrix_of(X, weights)
        return PopularItems(np.asarray((rows > 0).sum(axis=0), dtype=np.float64).ravel())
