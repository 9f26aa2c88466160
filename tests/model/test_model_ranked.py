"""The order of trials: by score, and by turns of their learners."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from everloop.model.ranked import by_turns, ranked
from everloop.model.trained import Trial

SCORES = st.one_of(st.none(), st.floats(-5, 5))
LEARNERS = st.sampled_from(["linear", "lightgbm", "perceptron"])


def trials_of(found: list[tuple[str, float | None]]) -> list[Trial]:
    return [Trial(number, learner, {}, score) for number, (learner, score) in enumerate(found)]


@given(st.lists(st.tuples(LEARNERS, SCORES)))
def test_turns_lose_no_trial_and_keep_the_order_within_a_learner(found) -> None:
    best_first = ranked(trials_of(found), "roc_auc")
    turns = by_turns(best_first)
    assert sorted(one.number for one in turns) == sorted(one.number for one in best_first)
    for name in {one.learner for one in turns}:
        mine = [one for one in turns if one.learner == name]
        assert mine == [one for one in best_first if one.learner == name]
    seen: dict[str, int] = {}
    rounds = [seen.update({one.learner: seen.get(one.learner, 0) + 1}) or seen[one.learner] for one in turns]
    assert rounds == sorted(rounds)


def test_failed_trials_have_no_place_and_of_equal_ones_the_earlier_is_first() -> None:
    trials = trials_of([("linear", 0.5), ("linear", None), ("lightgbm", 0.5), ("lightgbm", 0.7)])
    assert [one.number for one in ranked(trials, "roc_auc")] == [3, 0, 2]
    assert [one.number for one in ranked(trials, "log_loss")] == [0, 2, 3]


def test_hundreds_of_trials_of_one_learner_leave_places_to_the_others() -> None:
    many = [("perceptron", 0.9 + number / 1e6) for number in range(400)]
    turns = by_turns(ranked(trials_of([("linear", 0.6), *many, ("lightgbm", 0.8)]), "roc_auc"))
    assert [one.learner for one in turns[:4]] == ["perceptron", "lightgbm", "linear", "perceptron"]
    assert np.all(np.diff([one.score for one in turns[3:]]) <= 0)
