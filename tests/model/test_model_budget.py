"""A budget in time: what is kept free for the end, and what happens when the end is slow."""

import time

import numpy as np
import pytest

from everloop.core.errors import UsageFault
from everloop.model import search
from everloop.model.closing import MOST_SHARE, Closing
from everloop.model.contained import FORKS
from everloop.model.greedy import greedy_weights
from everloop.model.learners.learner import Capabilities
from everloop.model.learners.linear import Linear
from everloop.model.pace import Pace, slowness_of
from everloop.model.quick_frame import quick_frame
from everloop.model.searching import Budget
from everloop.model.train import train
from everloop.model.training_inputs import Parts, TrainingSettings

ROWS = 400


def table_of(rows: int = ROWS):
    import polars as pl

    random = np.random.default_rng(0)
    x, z = random.normal(size=rows), random.normal(size=rows)
    return pl.DataFrame({"x": x, "z": z, "bad": np.where(x + z + random.normal(size=rows) > 0, "yes", "no")})


def test_what_is_kept_for_the_end_grows_with_rows_and_with_the_machines_load() -> None:
    few, many = Closing(judged=500), Closing(judged=20_000)
    assert few.seconds(60) < many.seconds(60) < Closing(20_000, outputs=20).seconds(60)
    assert Closing(500, evaluated=20_000).seconds(60) > few.seconds(60)
    assert few.seconds(60, slowness=3) > 1.5 * few.seconds(60)
    assert few.seconds(60, preparing=5) == pytest.approx(5 + few.seconds(60))
    assert many.seconds(10, slowness=50) == MOST_SHARE * 10
    assert few.seconds(float("inf"), slowness=3) == 0


def test_the_machines_load_is_what_passes_while_a_second_is_computed() -> None:
    pace = Pace(width=5)
    pace.learn_load(0.001, 0.0005)  # too short to say anything
    assert pace.slowness == 1
    for _ in range(8):
        pace.learn_load(4.0, 1.0)
    assert pace.slowness == pytest.approx(4, rel=0.05)
    for _ in range(12):
        pace.learn_load(1.0, 1.2)  # more than one thread is not a machine that is fast
    assert pace.slowness == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(
    ("seconds", "computed", "slowness"), [(6.0, 2.0, 3.0), (1.0, 1.9, 1.0), (9.0, 0.01, 1.0)]
)
def test_a_machines_load_is_known_before_the_first_fit(seconds, computed, slowness) -> None:
    """More threads than one make no machine fast, and nothing computed says nothing."""
    assert slowness_of(seconds, computed) == slowness


def test_fits_of_few_rows_are_made_side_by_side_unless_they_are_quick() -> None:
    """A thousand rounds on five hundred rows take seconds: rows alone say nothing."""
    from everloop.model.learners import learner
    from everloop.model.running import is_quick

    pace = Pace(width=8)
    assert is_quick(learner("linear"), {}, 500, pace)
    boosting = learner("lightgbm")
    assert not is_quick(boosting, {}, 500, pace)  # nobody knows how many rounds it will need
    pace.learn(boosting, {}, 500, 0.01)
    assert is_quick(boosting, {}, 500, pace)
    pace.learn(boosting, {}, 500, 1.0)
    assert not is_quick(boosting, {}, 500, pace)


def test_how_long_a_last_fit_takes_is_told_by_the_trials_own_fits() -> None:
    """Of one learner a deep configuration takes ten times as long as another."""
    from everloop.model.learners import learner
    from everloop.model.trained import Trial

    pace, boosting = Pace(width=8), learner("lightgbm")
    quick, slow, unseen = (Trial(number, "lightgbm", {}, 0.8, rows=1_000) for number in range(3))
    for trial, seconds in ((quick, 0.2), (slow, 2.0)):
        pace.learn(boosting, {}, 1_000, seconds)
        pace.learn_trial(trial, seconds)
    told = [pace.of_last_fit(boosting, trial, 1_500) for trial in (quick, slow)]
    assert told == pytest.approx([1.25 * 0.3, 1.25 * 3.0])
    assert told[0] < pace.of_last_fit(boosting, unseen, 1_500) < told[1]
    assert pace.of_last_fit(boosting, slow, 500) == pytest.approx(1.25 * 2.0)  # never less than was seen


def test_nothing_is_selected_where_loading_took_much_of_the_time() -> None:
    """The budget began before the training did: half of it is gone, and what is left is for trials."""
    table = table_of()
    settings = TrainingSettings(learners=("linear",), budget=Budget(seconds=6))
    trained = train(Parts(table), quick_frame(table, "bad"), settings, started=time.perf_counter() - 3)
    assert any("no time to select" in note for note in trained.notes)
    assert trained.evaluation is not None


def test_selection_asks_before_each_fit_whether_there_is_time(monkeypatch) -> None:
    from everloop.model import quick_model
    from everloop.model.selection import select_features
    from everloop.model.train import material_of

    table = table_of()
    material = material_of(Parts(table), quick_frame(table, "bad"), TrainingSettings())
    asked: list[int] = []
    fitted: list[int] = []
    quick_fit = quick_model._quick_fit

    def out_of_time() -> bool:
        asked.append(len(fitted))
        return len(fitted) == 2

    monkeypatch.setattr(quick_model, "_quick_fit", lambda *given: fitted.append(1) or quick_fit(*given))
    assert quick_model.quick_fits(material, out_of_time=out_of_time) is None
    assert (asked, len(fitted)) == ([0, 1, 2], 2)
    assert select_features(material, out_of_time=lambda: True).kept == tuple(material.features)
    assert len(fitted) == 2


@pytest.mark.parametrize(("spent", "stops"), [(0.0, 12.0), (30.0, 2.5)])
def test_the_first_fits_stop_in_what_is_left_however_late_they_begin(monkeypatch, spent, stops) -> None:
    """Five folds, two at a time, are three turns; what follows the last fit is kept free."""
    from everloop.model.learners import learners_for
    from everloop.model.running import RunningTrial
    from everloop.model.searching import run_search
    from everloop.model.train import material_of

    table = table_of()
    material = material_of(Parts(table), quick_frame(table, "bad"), TrainingSettings())
    given: list[float] = []
    next_task = RunningTrial.next_task

    def noting(self, matrices, seconds, limit, *, keep):
        given.append(seconds)
        return next_task(self, matrices, seconds, limit, keep=keep)

    monkeypatch.setattr(RunningTrial, "next_task", noting)
    now = [spent]

    def tick(_event) -> None:
        now[0] += 60.0

    run_search(
        material,
        learners_for("binary", ("lightgbm",)),
        Budget(seconds=40),
        started=0.0,
        timer=lambda: now[0],
        progress=tick,
    )
    assert given[0] == pytest.approx(stops, rel=0.2)


def test_weights_are_chosen_for_as_long_as_there_is_time() -> None:
    truth = np.arange(50.0)
    answers = [truth + 1, truth - 1, truth + 3]

    def worth(mean):
        return -float(((mean - truth) ** 2).sum())

    assert greedy_weights(answers, worth).tolist() == [0.5, 0.5, 0]
    assert greedy_weights(answers, worth, out_of_time=lambda: True).tolist() == [1, 0, 0]


def test_no_library_is_loaded_late_where_loading_is_slow(monkeypatch) -> None:
    """A clock that loading alone moves: for a third library there is not three times as long left."""
    from everloop.model import searching
    from everloop.model.learners import learners_for
    from everloop.model.train import material_of

    now = [0.0]
    monkeypatch.setattr(searching, "warm_up", lambda *_: now.__setitem__(0, now[0] + 10.0))
    table = table_of()
    material = material_of(Parts(table), quick_frame(table, "bad"), TrainingSettings())
    learners = learners_for("binary", ("linear", "extra_trees", "hist_gradient_boosting", "lightgbm"))
    found = searching.run_search(material, learners, Budget(seconds=45), timer=lambda: now[0])
    assert {trial.learner for trial in found.trials} == {one.name for one in learners[:2]}
    assert now[0] == 20.0


@pytest.mark.parametrize(("begun", "first"), [(0.0, "linear"), (-20.0, "lightgbm")])
def test_where_much_time_is_gone_the_learner_that_is_loaded_comes_first(begun: float, first: str) -> None:
    from everloop.model.learners import learners_for
    from everloop.model.searching import run_search
    from everloop.model.train import material_of

    table = table_of()
    material = material_of(Parts(table), quick_frame(table, "bad"), TrainingSettings())
    now = [0.0]

    def tick(_event) -> None:
        now[0] += 15.0

    learners = learners_for("binary", ("linear", "lightgbm"))
    found = run_search(
        material, learners, Budget(seconds=40), progress=tick, timer=lambda: now[0], started=begun
    )
    assert found.trials[0].learner == first


class NeverEnding(Linear):
    """A linear model whose fit on all rows hangs, as it may on a machine that is busy."""

    name = "never_ending"
    capabilities = Capabilities(wants_scaling=True, cost=0.01)

    def fit(self, X, y, **options):
        if len(X) == ROWS:
            time.sleep(600)
        return super().fit(X, y, **options)


@pytest.mark.skipif(not FORKS, reason="children are forks, which are safe on Linux alone")
def test_a_last_fit_that_hangs_is_ended_and_a_folds_model_stands_in(monkeypatch) -> None:
    """Whatever the learner: of the first trials a fold's model is always kept."""
    from everloop.model.learners import registry

    monkeypatch.setattr(registry, "learner", lambda _: NeverEnding())
    table = table_of()
    settings = TrainingSettings(learners=("never_ending",), budget=Budget(seconds=2), select=False)
    trained = train(Parts(table), quick_frame(table, "bad"), settings)
    assert {trial.learner for trial in trained.trials} == {"never_ending"}
    assert trained.fitted_apart["rows"] < ROWS
    assert any("as a fold made" in note for note in trained.notes)
    assert trained.evaluation is not None


def test_a_budget_of_an_unknown_word_is_refused_by_it() -> None:
    with pytest.raises(UsageFault, match="not trails"):
        search(table_of(), target="bad", budget={"trails": 2})
