"""Which learners there are: ours by name, others' by the entry-point group ``everloop.learners``."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from everloop.core.errors import ModelFault
from everloop.core.nearness import near_names
from everloop.model.learners.learner import Learner, Task

GROUP = "everloop.learners"

BUILT_IN: dict[str, str] = {
    "catboost": "everloop.model.learners.catboost:CatBoost",
    "cnn": "everloop.model.learners.cnn:Cnn",
    "cnn_keras": "everloop.model.learners.cnn_keras:CnnKeras",
    "knn": "everloop.model.learners.knn:NearestNeighbours",
    "linear": "everloop.model.learners.linear:Linear",
    "lightgbm": "everloop.model.learners.lightgbm:LightGbm",
    "xgboost": "everloop.model.learners.xgboost:XgBoost",
    "hist_gradient_boosting": "everloop.model.learners.hist_gradient_boosting:HistGradientBoosting",
    "extra_trees": "everloop.model.learners.extra_trees:ExtraTrees",
    "neural_net": "everloop.model.learners.neural_net:NeuralNet",
    "perceptron": "everloop.model.learners.perceptron:SmallPerceptron",
    "random_forest": "everloop.model.learners.random_forest:RandomForest",
    "isolation_forest": "everloop.model.learners.isolation_forest:IsolationForest",
    "ecod": "everloop.model.learners.ecod:Ecod",
    "local_outlier": "everloop.model.learners.local_outlier:LocalOutlierFactor",
    "k_means": "everloop.model.learners.k_means:KMeans",
    "gaussian_mixture": "everloop.model.learners.gaussian_mixture:GaussianMixture",
    "hdbscan": "everloop.model.learners.hdbscan:Hdbscan",
    "popularity": "everloop.model.learners.popularity:Popularity",
    "item_item": "everloop.model.learners.item_item:ItemItem",
    "implicit_factors": "everloop.model.learners.implicit_factors:ImplicitFactors",
}
"""The learners that ship, as ``module:class``, so that one is imported when it is used."""

EXTRAS: dict[str, str] = {"catboost": "catboost"}
"""Learners whose package is an extra: they are tried unasked only where it is installed."""

ON_REQUEST = frozenset({"neural_net", "cnn", "cnn_keras", "local_outlier"})
"""Learners that are tried only where the file names them: their library takes seconds to load, or all rows
that they learn from lie in what serves."""


@cache
def known_learners() -> dict[str, str]:
    """Gives every learner's name and where it is found; installed ones never replace ours."""
    others = {point.name: point.value for point in entry_points(group=GROUP)}
    return {**others, **BUILT_IN}


@cache
def learner(name: str) -> Learner:
    """Gives the learner of a name.

    Raises:
        ModelFault: When no learner has that name, or its module cannot be used.
    """
    # Threads that wait by spinning take the processor from a server, or another training, beside them.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    where = known_learners().get(name)
    if where is None:
        known = sorted(known_learners())
        near = near_names(name, known)
        raise ModelFault(
            f"There is no learner {name!r}; known are {', '.join(known)}.",
            hint=f"did you mean {near[0]!r}?" if near else None,
        )
    module, _, attribute = where.partition(":")
    found: Any = getattr(import_module(module), attribute)()
    if not isinstance(found, Learner):
        raise ModelFault(f"{where}, installed as the learner {name!r}, lacks a part of what a learner has.")
    return found


def learners_unasked() -> tuple[str, ...]:
    """Names the learners that are tried where none is named: what ships, quick, and has its package there."""
    names = (name for name in BUILT_IN if name not in ON_REQUEST)
    return tuple(name for name in names if name not in EXTRAS or find_spec(EXTRAS[name]) is not None)


def learners_for(task: Task, names: tuple[str, ...] = ()) -> tuple[Learner, ...]:
    """Gives the learners for a task, the cheapest first.

    Args:
        task: The task.
        names: Which ones; empty means all that ship and are installed.

    Raises:
        ModelFault: When a name is unknown or no learner knows the task.
    """
    chosen = [learner(name) for name in dict.fromkeys(names or learners_unasked())]
    able = [one for one in chosen if task in one.capabilities.tasks]
    if not able:
        raise ModelFault(
            f"None of the learners {', '.join(names)} knows the task {task!r}.",
            hint=f"these do: {', '.join(one for one in BUILT_IN if task in learner(one).capabilities.tasks)}",
        )
    return tuple(sorted(able, key=lambda one: (one.capabilities.cost, one.name)))
