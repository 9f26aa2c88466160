import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import DataFault, SpecFault
from everloop.core.units import Bound
from everloop.core.values import to_jsonable
from everloop.measure.metrics import compute
from everloop.measure.value import (
    break_even_rate,
    choose_threshold,
    constant_values,
    decision_values,
    expected_values,
    mean_value,
    perfect_value,
)

ROWS = st.lists(
    st.tuples(st.integers(0, 10), st.integers(0, 1), *[st.integers(-5, 5)] * 4), min_size=1, max_size=20
)


def columns(rows):
    table = np.array(rows, dtype=float)
    return table[:, 0] / 10, table[:, 1].astype(int), table[:, 2:]


def every_threshold(scores):
    return np.concatenate(([-1.0], np.unique(scores), [2.0]))


@given(rows=ROWS)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_no_threshold_is_worth_more(rows):
    scores, actual, prices = columns(rows)
    choice = choose_threshold(scores, actual, prices)
    best = max(decision_values(actual, scores >= t, prices).mean() for t in every_threshold(scores))
    assert choice.value_per_decision == pytest.approx(best)
    assert choice.low <= choice.threshold <= choice.high
    assert np.isfinite(choice.threshold)
    assert choice.satisfied
    assert max(choice.curve.values) == pytest.approx(best)


@given(rows=ROWS, floor=st.sampled_from([0.2, 0.5, 0.9]), ceiling=st.sampled_from([0.1, 0.35, 0.8]))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_best_among_what_the_constraints_allow(rows, floor, ceiling):
    scores, actual, prices = columns(rows)
    bounds = (("recall", Bound.parse(f">= {floor}")), ("positive_rate", Bound.parse(f"<= {ceiling}")))
    choice = choose_threshold(scores, actual, prices, constraints=bounds)
    allowed = [
        decision_values(actual, scores >= t, prices).mean()
        for t in every_threshold(scores)
        if all(bound.holds(compute(name, actual, scores >= t)) for name, bound in bounds)
    ]
    assert choice.satisfied == bool(allowed)
    if allowed:
        assert choice.value_per_decision == pytest.approx(max(allowed))
    for name, _ in bounds:
        truth = compute(name, actual, scores >= choice.threshold)
        assert choice.attained[name] == pytest.approx(truth, nan_ok=True)


def test_unsatisfiable_constraints_name_the_nearest():
    scores, actual = np.linspace(0, 1, 100), np.tile([0, 1], 50)
    bounds = [("recall", Bound.parse(">= 0.9")), ("positive_rate", Bound.parse("<= 0.2"))]
    choice = choose_threshold(scores, actual, (1, -1, -1, 1), constraints=bounds)
    assert not choice.satisfied
    assert "No threshold reaches" in choice.reason
    assert "recall" in choice.reason


def test_always_and_never_are_finite_numbers():
    scores, actual = [0.2, 0.9], [1, 1]
    assert choose_threshold(scores, actual, (5, 0, 0, 0)).threshold == 0.0
    never = choose_threshold(scores, actual, (-5, 0, 0, 0)).threshold
    assert never == np.nextafter(1.0, 2)
    assert json.loads(json.dumps(never)) == never
    assert choose_threshold([-3.0, 7.0], actual, (5, 0, 0, 0)).threshold == -3.0
    assert choose_threshold([-3.0, 7.0], actual, (-5, 0, 0, 0)).threshold == np.nextafter(7.0, 8)


def test_a_tie_takes_the_middle_of_the_widest_stretch():
    # Rows between 0.3 and 0.8 are worth nothing either way, so every threshold between ties.
    scores = [0.1, 0.3, 0.5, 0.7, 0.8, 0.9]
    actual = [0, 0, 0, 0, 1, 1]
    prices = np.array([[1, -1, -1, 1]] * 2 + [[0, 0, 0, 0]] * 2 + [[1, -1, -1, 1]] * 2)
    assert choose_threshold(scores, actual, prices).threshold == pytest.approx(0.55)


def test_neighbouring_doubles_are_told_apart():
    below = 0.5
    above = np.nextafter(below, 1)
    choice = choose_threshold([below, above], [0, 1], (1, -1, -1, 1))
    assert below < choice.threshold <= above


def test_a_calibrated_score_breaks_even_where_elkan_says():
    random = np.random.default_rng(3)
    scores = random.random(200_000)
    actual = random.random(scores.size) < scores
    prices = (0.0, -1.0, -4.0, 0.0)
    assert break_even_rate(prices) == pytest.approx(0.2)
    choice = choose_threshold(scores, actual, prices)
    assert choice.threshold == pytest.approx(0.2, abs=0.02)
    assert choice.low < 0.2 < choice.high


def test_break_even_is_unknown_when_one_decision_is_always_better():
    assert np.isnan(break_even_rate((0, 0, 0, 0)))
    assert np.isnan(break_even_rate((5, 5, 0, 0)))


def test_values_by_hand():
    prices = np.array([[1.0, 2, 3, 4], [10, 20, 30, 40], [100, 200, 300, 400], [1000, 2000, 3000, 4000]])
    assert decision_values([1, 0, 1, 0], [1, 1, 0, 0], prices).tolist() == [1, 20, 300, 4000]
    both = constant_values([1, 0], (10, -5, -20, 3))
    assert (both.always_positive, both.always_negative, both.best) == (2.5, -8.5, 2.5)
    assert perfect_value([1, 0], (10, -5, -20, 3)) == 6.5
    assert expected_values([0.25], [1], (10, -5, -20, 3)).tolist() == [0.25 * 10 - 0.75 * 5]
    assert mean_value([1, 0], [1, 0], (10, -5, -20, 3)).estimate == 6.5
    assert np.isnan(perfect_value([], (1, 2, 3, 4)))


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataFault, match="no row"):
        choose_threshold([], [], (1, 2, 3, 4))
    with pytest.raises(DataFault, match=r"\(2, 4\) was expected"):
        decision_values([0, 1], [0, 1], (1, 2, 3))
    with pytest.raises(DataFault, match="1 of 2 rows"):
        decision_values([0, 1], [0, 1], [[1, 2, 3, 4], [1, np.nan, 3, 4]])
    with pytest.raises(DataFault, match="beyond 1e100"):
        choose_threshold([0.1, 0.9], [0, 1], (1e308, -1, -1, 0))
    with pytest.raises(SpecFault, match="cannot bound"):
        choose_threshold([0.1], [1], (1, 2, 3, 4), constraints=[("roc_auc", Bound.parse("> 1"))])


def test_the_choice_is_json():
    choice = choose_threshold(np.linspace(0, 1, 1000), np.arange(1000) > 500, (1, -1, -1, 1))
    assert len(choice.curve.thresholds) <= 201
    json.dumps(to_jsonable(choice.to_dict()))


def test_chances_keep_a_few_rows_from_deciding_more_than_they_can() -> None:
    """Of calibrated chances the threshold nears the one that prices give, and truly earns more for it."""
    prices = (0.0, -1.0, -4.0, 0.0)

    def truly(threshold: float) -> float:
        """What a threshold earns of chances that are uniform on [0, 1]: the integral, by hand."""
        cut = min(max(threshold, 0.0), 1.0)
        return -4.0 * cut**2 / 2 - (1 - cut) ** 2 / 2

    earned = {True: [], False: []}
    for seed in range(150):
        random = np.random.default_rng(seed)
        scores = random.random(200)
        actual = random.random(200) < scores
        for chances, found in earned.items():
            choice = choose_threshold(scores, actual, prices, chances=chances)
            assert choice.low <= choice.threshold <= choice.high
            found.append(truly(choice.threshold))
    best = truly(break_even_rate(prices))
    assert best == max(truly(cut) for cut in np.linspace(0, 1, 101))
    assert best - np.mean(earned[True]) < 0.5 * (best - np.mean(earned[False]))


def test_chances_that_are_wrong_are_overruled_by_the_rows() -> None:
    random = np.random.default_rng(0)
    scores = random.random(5_000)
    actual = random.random(5_000) < np.clip(scores - 0.4, 0, 1)
    prices = (1.0, -1.0, 0.0, 0.0)
    chosen = choose_threshold(scores, actual, prices, chances=True)
    assert chosen.threshold > 0.8  # chances alone would say 0.5
    assert "within one standard error" in chosen.reason


def logistic(odds):
    return 1 / (1 + np.exp(-odds))


def test_what_moves_between_stretches_of_time_decides_no_more_than_these_agree() -> None:
    """The level moves from stretch to stretch: rows are many, stretches are few, and theory is near right."""
    prices = (0.0, -1.0, -3.0, 0.0)
    gaps = {True: [], False: []}
    for seed in range(30):
        random = np.random.default_rng(seed)
        stretches = np.repeat(np.arange(8), 1_000)
        odds = random.normal(-1.0, 1.0, len(stretches))
        actual = random.random(len(stretches)) < logistic(odds + random.normal(0, 0.7, 8)[stretches])
        for known, found in gaps.items():
            choice = choose_threshold(
                logistic(odds), actual, prices, chances=True, stretches=stretches if known else None
            )
            assert choice.low <= choice.threshold <= choice.high
            found.append(abs(choice.threshold - break_even_rate(prices)))
    assert np.mean(gaps[True]) < 0.6 * np.mean(gaps[False])


def test_chances_that_are_wrong_all_the_time_are_overruled() -> None:
    random = np.random.default_rng(0)
    scores = random.random(8_000)
    actual = random.random(8_000) < np.clip(scores - 0.4, 0, 1)
    stretches = np.repeat(np.arange(8), 1_000)
    chosen = choose_threshold(scores, actual, (1.0, -1.0, 0.0, 0.0), chances=True, stretches=stretches)
    assert chosen.threshold > 0.75  # chances alone would say 0.5
    assert "stretches of time agree" in chosen.reason
    one = choose_threshold(scores, actual, (1, -1, 0, 0), chances=True, stretches=np.zeros(8_000))
    assert one.to_dict() == choose_threshold(scores, actual, (1, -1, 0, 0), chances=True).to_dict()
