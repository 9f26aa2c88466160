"""Many rows are searched on a part of them first, and a trial that is hopeless on its first folds is left."""

import numpy as np
import polars as pl
import pytest

from everloop.core.progress import Event
from everloop.measure.metrics import METRICS
from everloop.model.contained import Outcome
from everloop.model.learners import learner
from everloop.model.quick_frame import quick_frame
from everloop.model.running import PRUNED, Planned, RunningTrial
from everloop.model.searching import Budget
from everloop.model.train import material_of, train
from everloop.model.training_inputs import Parts, TrainingSettings
from everloop.model.trial import judged_positions


def table_of(rows: int) -> pl.DataFrame:
    random = np.random.default_rng(0)
    x, z = random.normal(size=(2, rows))
    return pl.DataFrame({"x": x, "z": z, "bad": np.where(x + z + random.normal(size=rows) > 0, "yes", "no")})


def test_what_is_best_on_a_part_of_the_rows_is_tried_on_all(monkeypatch) -> None:
    monkeypatch.setattr("everloop.model.searching.LOW_RUNG_ROWS", 150)
    table = table_of(600)
    frame = quick_frame(table, "bad")
    settings = TrainingSettings(learners=("linear",), budget=Budget(trials=8), select=False)
    told: list[Event] = []
    trained = train(Parts(table), frame, settings, progress=told.append)
    low, high = trained.trials[:6], trained.trials[6:]
    assert {trial.rows for trial in low} == {150}
    assert {trial.rows for trial in high} == {480}
    sign = 1.0 if METRICS[frame.metric].greater_is_better else -1.0
    best = sorted(low, key=lambda trial: -sign * trial.score)[:2]
    assert [trial.configuration for trial in high] == [trial.configuration for trial in best]
    assert [event.facts["trial"] for event in told if "trial" in event.facts] == list(range(8))


@pytest.mark.parametrize(
    ("trials", "tried"), [(1, [("catboost", 150)]), (2, [("catboost", 150), ("lightgbm", 150)])]
)
def test_of_many_rows_few_trials_go_to_learners_that_gain_from_them(monkeypatch, trials, tried) -> None:
    """What the one of them makes that is better is fitted on all rows all the same."""
    monkeypatch.setattr("everloop.model.searching.LOW_RUNG_ROWS", 150)
    learners = ("linear", "knn", "lightgbm", "catboost")
    settings = TrainingSettings(learners=learners, budget=Budget(trials=trials), select=False)
    table = table_of(600)
    trained = train(Parts(table), quick_frame(table, "bad"), settings)
    assert [(trial.learner, trial.rows) for trial in trained.trials] == tried
    assert trained.fitted_apart["rows"] == table.height


@pytest.mark.parametrize(
    ("may_prune", "rivals", "left"), [(True, 6, True), (False, 6, False), (True, 3, False)]
)
def test_a_trial_that_most_others_beat_on_its_first_fold_is_left(may_prune, rivals, left) -> None:
    """Of the portfolio none is, and none while too few are known to compare with."""
    table = table_of(200)
    material = material_of(Parts(table), quick_frame(table, "bad"), TrainingSettings())
    planned = Planned(learner("linear"), {}, 1_000, may_prune=may_prune)
    whole = (0.9,) * len(material.folds)
    trial = RunningTrial(0, planned, material, [whole] * rivals, 0.0)
    trial.begun = 1
    actual = material.actual[judged_positions(material, 0)]
    trial.outcomes[0] = Outcome((0, 0), {"scores": 1.0 - actual, "rounds": None, "seconds": 1.0})
    assert trial.finished == left
    assert trial.to_begin != left
    if left:
        found, scores, _ = trial.done(1.0)
        assert found.score is None
        assert found.error.startswith(PRUNED)
        assert scores is None
