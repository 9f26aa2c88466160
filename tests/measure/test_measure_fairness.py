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


def weighed(seed=0, size=400):
    random = np.random.default_rng(seed)
    actual, decision = (random.random(size) < 0.5).astype(int), (random.random(size) < 0.4).astype(int)
    return actual, decision, random.choice(["a", "b", "c"], size), random.integers(0, 4, size)


@pytest.mark.parametrize("name", FAIRNESS)
def test_a_row_of_weight_three_is_three_rows_and_proves_no_more(name):
    actual, decision, groups, counts = weighed()
    again = [np.repeat(one, counts) for one in (actual, decision, groups)]
    expected = FAIRNESS[name](*again)
    assert FAIRNESS[name](actual, decision, groups, counts) == pytest.approx(expected)
    found = disparity_interval(name, actual, decision, groups, weights=counts)
    assert found.estimate == pytest.approx(expected)
    repeated = disparity_interval(name, *again)
    assert found.high - found.low > repeated.high - repeated.low
    alike = disparity_interval(name, actual, decision, groups, weights=np.full(400, 7.0))
    plain = disparity_interval(name, actual, decision, groups)
    assert [alike.low, alike.estimate, alike.high] == pytest.approx([plain.low, plain.estimate, plain.high])


def test_weighed_intervals_hold_the_true_difference_as_often_as_they_say():
    """Rows of two weights, whose groups differ by 0.2 in truth: of 200 intervals of 95 % some ten miss."""
    missed = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        groups = np.repeat(["a", "b"], 300)
        decision = (random.random(600) < np.where(groups == "a", 0.5, 0.3)).astype(int)
        weights = random.choice([1.0, 5.0], 600)
        found = disparity_interval(
            "demographic_parity_difference", np.ones(600), decision, groups, weights=weights
        )
        missed += not found.low <= 0.2 <= found.high
    assert missed <= 20
