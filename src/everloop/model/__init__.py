"""The model phase: from a dataset to a trained model, its evaluation and its package.

Example:
    >>> import polars as pl
    >>> from everloop.model import search
    >>> table = pl.DataFrame({"x": range(200), "late": [row % 200 > 120 for row in range(200)]})
    >>> model = search(table, target="late", budget={"trials": 2}, seed=0)
    >>> model.classes, bool(model.predict(table[[199]])[0])
    (('false', 'true'), True)
"""

from typing import TYPE_CHECKING

from everloop.core.lazy import lazy_names

if TYPE_CHECKING:
    from everloop.model.api import Model, evaluate, explain, search
    from everloop.model.evaluation import Evaluation
    from everloop.model.explanation import Explanation
    from everloop.model.foreign_package import package
    from everloop.model.packaging import write_package
    from everloop.model.trained import FeatureChoice, Trained, Trial

__all__ = [
    "Evaluation",
    "Explanation",
    "FeatureChoice",
    "Model",
    "Trained",
    "Trial",
    "evaluate",
    "explain",
    "package",
    "search",
    "write_package",
]

_WHERE = {
    "Evaluation": "evaluation",
    "Explanation": "explanation",
    "FeatureChoice": "trained",
    "Model": "api",
    "Trained": "trained",
    "Trial": "trained",
    "evaluate": "api",
    "explain": "api",
    "package": "foreign_package",
    "search": "api",
    "write_package": "packaging",
}

__getattr__ = lazy_names(__name__, _WHERE)
