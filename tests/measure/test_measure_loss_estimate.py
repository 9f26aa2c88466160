import numpy as np
import pytest

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.loss_estimate import LOSSES, estimate_loss
from everloop.measure.promises import broken_promise


def sample(random, n, shift=0.0):
    """Errors grow with the prediction; inputs move, that does not."""
    predicted = random.gamma(3, 1 + shift, n)
    return predicted, predicted + random.normal(0, 0.3 * predicted)


@pytest.mark.parametrize("metric", LOSSES)
def test_nine_in_ten_intervals_hold_what_is_measured_later(metric):
    random = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        (before, known), (now, later) = sample(random, 3000), sample(random, 400, shift=0.3)
        found = estimate_loss(now, before, LOSSES[metric](known, before), metric, confidence=0.9)
        truth = LOSSES[metric](later, now).mean()
        held += found.contains(np.sqrt(truth) if metric == "rmse" else truth)
    assert 0.83 <= held / 200 <= 0.96


def test_more_of_what_is_hard_raises_the_estimate():
    random = np.random.default_rng(2)
    (before, known), (now, later) = sample(random, 20_000), sample(random, 20_000, shift=0.5)
    found = estimate_loss(now, before, LOSSES["mae"](known, before), "mae")
    assert found.estimate == pytest.approx(LOSSES["mae"](later, now).mean(), rel=0.05)
    assert found.estimate > 1.3 * LOSSES["mae"](known, before).mean()


def test_nothing_and_nonsense():
    told = np.arange(30.0)
    assert np.isnan(estimate_loss([], told, told, "mae").estimate)
    assert estimate_loss([5.0], np.zeros(30), np.ones(30), "mae").estimate == 1.0
    with pytest.raises(UsageFault, match="no mean of losses"):
        estimate_loss([1.0], told, told, "roc_auc")
    with pytest.raises(DataFault, match="20 are needed"):
        estimate_loss([1.0], [1.0], [1.0], "mae")


def test_a_promise_is_broken_when_chance_does_not_explain_it():
    assert broken_promise(hits=20, looks=20, confidence=0.95) is None
    assert broken_promise(hits=17, looks=20, confidence=0.95) is None
    assert "15 of the last 20" in broken_promise(hits=15, looks=20, confidence=0.95)
    assert broken_promise(hits=0, looks=0, confidence=0.95) is None
    with pytest.raises(UsageFault, match="no sense"):
        broken_promise(hits=3, looks=2, confidence=0.95)


def test_promises_that_are_kept_are_seldom_called_broken():
    random = np.random.default_rng(3)
    hits = random.binomial(20, 0.95, 4000)
    broken = np.mean([broken_promise(hits=int(each), looks=20, confidence=0.95) is not None for each in hits])
    assert broken <= 0.01
