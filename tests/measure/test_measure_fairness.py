import numpy as np
import pytest
from scipy import stats

from everloop.measure.fairness import FAIRNESS, disparity_interval, group_rates

ACTUAL = [1, 1, 0, 0, 1, 1, 1, 0]
DECISION = [1, 0, 1, 0, 1, 1, 1, 0]
GROUPS = ["a", "a", "a", "a", "b", "b", "b", "b"]


def test_rates_and_differences_by_hand():
    a, b = group_rates(ACTUAL, DECISION, GROUPS)
    assert (a.group, a.rows, a.positives) == ("a", 4, 2)
    assert (a.positive_rate, a.true_positive_rate, a.false_positive_rate) == (0.5, 0.5, 0.5)
    assert (b.positive_rate, b.true_positive_rate, b.false_positive_rate) == (0.75, 1.0, 0.0)
    found = {name: function(ACTUAL, DECISION, GROUPS) for name, function in FAIRNESS.items()}
    assert found == {
        "demographic_parity_difference": 0.25,
        "equal_opportunity_difference": 0.5,
        "equalized_odds_difference": 0.5,
        "predictive_parity_difference": 0.5,
        "demographic_parity_ratio": 2 / 3,
        "equal_opportunity_ratio": 0.5,
        "equalized_odds_ratio": 0.0,
    }


@pytest.mark.parametrize("name", FAIRNESS)
def test_one_group_has_no_difference_and_order_does_not_matter(name):
    assert FAIRNESS[name](ACTUAL, DECISION, ["x"] * 8) == float(FAIRNESS[name].ratio)
    order = np.random.default_rng(0).permutation(8)
    moved = (np.array(column)[order] for column in (ACTUAL, DECISION, GROUPS))
    assert FAIRNESS[name](*moved) == FAIRNESS[name](ACTUAL, DECISION, GROUPS)


def test_a_group_without_positives_is_left_out_and_missing_is_a_group():
    assert FAIRNESS["equal_opportunity_difference"]([1, 0], [1, 1], ["a", "b"]) == 0.0
    assert np.isnan(FAIRNESS["equal_opportunity_difference"]([0, 0], [1, 1], ["a", "b"]))
    assert [group.group for group in group_rates([1, 0], [1, 1], np.array([None, True]))] == [
        "missing",
        "true",
    ]


def test_few_rows_prove_no_more_than_they_can():
    """A group whose three positives were all missed may have been treated as the others."""
    actual = np.r_[np.ones(300), np.zeros(700), np.ones(3), np.zeros(37)].astype(int)
    decision = np.r_[np.ones(240), np.zeros(760), np.zeros(40)].astype(int)
    groups = np.r_[np.repeat("many", 1000), np.repeat("few", 40)]
    found = disparity_interval("equal_opportunity_difference", actual, decision, groups)
    assert found.estimate == pytest.approx(0.8)
    # Jeffreys' interval of 0 of 3 ends at 0.54 (beta with 1/2 and 3 1/2).
    assert found.low == pytest.approx(0.8 - stats.beta(0.5, 3.5).ppf(0.975), abs=0.06)
    ratio = disparity_interval("equal_opportunity_ratio", actual, decision, groups)
    assert ratio.estimate == 0
    assert ratio.high > 0.5
    nobody = np.r_[np.ones(500), np.zeros(500), np.zeros(40)].astype(int)
    assert disparity_interval("equal_opportunity_difference", nobody, decision, groups).high == 0


def test_intervals_hold_the_true_difference_as_often_as_they_say():
    random = np.random.default_rng(0)
    held, trials = 0, 300
    groups = np.r_[np.zeros(400), np.ones(40)].astype(int)
    for _ in range(trials):
        actual = (random.random(440) < 0.25).astype(int)
        hit = np.where(groups == 0, 0.9, 0.5)
        decision = (random.random(440) < np.where(actual == 1, hit, 0.1)).astype(int)
        found = disparity_interval("equal_opportunity_difference", actual, decision, groups)
        held += found.low <= 0.4 <= found.high
    assert 0.91 <= held / trials <= 0.99
