import numpy as np
import pytest

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.estimate import ESTIMATED, estimate_performance
from everloop.measure.metrics import METRICS, compute
from everloop.measure.value import decision_values

PRICES = np.array([5.0, -2.0, -8.0, 1.0])


def sample(random, n, shift=0.0):
    """Inputs move with shift; what a score means stays."""
    odds = random.normal(-0.5 + shift, 1.5, n)
    scores = 1 / (1 + np.exp(-0.7 * odds))  # not calibrated: the truth is sigmoid(odds)
    actual = random.random(n) < 1 / (1 + np.exp(-odds))
    return scores, actual


def truth_of(metric, scores, actual, prices):
    if metric == "value_per_decision":
        return decision_values(actual, scores >= 0.6, prices).mean()
    return compute(metric, actual, scores if METRICS[metric].needs == "score" else scores >= 0.6)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["recall", "precision", "roc_auc", "value_per_decision"])
def test_the_interval_holds_what_is_measured_later(metric):
    random = np.random.default_rng(5)
    inside = 0
    for run in range(80):
        reference, window = sample(random, 4000), sample(random, 1500, shift=0.6)
        prices = PRICES * random.uniform(0.5, 1.5, (1500, 1))
        found = estimate_performance(window[0], *reference, metric, threshold=0.6, prices=prices, seed=run)
        inside += found.contains(truth_of(metric, *window, prices))
    assert inside / 80 >= 0.87


def test_large_samples_come_near():
    random = np.random.default_rng(6)
    reference, window = sample(random, 60_000), sample(random, 60_000, shift=0.6)
    for metric in ESTIMATED:
        found = estimate_performance(window[0], *reference, metric, threshold=0.6, prices=PRICES)
        expected = truth_of(metric, *window, np.broadcast_to(PRICES, (60_000, 4)))
        assert found.estimate == pytest.approx(
            expected, abs=0.06 if metric == "value_per_decision" else 0.012
        )


def test_the_share_of_positive_decisions_is_known_exactly():
    random = np.random.default_rng(7)
    reference, (scores, _) = sample(random, 1000), sample(random, 333)
    found = estimate_performance(scores, *reference, "positive_rate", threshold=0.6)
    assert found.low == found.estimate == found.high == pytest.approx(np.mean(scores >= 0.6))


def test_nothing_to_estimate_is_not_known():
    random = np.random.default_rng(8)
    reference = sample(random, 500)
    for metric in ESTIMATED:
        assert np.isnan(estimate_performance([], *reference, metric, prices=PRICES).estimate)
    assert np.isnan(estimate_performance([0.1, 0.2], *reference, "precision", threshold=0.9).estimate)


def test_the_same_seed_gives_the_same_interval():
    random = np.random.default_rng(9)
    reference, window = sample(random, 500), sample(random, 100)
    first = estimate_performance(window[0], *reference, "roc_auc", seed=3)
    assert first == estimate_performance(window[0], *reference, "roc_auc", seed=3)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageFault, match="cannot be estimated"):
        estimate_performance([0.1], [0.1], [1], "log_loss")
    with pytest.raises(UsageFault, match="without prices"):
        estimate_performance([0.1], [0.1], [1], "value_per_decision")
    with pytest.raises(DataFault, match="at least 20"):
        estimate_performance([0.1], [0.1], [1], "roc_auc")
