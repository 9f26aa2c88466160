import numpy as np
import pytest

from everloop.measure.fairness import FAIRNESS, group_rates

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
