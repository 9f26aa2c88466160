"""Where the definition is the same, our estimates and distances are NannyML's."""
# ruff: noqa: D103, INP001, S101

import os

import numpy as np
import pandas as pd
import pytest

from everloop.measure.estimate import fit_estimator
from everloop.monitor import drift

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
nannyml = pytest.importorskip("nannyml")
pytestmark = pytest.mark.filterwarnings("ignore")
METRICS = ("roc_auc", "average_precision", "f1", "precision", "recall", "specificity", "accuracy")


def scored(seed, slope, rows=20_000):
    random = np.random.default_rng(seed)
    odds = random.normal(-0.5 + 0.5 * seed, 1.5, rows)
    score = 1 / (1 + np.exp(-slope * odds))
    actual = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)
    return pd.DataFrame({"score": score, "decision": (score >= 0.6).astype(int), "actual": actual})


@pytest.mark.parametrize("slope", [0.6, 1.0])
def test_estimates_are_theirs(slope):
    before, after = scored(0, slope), scored(1, slope)
    estimator = nannyml.CBPE(
        y_pred_proba="score",
        y_pred="decision",
        y_true="actual",
        problem_type="classification_binary",
        metrics=list(METRICS),
        chunk_number=4,
    ).fit(before)
    told = estimator.estimate(after).filter(period="analysis").to_df()
    # They leave scores as they are where calibrating does not help on held-out rows.
    fitted = fit_estimator(before["score"], before["actual"], calibrated=not estimator.needs_calibration)
    for i, rows in enumerate(np.array_split(after["score"].to_numpy(), 4)):
        found = fitted.estimate(rows, METRICS, threshold=0.6)
        for name in METRICS:
            assert found[name].estimate == pytest.approx(told[name]["value"].iloc[i], abs=1e-6), name


def test_distances_are_theirs():
    random = np.random.default_rng(2)
    before = pd.DataFrame({"x": random.normal(size=5000), "c": random.choice(list("abc"), 5000)})
    after = pd.DataFrame(
        {"x": random.normal(0.2, 1, 2000), "c": random.choice(list("abc"), 2000, p=[0.5, 0.3, 0.2])}
    )
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=["x", "c"],
        treat_as_categorical=["c"],
        continuous_methods=["kolmogorov_smirnov", "wasserstein"],
        categorical_methods=["jensen_shannon", "chi2"],
        chunk_size=2000,
    )
    told = calculator.fit(before).calculate(after).filter(period="analysis").to_df()

    def theirs(column, method):
        return float(told[column][method]["value"].iloc[0])

    ours = drift(before, after).statistics
    assert ours["c"]["jensen_shannon"] == pytest.approx(theirs("c", "jensen_shannon"), rel=1e-9)
    assert ours["c"]["chi_square"] ** 2 * 7000 == pytest.approx(theirs("c", "chi2"), rel=1e-9)
    # Theirs is counted in a thousand bins of a large reference, ours in the reference's own.
    assert ours["x"]["kolmogorov_smirnov"] == pytest.approx(theirs("x", "kolmogorov_smirnov"), abs=3e-3)
    assert ours["x"]["wasserstein"] * before["x"].std(ddof=0) == pytest.approx(
        theirs("x", "wasserstein"), rel=0.01
    )
