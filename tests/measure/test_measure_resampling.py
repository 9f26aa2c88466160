"""The bootstrap of metrics that are counted: the same as computing each resample anew."""

import numpy as np
import pytest

from everloop.measure.confusion import DECISION_MEASURES
from everloop.measure.intervals import bootstrap_interval
from everloop.measure.metrics import METRICS, compute
from everloop.measure.ranking import STEP_MEASURES
from everloop.measure.resampling import resampled_metric

NAMES = sorted(set(METRICS) & (set(DECISION_MEASURES) | set(STEP_MEASURES)) | {"log_loss"})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rare", [0.3, 0.01])
def test_counting_gives_the_interval_that_computing_gives(name: str, rare: float) -> None:
    random = np.random.default_rng(1)
    actual = (random.random(400) < rare).astype(float)
    scores = np.round(np.clip(random.beta(2, 5, 400) + 0.2 * actual, 0.01, 0.99), 2)
    weights = random.choice([1.0, 1.25, 3.0], 400)
    predicted = (scores >= 0.4).astype(float) if METRICS[name].needs == "decision" else scores
    plain = bootstrap_interval(
        lambda a, p, w: compute(name, a, p, w), actual, predicted, weights, seed=3, repeats=150
    )
    counted = resampled_metric(name, actual, predicted, weights, seed=3, repeats=150)
    for end in ("low", "estimate", "high"):
        assert getattr(counted, end) == pytest.approx(getattr(plain, end), rel=1e-12, nan_ok=True)


def test_several_classes_and_no_rows() -> None:
    found = resampled_metric("accuracy", [0, 1, 2, 2], [0, 1, 2, 1], seed=0, repeats=50)
    assert found.estimate == 0.75
    assert np.isnan(resampled_metric("precision", [], [], seed=0, repeats=10).estimate)
    assert resampled_metric("roc_auc", [1, 1], [0.2, 0.4], seed=0, repeats=10).known is False
