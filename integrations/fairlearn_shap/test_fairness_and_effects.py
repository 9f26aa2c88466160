"""Our measures of disparity are Fairlearn's, and our Shapley values those of the shap package."""
# ruff: noqa: D103, INP001, S101

import numpy as np
import pytest

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
