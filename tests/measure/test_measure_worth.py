"""Decisions priced whatever the task, and the choices that earn most, against brute force and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.core.errors import DataFault
from everloop.core.units import Bound
from everloop.measure.choices import choose_classes, choose_move, decide_class
from everloop.measure.segments import choose_segment_thresholds
from everloop.measure.value import choose_threshold, decision_values
from everloop.measure.worth import Worth


def pinball(over: float, under: float, size: int) -> Worth:
    """Each unit too high costs `over`, each too low `under`."""

    def errors(rows, actual, predicted):
        return np.where(predicted > actual, -over * (predicted - actual), -under * (actual - predicted))

    return Worth("regression", errors=errors, size=size)


@given(st.integers(0, 2**31), st.integers(2, 5))
def test_each_decision_is_priced_by_its_cell(seed: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    prices = random.normal(size=(7, classes, classes))
    actual, decided = random.integers(0, classes, (2, 7))
    worth = Worth("multiclass", prices=prices, size=7)
    one_by_one = [prices[row, actual[row], decided[row]] for row in range(7)]
    assert worth.values(actual, decided).tolist() == one_by_one
    assert (worth.best_values(actual) >= worth.values(actual, decided)).all()
    some = np.array([5, 2])
    assert worth.only(some).values(actual[some], decided[some]).tolist() == [one_by_one[5], one_by_one[2]]


def test_two_classes_as_a_matrix_or_as_four_prices_are_the_same() -> None:
    random = np.random.default_rng(1)
    actual, decided = random.integers(0, 2, (2, 50))
    four = (3.0, -2.0, -7.0, 1.0)
    matrix = [[four[3], four[1]], [four[2], four[0]]]
    binary = Worth("binary", prices=four, size=50)
    assert binary.values(actual, decided).tolist() == decision_values(actual, decided, four).tolist()
    assert (
        Worth("multiclass", prices=matrix, size=50).values(actual, decided).tolist()
        == binary.values(actual, decided).tolist()
    )
    assert binary.best_values(actual).max() == 3.0


def test_prices_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataFault, match="shape"):
        Worth("multiclass", prices=np.zeros((3, 2, 4)), size=3)
    with pytest.raises(DataFault, match="missing, infinite or beyond"):
        Worth("multiclass", prices=[[1, np.nan], [0, 1]], size=2)


def test_the_greatest_expected_worth_is_decided() -> None:
    """With honest chances it earns more than the likeliest class, and no constant class earns more."""
    random = np.random.default_rng(2)
    chances = random.dirichlet(np.ones(3), 4000)
    actual = np.array([random.choice(3, p=chance) for chance in chances])
    prices = np.array([[2.0, 0.0, -1.0], [-8.0, 3.0, -1.0], [-20.0, -6.0, 4.0]])
    worth = Worth("multiclass", prices=prices, size=4000)
    choice = choose_classes(chances, actual, worth)
    assert np.array_equal(choice.matrix, prices)
    by_hand = np.array([(chance[:, None] * prices).sum(axis=0).argmax() for chance in chances])
    assert np.array_equal(decide_class(chances, prices), by_hand)
    likeliest = worth.values(actual, chances.argmax(axis=1)).mean()
    assert choice.interval.low > likeliest


def test_chances_that_are_not_honest_do_not_decide() -> None:
    random = np.random.default_rng(3)
    actual = random.integers(0, 3, 3000)
    upside_down = np.eye(3)[(actual + 1) % 3] * 0.9 + 0.1 / 3
    worth = Worth("multiclass", prices=np.eye(3), size=3000)
    choice = choose_classes(upside_down, actual, worth)
    assert choice.interval.estimate > 0.3
    assert "Always" in choice.reason


@pytest.mark.parametrize(("over", "under"), [(1.0, 9.0), (4.0, 1.0), (1.0, 1.0)])
def test_the_amount_is_the_quantile_of_the_errors(over: float, under: float) -> None:
    random = np.random.default_rng(4)
    predicted = random.normal(0, 5, 6000)
    actual = predicted + random.gumbel(0, 2, 6000)
    choice = choose_move(predicted, actual, pinball(over, under, 6000))
    assert choice.scale == 1.0
    quantile = np.quantile(actual - predicted, under / (under + over))
    assert choice.offset == pytest.approx(quantile, abs=0.1)
    assert choice.gain > 0


def test_errors_that_grow_with_the_number_are_met_by_a_factor() -> None:
    random = np.random.default_rng(5)
    predicted = random.lognormal(3, 1, 6000)
    actual = predicted * random.lognormal(0, 0.5, 6000)
    choice = choose_move(predicted, actual, pinball(1.0, 6.0, 6000))
    assert choice.offset == 0.0
    assert choice.scale == pytest.approx(1.6, abs=0.5)


def test_numbers_that_are_right_are_left_alone() -> None:
    random = np.random.default_rng(6)
    predicted = random.normal(size=500)
    choice = choose_move(predicted, predicted + random.normal(0, 1, 500), pinball(1.0, 1.0, 500))
    assert (choice.scale, choice.offset) == (1.0, 0.0)


def two_segments(rows: int = 4000, seed: int = 7):
    random = np.random.default_rng(seed)
    segments = random.choice(["a", "b"], rows)
    scores = random.random(rows)
    actual = random.random(rows) < np.where(segments == "a", scores**3, scores ** (1 / 3))
    return scores, actual, segments.tolist()


def test_segments_earn_more_by_thresholds_of_their_own() -> None:
    """In a the chance is the cube of the score, in b its root: the break-even scores follow."""
    scores, actual, segments = two_segments()
    choice = choose_segment_thresholds(scores, actual, (1.0, -1.0, 0.0, 0.0), segments)
    assert choice.thresholds["a"] == pytest.approx(0.5 ** (1 / 3), abs=0.1)
    assert choice.thresholds["b"] == pytest.approx(0.5**3, abs=0.1)
    assert choice.gain > 0


def test_segments_that_are_alike_share_one_threshold() -> None:
    random = np.random.default_rng(8)
    kept = 0
    for _ in range(10):
        scores = random.random(1000)
        actual = random.random(1000) < scores
        segments = random.choice(["a", "b", "c"], 1000).tolist()
        kept += len(choose_segment_thresholds(scores, actual, (1.0, -1.0, 0.0, 0.0), segments).thresholds)
    assert kept <= 8  # each of 30 by chance alone with 16 %


@pytest.mark.parametrize("limit", [0.1, 0.3])
def test_a_limit_holds_for_all_segments_together(limit: float) -> None:
    scores, actual, segments = two_segments()
    bound = ("positive_rate", Bound.parse(f"<= {limit}"))
    choice = choose_segment_thresholds(scores, actual, (1.0, -1.0, 0.0, 0.0), segments, constraints=[bound])
    own = np.array([choice.thresholds.get(name, choice.threshold) for name in segments])
    assert choice.satisfied
    assert (scores >= own).mean() <= limit
    one = choose_threshold(scores, actual, (1.0, -1.0, 0.0, 0.0), constraints=[bound])
    earned = decision_values(actual, scores >= own, (1.0, -1.0, 0.0, 0.0)).mean()
    assert earned >= one.value_per_decision + (0.01 if limit == 0.3 else 0)
