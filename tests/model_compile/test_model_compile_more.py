"""Estimators that a search of ours does not try compile too, and answer as scikit-learn does."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import linear_model, svm
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.tree import DecisionTreeClassifier

from everloop.core.errors import ModelFault
from everloop.model.compile import score_form, score_model
from everloop.runtime.graph import Graph
from everloop.runtime.plan import Plan, PlanInput

X = np.random.default_rng(0).normal(size=(200, 4))
ASKED = np.random.default_rng(1).normal(size=(400, 4)) * 3
ACTUAL = {
    "binary": (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int),
    "multiclass": np.digitize(X[:, 0] + 0.3 * X[:, 2], [-0.5, 0.5]),
    "regression": np.exp(X[:, 0]) + X[:, 1] ** 2,
}
VOTERS = [("line", LogisticRegression()), ("forest", RandomForestClassifier(5, random_state=0))]
MODELS = {
    "gradient boosting": ("binary", GradientBoostingClassifier(n_estimators=12, random_state=0)),
    "gradient boosting, exponential": (
        "binary",
        GradientBoostingClassifier(loss="exponential", n_estimators=12, random_state=0),
    ),
    "gradient boosting of several": ("multiclass", GradientBoostingClassifier(n_estimators=6, random_state=0)),
    "gradient boosting from zero": (
        "multiclass",
        GradientBoostingClassifier(n_estimators=6, init="zero", random_state=0),
    ),
    "gradient boosted numbers": ("regression", GradientBoostingRegressor(n_estimators=12, random_state=0)),
    "bagging": ("binary", BaggingClassifier(n_estimators=5, max_features=0.5, random_state=0)),
    "bagging of lines": ("multiclass", BaggingClassifier(LogisticRegression(), n_estimators=3, random_state=0)),
    "bagged numbers": ("regression", BaggingRegressor(n_estimators=5, random_state=0)),
    "voting": ("binary", VotingClassifier(VOTERS, voting="soft", weights=[2, 1])),
    "voting of several": ("multiclass", VotingClassifier(VOTERS, voting="soft")),
    "voting, one dropped": ("binary", VotingClassifier([*VOTERS, ("no", "drop")], voting="soft", weights=[1, 3, 5])),
    "voted numbers": ("regression", VotingRegressor([("ridge", Ridge()), ("tree", BaggingRegressor(random_state=0))])),
    "perceptron": ("binary", MLPClassifier((8, 5), max_iter=20, random_state=0)),
    "perceptron of several": ("multiclass", MLPClassifier((8,), "tanh", max_iter=20, random_state=0)),
    "perceptron of numbers": (
        "regression",
        MLPRegressor(hidden_layer_sizes=(8,), activation="logistic", max_iter=20, random_state=0),
    ),
    "poisson": ("regression", linear_model.PoissonRegressor()),
    "gamma": ("regression", linear_model.GammaRegressor()),
    "tweedie": ("regression", linear_model.TweedieRegressor(power=0)),
    "bayes": ("regression", linear_model.BayesianRidge()),
    "huber": ("regression", linear_model.HuberRegressor(max_iter=2000)),
    "quantile": ("regression", linear_model.QuantileRegressor()),
    "ridge with folds": ("regression", linear_model.RidgeCV()),
    "support vectors on a line": ("regression", svm.LinearSVR(max_iter=20_000, random_state=0)),
    "several chosen lines": ("multiclass", LogisticRegressionCV(Cs=3, cv=2, l1_ratios=(0.0,), use_legacy_attributes=False, scoring="accuracy")),
} | {
    name: ("regression", getattr(linear_model, name)())
    for name in (
        "ARDRegression", "ElasticNetCV", "Lars", "LarsCV", "LassoCV", "LassoLars", "LassoLarsCV",
        "LassoLarsIC", "OrthogonalMatchingPursuit", "SGDRegressor", "TheilSenRegressor",
    )
}  # fmt: skip


def framed(task: str):
    from everloop.model.foreign import foreign_frame

    labels = None if task == "regression" else np.unique(ACTUAL[task])
    return foreign_frame(labels, "y", Plan((PlanInput("a", "number"),), (), 0))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", MODELS)
def test_it_answers_as_scikit_learn_does(name) -> None:
    task, model = MODELS[name]
    model.fit(X, ACTUAL[task])
    outputs = 3 if task == "multiclass" else 1
    graph = Graph(score_model(model, framed(task)), width=4, outputs=outputs)
    expected = model.predict(ASKED).reshape(-1, 1) if task == "regression" else model.predict_proba(ASKED)
    expected = expected[:, 1:] if task == "binary" else expected
    apart = np.abs(graph.scores(ASKED) - expected) / np.maximum(1, np.abs(expected))
    assert apart.max() <= 1e-9


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (VotingClassifier(VOTERS), "by majority"),
        (
            GradientBoostingClassifier(n_estimators=2, init=DecisionTreeClassifier(max_depth=2)),
            "a model of its own",
        ),
        (BaggingClassifier(linear_model.RidgeClassifier(), n_estimators=2), "counts votes"),
    ],
)
def test_an_option_without_a_compiled_form_is_refused_by_name(model, told) -> None:
    with pytest.raises(ModelFault, match=told):
        score_form(model.fit(X, ACTUAL["binary"]))
