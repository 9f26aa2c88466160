"""The model phase: from a dataset to a trained model, its evaluation and its package.

Example:
    >>> import polars as pl
    >>> from everloop.model import search
    >>> table = pl.DataFrame({"x": range(200), "late": [row % 200 > 120 for row in range(200)]})
    >>> model = search(table, target="late", budget={"trials": 2}, seed=0)
    >>> model.classes, bool(model.predict(table[[199]])[0])
    (('false', 'true'), True)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from everloop.model.api import Model, evaluate, explain, search
    from everloop.model.evaluation import Evaluation
    from everloop.model.explanation import Explanation
    from everloop.model.packaging import package, write_package
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
    "Evaluation": "everloop.model.evaluation",
    "Explanation": "everloop.model.explanation",
    "FeatureChoice": "everloop.model.trained",
    "Model": "everloop.model.api",
    "Trained": "everloop.model.trained",
    "Trial": "everloop.model.trained",
    "evaluate": "everloop.model.api",
    "explain": "everloop.model.api",
    "package": "everloop.model.packaging",
    "search": "everloop.model.api",
    "write_package": "everloop.model.packaging",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
