import numpy as np
import pytest

from everloop.core.errors import DataFault, NotFeasible
from everloop.measure.curves import fit_learning_curve

SIZES = np.repeat([100, 200, 400, 800, 1600, 3200], 3)
TRUTHS = {
    "power": lambda n: 0.9 - 2.0 * n**-0.5,
    "slow": lambda n: 0.95 - 0.9 * n**-0.2,
    "exponential": lambda n: 0.8 - 0.3 * np.exp(-n / 600),
    "error": lambda n: 2.0 + 8.0 * n**-0.6,
    "flat": lambda n: 0.7 + 0.0 * n,
}


@pytest.mark.parametrize("truth", TRUTHS)
def test_twice_the_labels_are_foretold(truth):
    random = np.random.default_rng(1)
    inside = judged = 0
    for run in range(40):
        scores = TRUTHS[truth](SIZES) + random.normal(0, 0.005, SIZES.size)
        curve = fit_learning_curve(SIZES, scores, seed=run)
        if curve.well_behaved:
            judged += 1
            inside += curve.at(6400).contains(TRUTHS[truth](6400.0))
    assert judged >= 36
    assert inside / judged >= 0.9


def test_without_noise_the_curve_is_found():
    sizes = np.array([100, 200, 400, 800, 1600])
    found = fit_learning_curve(sizes, TRUTHS["power"](sizes)).at(6400)
    assert found.estimate == pytest.approx(TRUTHS["power"](6400), abs=0.005)
    assert found.low <= found.estimate <= found.high


def test_a_curve_that_turns_back_is_not_carried_on():
    scores = np.repeat([0.6, 0.7, 0.75, 0.65, 0.6, 0.72], 3) + np.tile([-0.002, 0, 0.002], 6)
    curve = fit_learning_curve(SIZES, scores)
    assert not curve.well_behaved
    assert curve.reason
    with pytest.raises(NotFeasible, match="not carried on"):
        curve.at(10_000)


def test_a_jump_at_the_largest_size_is_not_carried_on():
    scores = TRUTHS["power"](SIZES.astype(float)) + np.tile([-0.001, 0, 0.001], 6)
    scores[-3:] += 0.1
    assert not fit_learning_curve(SIZES, scores).well_behaved


def test_few_sizes_are_not_carried_on():
    assert "at least 4" in fit_learning_curve([10, 20, 40], [0.1, 0.2, 0.3]).reason


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataFault, match="A size is 0"):
        fit_learning_curve([0, 1], [0.1, 0.2])
    with pytest.raises(DataFault, match="for 2 rows"):
        fit_learning_curve([1, 2], [0.1])
