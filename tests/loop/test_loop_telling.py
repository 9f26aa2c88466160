"""The line that tells what a step came to."""

import pytest

from everloop.loop.telling import result_line

TRAINED = {
    "learner": "ensemble",
    "learners_tried": ["lightgbm", "linear"],
    "trials": 9,
    "features": ["a", "b"],
    "left_out": {},
    "metric": "roc_auc",
    "metrics": {"roc_auc": {"estimate": 0.81}},
}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"pruned_trials": 0}, "9 trials; 2 inputs kept, 0 left out; roc_auc 0.81"),
        ({"pruned_trials": 3}, "0 left out; 3 trials pruned; roc_auc"),
        ({"failed_trials": {"4": "linear: it crashed"}}, "0 left out; 1 trial failed (linear: it crashed); roc_auc"),
        ({"pruned_trials": 1, "failed_trials": {"4": "x: y"}}, "1 trial pruned; 1 trial failed (x: y)"),
    ],
)  # fmt: skip
def test_trials_that_were_pruned_are_not_told_as_failed(facts, said):
    assert said in result_line("train", TRAINED | facts)


def test_the_target_is_not_counted_among_what_was_left_out():
    out = {"y": "the target", "id": "an identifier"}
    assert "2 inputs kept, 1 left out" in result_line("train", TRAINED | {"left_out": out})
