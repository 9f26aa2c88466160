"""Outliers by empirical tails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task


class Ecod:
    """How far out a row lies in each of its columns, after ECOD; needs no tuning and draws no chance.

    Source:
        Li et al., "ECOD: Unsupervised Outlier Detection Using Empirical Cumulative Distribution Functions"
        (IEEE TKDE 2022).
    """

    name: ClassVar[str] = "ecod"
    capabilities: ClassVar[Capabilities] = Capabilities(tasks=("anomaly",), cost=0.1)
    space: ClassVar[tuple[Parameter, ...]] = (Parameter("knots", "integer", 64, 2048, log=True),)
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = ({"knots": 512},)

    def fit(
        self,
        X: NDArray[np.float64],
        y: NDArray[Any],  # noqa: ARG002  (nothing is learned from it)
        *,
        task: Task,  # noqa: ARG002
        configuration: Mapping[str, Any],
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,  # noqa: ARG002
        threads: int = 1,  # noqa: ARG002
    ) -> Any:
        """Fits; see `Learner.fit`."""
        from everloop.model.estimators import TailDetector

        return TailDetector(int(configuration.get("knots", 512))).fit(X, weights)
