"""Our measures of disparity are Fairlearn's, and our Shapley values those of the shap package."""
# ruff: noqa: D103, INP001, S101

import numpy as np
import pytest

from everloop.core.units import Bound
from everloop.measure.fair_thresholds import choose_fair_thresholds
from everloop.measure.fairness import FAIRNESS, group_rates
from everloop.model.shapley import shapley_values

fairlearn = pytest.importorskip("fairlearn.metrics")
pytestmark = pytest.mark.filterwarnings("ignore")
THEIRS = (
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equal_opportunity_difference",
    "equal_opportunity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
)


def rows(seed, size=600):
    random = np.random.default_rng(seed)
    groups = random.choice(["a", "b", "c"], size, p=[0.6, 0.3, 0.1])
    actual = (random.random(size) < 0.4).astype(int)
    decision = (random.random(size) < 0.3 + 0.3 * actual + 0.1 * (groups == "b")).astype(int)
    return actual, decision, groups


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("seed", range(5))
def test_a_measure_is_that_of_fairlearn(name, seed):
    actual, decision, groups = rows(seed)
    expected = getattr(fairlearn, name)(actual, decision, sensitive_features=groups)
    assert FAIRNESS[name](actual, decision, groups) == pytest.approx(expected, abs=1e-12)


def test_rates_by_group_are_those_of_fairlearn():
    actual, decision, groups = rows(9)
    measures = {
        "positive_rate": fairlearn.selection_rate,
        "true_positive_rate": fairlearn.true_positive_rate,
        "false_positive_rate": fairlearn.false_positive_rate,
    }
    frame = fairlearn.MetricFrame(metrics=measures, y_true=actual, y_pred=decision, sensitive_features=groups)
    for found in group_rates(actual, decision, groups):
        for name in measures:
            assert getattr(found, name) == pytest.approx(frame.by_group.loc[found.group, name])


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("demographic_parity", "demographic_parity_difference"),
        ("true_positive_rate_parity", "equal_opportunity_difference"),
        ("equalized_odds", "equalized_odds_difference"),
    ],
)
def test_thresholds_by_group_decide_as_well_as_those_of_fairlearn(theirs, ours):
    from fairlearn.postprocessing import ThresholdOptimizer
    from sklearn.base import BaseEstimator, ClassifierMixin

    random = np.random.default_rng(3)
    groups = random.choice(["a", "b"], 6000, p=[0.6, 0.4])
    skill = random.normal(size=6000) + np.where(groups == "a", 0.5, -0.5)
    actual = (skill + random.normal(0, 0.5, 6000) > 0).astype(int)
    scores = 1 / (1 + np.exp(-3 * skill))

    class Scored(ClassifierMixin, BaseEstimator):
        def fit(self, *_):
            return self

        def predict(self, table):
            return np.asarray(table)[:, 0]

    optimizer = ThresholdOptimizer(
        estimator=Scored(), constraints=theirs, prefit=True, predict_method="predict", grid_size=1000
    ).fit(scores[:, None], actual, sensitive_features=groups)
    said = optimizer.predict(scores[:, None], sensitive_features=groups, random_state=0)
    measure = getattr(fairlearn, ours)
    bound = Bound.parse("<= 0.02")
    found = choose_fair_thresholds(scores, actual, 2.0 * actual - 1.0, groups.tolist(), {ours: bound}, 0.5)
    decided = scores >= np.array([found.thresholds[name] for name in groups])
    assert measure(actual, said, sensitive_features=groups) <= 0.03
    assert measure(actual, decided, sensitive_features=groups) <= 0.02
    # Theirs may draw by lot; ours may use what the bound allows.
    assert (decided == actual).mean() >= (said == actual).mean() - 0.01


def test_shapley_values_are_those_of_shaps_exact_trees():
    import shap
    from sklearn.ensemble import HistGradientBoostingRegressor

    random = np.random.default_rng(0)
    table = random.normal(size=(600, 5))
    target = table[:, 0] * table[:, 1] + np.sin(table[:, 2]) + 0.5 * table[:, 3]
    model = HistGradientBoostingRegressor(max_iter=40, random_state=0).fit(table, target)
    background = np.arange(50, 150)
    explainer = shap.TreeExplainer(model, data=table[background], feature_perturbation="interventional")
    expected = explainer.shap_values(table[:20], check_additivity=False)

    def score(places):
        return model.predict(table[places, np.arange(5)])

    found = shapley_values(score, np.arange(20), background, 5, orders=400, seed=0)
    assert np.abs(found.values - expected).max() < 0.15
    assert np.all(np.abs(found.values - expected) < 5 * found.errors + 1e-9)
    assert np.corrcoef(found.values.ravel(), expected.ravel())[0, 1] > 0.99
