"""What the two forests of scikit-learn share: bounded trees on bounded samples."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.model.learners.learner import Capabilities, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task, Watch

ROWS_PER_TREE = 50_000
"""No tree sees more rows: beyond it a forest gains little and grows much in size."""

MOST_SHARES = 40_000_000
"""Shares of classes in all nodes together: of many classes trees have fewer leaves, not gigabytes."""

FEWEST_LEAVES = 64
TREES_AT_ONCE = 10
"""Where time is short it is looked at after so many trees."""

FOREST_SPACE: tuple[Parameter, ...] = (
    Parameter("trees", "integer", 50, 300, log=True),
    Parameter("min_samples_leaf", "integer", 1, 50, log=True),
    Parameter("max_features", "choice", choices=("sqrt", 0.3, 0.6, 1.0)),
    Parameter("max_leaf_nodes", "choice", choices=(256, 1024, 4096)),
)

FOREST_PORTFOLIO: tuple[dict[str, Any], ...] = (
    {"trees": 150, "min_samples_leaf": 1, "max_features": "sqrt", "max_leaf_nodes": 4096},
    {"trees": 100, "min_samples_leaf": 1, "max_features": 1.0, "max_leaf_nodes": 4096},
    {"trees": 150, "min_samples_leaf": 5, "max_features": "sqrt", "max_leaf_nodes": 4096},
)
"""Chances of several classes want large leaves, numbers all columns at each cut, ranks neither."""


class Forest:
    """A forest of scikit-learn; what differs between the two is declared.

    Attributes:
        resamples: Whether each tree has a draw of the rows.
        kinds: The names of its classes in `sklearn.ensemble`, for classes and for numbers.
    """

    resamples: ClassVar[bool]
    kinds: ClassVar[tuple[str, str]]
    capabilities: ClassVar[Capabilities]
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
        options: dict[str, Any] = {"seed": seed, "threads": threads, "resamples": self.resamples}
        return fit_forest(self._kind(task), X, y, weights, configuration, **options)

    def fit_watched(  # noqa: PLR0913  (what `fit` takes, and what watches)
        self,
        X: NDArray[np.float64],
        y: NDArray[Any],
        watch: Watch,
        *,
        task: Task,
        configuration: Mapping[str, Any],
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> tuple[Any, int]:
        """Fits for as long as there is time; see `StopsEarly.fit_watched`."""
        options: dict[str, Any] = {"seed": seed, "threads": threads, "resamples": self.resamples}
        found = fit_forest(self._kind(task), X, y, weights, configuration, **options, seconds=watch.seconds)
        return found, int(found.n_estimators)

    def _kind(self, task: Task) -> Any:
        from sklearn import ensemble

        return getattr(ensemble, self.kinds[task == "regression"])


def fit_forest(  # noqa: PLR0913  (what `fit` takes, and which forest)
    kind: Any,
    X: NDArray[np.float64],
    y: NDArray[Any],
    weights: NDArray[np.float64] | None,
    configuration: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
    resamples: bool,
    seconds: float = float("inf"),
) -> Any:
    """Fits a forest of scikit-learn whose predictions do not depend on threads.

    Args:
        kind: The class of the forest.
        X: Encoded rows.
        y: Actuals.
        weights: One for each row, or None.
        configuration: Values by parameter name.
        seed: What chance is drawn from.
        threads: How many threads may grow trees.
        resamples: Whether each tree has a draw of the rows, rather than all of them where they are few.
        seconds: After so many no more trees are begun.

    Returns:
        The forest. With as many trees as it has given as ``rounds`` the same one is fitted of the same rows.
    """
    import numpy as np
    from sklearn.base import is_classifier

    until = time.perf_counter() + seconds

    trees = int(configuration.get("trees", 100))
    classes = len(np.unique(y)) if is_classifier(kind()) else 1
    most_leaves = max(FEWEST_LEAVES, MOST_SHARES // (2 * trees * classes))
    wanted = min(trees, int(configuration.get("rounds", trees)))
    step = wanted if seconds == float("inf") else TREES_AT_ONCE
    estimator = kind(
        n_estimators=min(step, wanted),
        min_samples_leaf=int(configuration.get("min_samples_leaf", 1)),
        max_features=configuration.get("max_features", "sqrt"),
        max_leaf_nodes=min(most_leaves, int(configuration.get("max_leaf_nodes", 1024))),
        bootstrap=resamples or len(X) > ROWS_PER_TREE,
        max_samples=ROWS_PER_TREE if len(X) > ROWS_PER_TREE else None,
        random_state=seed,
        n_jobs=threads,
        warm_start=True,
    )
    estimator.fit(X, y, sample_weight=weights)
    while (grown := estimator.n_estimators) < wanted and time.perf_counter() < until:
        estimator.set_params(n_estimators=min(grown + step, wanted)).fit(X, y, sample_weight=weights)
    # Threads add up the trees' votes in any order, and doubles do not commute to the last bit.
    return estimator.set_params(n_jobs=1, warm_start=False)
