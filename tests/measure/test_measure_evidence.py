"""Evidence that is looked at after every row: seldom wrong, and soon right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from everloop.core.errors import UsageFault
from everloop.measure.evidence import (
    RATIOS,
    SHARES,
    contrast,
    distribution_band,
    mean_before,
    mean_evidence,
    rate_evidence,
    ratio_evidence,
    split_evidence,
)

ALPHA = 0.05
RUNS, ROWS = 2000, 1200


def ever(money, alpha=ALPHA):
    """In which share of the cases the money ever reached what refutes the hypothesis."""
    return float((money >= -np.log(alpha)).any(axis=-1).mean())


def test_a_mean_of_nothing_is_seldom_taken_for_more_or_less():
    random = np.random.default_rng(1)
    skewed = random.choice([-1.0, 0.05], p=[0.05 / 1.05, 1 / 1.05], size=(RUNS, ROWS))
    assert abs(skewed.mean()) < 0.01
    assert ever(mean_evidence(skewed, reach=1.0, above=True)) <= ALPHA
    assert ever(mean_evidence(skewed, reach=1.0, above=False)) <= ALPHA
    assert ever(mean_evidence(skewed - 0.05, reach=1.06, above=False)) > 0.9


def test_money_is_what_a_gambler_would_count_by_hand():
    values = np.array([0.5, -1.0, 0.25])
    by_hand = np.mean([np.prod(1 + share * values) for share in SHARES])
    assert mean_evidence(values, reach=1.0, above=True)[-1] == pytest.approx(np.log(by_hand))
    hit, chance = np.array([1, 0, 1, 1]), 0.25
    odds = [ratio * chance / (1 - chance) for ratio in RATIOS]
    second = np.array([one / (1 + one) for one in odds])
    likelihoods = binom.pmf(3, 4, second) / binom.pmf(3, 4, chance)
    assert ratio_evidence(hit, chance)[-1] == pytest.approx(np.log(likelihoods.mean()))


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_equal_rates_that_drift_together_are_seldom_taken_for_unequal(share):
    random = np.random.default_rng(2)
    base = 0.06 * (1 + np.sin(np.linspace(0, 9, ROWS)))
    second = random.random((RUNS, ROWS)) < share
    happened = random.random((RUNS, ROWS)) < base
    events = np.where(happened, second, np.nan)
    assert ever(ratio_evidence(events, share)) <= ALPHA
    assert ever(ratio_evidence(events, share, above=False)) <= ALPHA
    twice = random.random((RUNS, ROWS)) < base * np.where(second, 2, 1)
    assert ever(ratio_evidence(np.where(twice, second, np.nan), share)) > (0.85 if share == 0.5 else 0.15)


def test_a_share_that_changes_is_no_difference_of_arms():
    random = np.random.default_rng(3)
    share = np.where(np.arange(ROWS) < ROWS // 2, 0.05, 0.5)
    trend = np.linspace(-1, 1, ROWS)  # whoever compares plain means of the arms sees a difference here
    second = random.random((RUNS, ROWS)) < share
    values = np.clip(trend + random.normal(0, 0.3, (RUNS, ROWS)), -2, 2)
    difference = contrast(values, second, share)
    assert abs(difference.mean()) < 0.01
    for above in (False, True):
        assert ever(mean_evidence(difference, reach=4 / 0.05, above=above)) <= ALPHA


def test_a_split_is_checked_at_every_look():
    random = np.random.default_rng(4)
    fair = random.random((RUNS, ROWS)) < 0.3
    assert ever(split_evidence(fair, 0.3), 0.01) <= 0.01
    assert ever(split_evidence(random.random((RUNS, ROWS)) < 0.37, 0.3), 0.01) > 0.9
    assert ever(split_evidence(random.random((RUNS, ROWS)) < 0.23, 0.3), 0.01) > 0.9


def test_a_distribution_stays_in_its_band_at_every_look():
    random = np.random.default_rng(5)
    missed = 0
    for _ in range(300):
        values = random.random(600)
        for rows in np.unique(np.geomspace(1, 600, 60).astype(int)):
            known = np.sort(values[:rows])
            places = np.arange(1, rows + 1) / rows
            furthest = max(np.abs(places - known).max(), np.abs(places - 1 / rows - known).max())
            if furthest > distribution_band(rows, 0.2):
                missed += 1
                break
    assert missed / 300 <= 0.2


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.booleans())
def test_money_after_each_row_is_that_of_the_rows_so_far(values, above):
    whole = mean_evidence(values, reach=1.0, above=above)
    part = mean_evidence(values[: len(values) // 2 + 1], reach=1.0, above=above)
    np.testing.assert_allclose(whole[: part.size], part, atol=1e-12)


def test_a_rate_and_means_before():
    events = np.array([0, 1, 1, 2])
    assert rate_evidence(events, np.arange(1, 5), 0.5).shape == (4,)
    np.testing.assert_allclose(mean_before([1.0, 3.0, 5.0]), [0.0, 1.0, 2.0])


def test_what_makes_no_bet_is_refused():
    with pytest.raises(UsageFault, match="further from 0"):
        mean_evidence([-2.0], reach=1.0, above=True)
    with pytest.raises(UsageFault, match="chance of 0 or 1"):
        ratio_evidence([1.0], 1.0)
