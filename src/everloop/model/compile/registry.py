"""Which estimators compile, and the function that reads each: names only, imported when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from everloop.core.errors import ModelFault
from everloop.model.compile.form import ScoreForm

_CATBOOST = "everloop.model.compile.catboost:catboost_form"
_FOREST = "everloop.model.compile.forest"
_GIVEN = "everloop.model.foreign_graph:given_form"
_AVERAGED = "everloop.model.compile.averaged"
_GRADIENT = "everloop.model.compile.gradient_boosting:gradient_form"
_LINEAR = "everloop.model.compile.linear:linear_form"
_LOG_LINEAR = "everloop.model.compile.linear:log_linear_form"
_PERCEPTRON = "everloop.model.compile.perceptron:perceptron_form"
_LIGHTGBM = "everloop.model.compile.lightgbm:lightgbm_form"
_NETWORK = "everloop.model.compile.network:network_form"
_NEAREST = "everloop.model.compile.nearest:nearest_form"
_UNUSUAL = "everloop.model.compile.unusual"
_CLUSTERS = "everloop.model.compile.clusters"
_RESCALED = "everloop.model.compile.rescaled:rescaled_form"
_REWEIGHED = "everloop.model.compile.reweighed:reweighed_form"
_XGBOOST = "everloop.model.compile.xgboost:xgboost_form"

EXPORTERS: dict[str, str] = {
    "sklearn.DecisionTreeClassifier": f"{_FOREST}:tree_form",
    "sklearn.DecisionTreeRegressor": f"{_FOREST}:tree_form",
    "sklearn.ExtraTreeClassifier": f"{_FOREST}:tree_form",
    "sklearn.ExtraTreeRegressor": f"{_FOREST}:tree_form",
    "sklearn.RandomForestClassifier": f"{_FOREST}:forest_form",
    "sklearn.RandomForestRegressor": f"{_FOREST}:forest_form",
    "sklearn.ExtraTreesClassifier": f"{_FOREST}:forest_form",
    "sklearn.ExtraTreesRegressor": f"{_FOREST}:forest_form",
    "sklearn.HistGradientBoostingClassifier": f"{_FOREST}:histogram_form",
    "sklearn.HistGradientBoostingRegressor": f"{_FOREST}:histogram_form",
    "sklearn.LogisticRegression": _LINEAR,
    "sklearn.LinearRegression": _LINEAR,
    "sklearn.Ridge": _LINEAR,
    "sklearn.Lasso": _LINEAR,
    "sklearn.ElasticNet": _LINEAR,
    "sklearn.ARDRegression": _LINEAR,
    "sklearn.BayesianRidge": _LINEAR,
    "sklearn.ElasticNetCV": _LINEAR,
    "sklearn.HuberRegressor": _LINEAR,
    "sklearn.Lars": _LINEAR,
    "sklearn.LarsCV": _LINEAR,
    "sklearn.LassoCV": _LINEAR,
    "sklearn.LassoLars": _LINEAR,
    "sklearn.LassoLarsCV": _LINEAR,
    "sklearn.LassoLarsIC": _LINEAR,
    "sklearn.LinearSVR": _LINEAR,
    "sklearn.LogisticRegressionCV": _LINEAR,
    "sklearn.OrthogonalMatchingPursuit": _LINEAR,
    "sklearn.QuantileRegressor": _LINEAR,
    "sklearn.RidgeCV": _LINEAR,
    "sklearn.SGDRegressor": _LINEAR,
    "sklearn.TheilSenRegressor": _LINEAR,
    "sklearn.GammaRegressor": _LOG_LINEAR,
    "sklearn.PoissonRegressor": _LOG_LINEAR,
    "sklearn.TweedieRegressor": _LOG_LINEAR,
    "sklearn.GradientBoostingClassifier": _GRADIENT,
    "sklearn.GradientBoostingRegressor": _GRADIENT,
    "sklearn.BaggingClassifier": f"{_AVERAGED}:bagging_form",
    "sklearn.BaggingRegressor": f"{_AVERAGED}:bagging_form",
    "sklearn.VotingClassifier": f"{_AVERAGED}:voting_form",
    "sklearn.VotingRegressor": f"{_AVERAGED}:voting_form",
    "sklearn.MLPClassifier": _PERCEPTRON,
    "sklearn.MLPRegressor": _PERCEPTRON,
    "catboost.CatBoostClassifier": _CATBOOST,
    "catboost.CatBoostRegressor": _CATBOOST,
    "everloop.Ensemble": "everloop.model.compile.weighted:weighted_form",
    "everloop.GivenGraph": _GIVEN,
    "everloop.Numbered": "everloop.model.foreign:numbered_form",
    "everloop.NearestRows": _NEAREST,
    "everloop.Network": _NETWORK,
    "everloop.Rescaled": _RESCALED,
    "everloop.Reweighed": _REWEIGHED,
    "lightgbm.LGBMClassifier": _LIGHTGBM,
    "lightgbm.LGBMRegressor": _LIGHTGBM,
    "xgboost.XGBClassifier": _XGBOOST,
    "xgboost.XGBRegressor": _XGBOOST,
    "sklearn.IsolationForest": f"{_UNUSUAL}:isolation_form",
    "sklearn.GaussianMixture": f"{_CLUSTERS}:mixture_form",
    "everloop.TopItems": "everloop.model.compile.top_items:top_items_form",
    "everloop.LocalOutliers": "everloop.model.compile.local_density:local_form",
    "everloop.TailDetector": f"{_UNUSUAL}:tail_form",
    "everloop.ClusterCentres": f"{_CLUSTERS}:centres_form",
    "everloop.ClusterExemplars": f"{_CLUSTERS}:exemplars_form",
}
"""An estimator's library and class -> the module and function that bring it to a `ScoreForm`."""


def kind_of(estimator: Any) -> str:
    """Names an estimator as `EXPORTERS` does: its library and its class."""
    return f"{type(estimator).__module__.split('.', 1)[0]}.{type(estimator).__name__}"


def classes_of(estimator: Any) -> Any:
    """Gives the labels that an estimator tells apart; None where it predicts a number."""
    labels = getattr(estimator, "classes_", None)
    return None if labels is None or len(labels) == 0 else labels


def compiles(estimator: Any) -> bool:
    """Says whether an estimator's class has a compiled form; of one of ours, what it is made of as well."""
    kind = kind_of(estimator)
    if kind not in EXPORTERS:
        return False
    made_of = [getattr(estimator, "estimator", None), *getattr(estimator, "members", ())]
    return not kind.startswith("everloop.") or all(compiles(one) for one in made_of if one is not None)


def score_form(estimator: Any) -> ScoreForm:
    """Reads a fitted estimator as arrays.

    Raises:
        ModelFault: When the class has no compiled form, is not fitted, or uses an option that has none.

    Example:
        >>> from sklearn.linear_model import LinearRegression
        >>> score_form(LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])).outputs
        1
    """
    kind = kind_of(estimator)
    if kind not in EXPORTERS:
        raise ModelFault(
            f"A model of class {kind} cannot be compiled.",
            hint="hand over the fitted estimator itself rather than what wraps it, or train what compiles: "
            + ", ".join(sorted(name for name in EXPORTERS if not name.startswith("everloop."))),
        )
    if not kind.startswith("everloop."):  # ours are fitted when they are made
        _require_fitted(estimator, kind)
    module, _, name = EXPORTERS[kind].partition(":")
    exporter: Callable[[Any], ScoreForm] = getattr(importlib.import_module(module), name)
    return exporter(estimator)


def _require_fitted(estimator: Any, kind: str) -> None:
    if not hasattr(estimator, "fit"):
        return  # what learners of our own give is fitted when it is made
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise ModelFault(
            f"This {kind} is not fitted yet; a package holds a trained model.",
            hint="call its fit(X, y) first",
        ) from None
