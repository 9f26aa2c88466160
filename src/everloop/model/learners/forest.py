"""What the two forests of scikit-learn share: bounded trees on bounded samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.model.learners.learner import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

ROWS_PER_TREE = 50_000
"""No tree sees more rows: beyond it a forest gains little and grows much in size."""

MOST_SHARES = 40_000_000
"""Shares of classes in all nodes together: of many classes trees have fewer leaves, not gigabytes."""

FEWEST_LEAVES = 64

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
    """
    import numpy as np
    from sklearn.base import is_classifier

    trees = int(configuration.get("trees", 100))
    classes = len(np.unique(y)) if is_classifier(kind()) else 1
    most_leaves = max(FEWEST_LEAVES, MOST_SHARES // (2 * trees * classes))
    estimator = kind(
        n_estimators=trees,
        min_samples_leaf=int(configuration.get("min_samples_leaf", 1)),
        max_features=configuration.get("max_features", "sqrt"),
        max_leaf_nodes=min(most_leaves, int(configuration.get("max_leaf_nodes", 1024))),
        bootstrap=resamples or len(X) > ROWS_PER_TREE,
        max_samples=ROWS_PER_TREE if len(X) > ROWS_PER_TREE else None,
        random_state=seed,
        n_jobs=threads,
    )
    estimator.fit(X, y, sample_weight=weights)
    # Threads add up the trees' votes in any order, and doubles do not commute to the last bit.
    return estimator.set_params(n_jobs=1)
