"""Searching, training, saving: deterministic, contained, resumable, and as good as a plain baseline."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.core.errors import DataFault, ModelFault, SpecFault, TrainingFailed, UsageFault
from everloop.core.progress import Event
from everloop.core.units import Bound
from everloop.measure.worth import Worth
from everloop.model import Model, search
from everloop.model.folds import FoldPlan, make_folds
from everloop.model.learners import Capabilities
from everloop.model.pace import Pace
from everloop.model.quick_frame import quick_frame
from everloop.model.searching import FEWEST_ROWS, Budget
from everloop.model.targets import labelled
from everloop.model.train import train
from everloop.model.trained import Trained, digest_of_saved
from everloop.model.training_inputs import Parts, Stakes, TrainingSettings
from everloop.table.dataset import Dataset

FEW = {"trials": 2}
QUICK = ("linear", "lightgbm")


def people(rows: int = 240, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    income, debt = random.normal(3, 1, rows), random.normal(1, 0.5, rows)
    town = random.choice(["Ulm", "Kiel", "Jena"], rows)
    chance = 1 / (1 + np.exp(-(2 * debt - income + (town == "Ulm"))))
    return pl.DataFrame(
        {
            "income": np.where(random.random(rows) < 0.1, np.nan, income),
            "debt": debt,
            "town": town,
            "member": random.random(rows) < 0.5,
            "note": [f"text {i}" for i in range(rows)],
            "bad": np.where(random.random(rows) < chance, "yes", "no"),
        }
    )


def trained_on(
    table: pl.DataFrame, target: str = "bad", stakes: Stakes | None = None, journal=None, **options
) -> Trained:
    settings = TrainingSettings(**{"learners": QUICK, "budget": Budget(trials=3), "select": False, **options})
    frame = quick_frame(table, target)
    return train(Parts(table), frame, settings, stakes=stakes, journal=journal)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return trained_on(people())


def test_a_model_answers_in_the_targets_own_words(trained: Trained) -> None:
    table = people(seed=1)
    model = Model(trained)
    assert model.classes == ("no", "yes")
    assert set(model.predict(table)) == {"no", "yes"}
    chances = model.predict_proba(table)
    assert chances.shape == (table.height, 2)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert ((chances[:, 1] >= trained.threshold) == (model.predict(table) == "yes")).all()


def test_free_text_is_left_out_with_a_reason(trained: Trained) -> None:
    note = next(choice for choice in trained.features if choice.name == "note")
    assert not note.kept
    assert "240 different values" in note.reason


def test_a_saved_model_is_the_same_model(trained: Trained, tmp_path) -> None:
    table = people(seed=1)
    loaded = Trained.load(trained.save(tmp_path))
    assert np.array_equal(loaded.scores(table), trained.scores(table))
    assert loaded == replace(trained, estimator=loaded.estimator)
    assert loaded.evaluation == trained.evaluation
    assert np.array_equal(loaded.held_out_scores, trained.held_out_scores)


def test_the_same_seed_gives_the_same_bytes(trained: Trained, tmp_path) -> None:
    again = trained_on(people())
    assert again.digest() == trained.digest()
    assert trained_on(people(), seed=1).digest() != trained.digest()


def test_a_killed_search_goes_on_and_ends_the_same(trained: Trained, tmp_path) -> None:
    journal = tmp_path / "trials.jsonl"
    assert trained_on(people(), journal=journal).digest() == trained.digest()
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) == 3
    for kept in (lines[:1], lines[:2], lines, [*lines[:1], lines[1][:25]], ["{}\n", *lines]):
        journal.write_text("".join(kept))
        assert trained_on(people(), journal=journal).digest() == trained.digest()
        assert [json.loads(line)["number"] for line in journal.read_text().splitlines()] == [0, 1, 2]


def test_finished_trials_are_not_run_again(tmp_path, monkeypatch) -> None:
    journal = tmp_path / "trials.jsonl"
    trained_on(people(), journal=journal)
    ran = []
    monkeypatch.setattr("everloop.model.running.fit_fold", lambda *a, **options: ran.append(a))
    trained_on(people(), journal=journal)
    assert not ran


class Failing:
    """A learner that always fails; imported by the registry under a patched name."""

    name = "failing"
    capabilities = Capabilities(cost=0.01)
    space = ()
    portfolio = ({},)

    def fit(self, X, y, *, task, configuration, weights=None, seed=0, threads=1):
        raise RuntimeError("no such luck\nsecond line")


def test_a_failing_trial_is_named_and_the_search_goes_on(monkeypatch) -> None:
    from everloop.model.learners import registry

    monkeypatch.setitem(registry.BUILT_IN, "failing", f"{__name__}:Failing")
    monkeypatch.setattr(
        registry, "learner", lambda name: Failing() if name == "failing" else registry_learner(name)
    )
    found = trained_on(people(), learners=("failing", "linear"), budget=Budget(trials=2))
    assert [trial.error for trial in found.trials] == ["RuntimeError: no such luck", None]
    assert found.learner == "linear"
    with pytest.raises(TrainingFailed, match="no such luck"):
        trained_on(people(), learners=("failing",), budget=Budget(trials=2))


def registry_learner(name):
    from everloop.model.learners.linear import Linear

    return Linear()


def test_progress_tells_score_and_time_left() -> None:
    events: list[Event] = []
    search(people(), "bad", budget="1s", learners=["linear"], select_features=False, progress=events.append)
    trials = [event for event in events if "trial" in event.facts]
    assert trials
    assert "best" in trials[-1].message
    assert all(event.phase == "model" for event in events)
    assert trials[0].seconds_left is not None


def test_a_budget_of_almost_nothing_still_gives_a_model() -> None:
    model = search(people(), "bad", budget=0.001, learners=["linear"])
    assert len(model.trained.trials) == 1


@pytest.mark.parametrize("budget", [{"trials": 0}, 0, {"seconds": 1, "trials": 1}, {"time": "1m"}])
def test_a_budget_that_is_none_is_refused(budget) -> None:
    with pytest.raises(UsageFault, match="budget"):
        search(people(), "bad", budget=budget)


def test_the_threshold_follows_the_prices() -> None:
    """With constant prices the threshold lies near the break-even chance, 1 / (1 + 4) here."""
    prices = np.array([4.0, -1.0, 0.0, 0.0])
    stakes = Stakes(
        lambda table: Worth("binary", prices=prices, size=table.height),
        lambda table: np.zeros(table.height, dtype=bool),
    )
    found = trained_on(people(2000), learners=("linear",), budget=Budget(trials=1), stakes=stakes)
    assert found.threshold == pytest.approx(0.2, abs=0.12)
    evaluation = found.evaluation
    assert evaluation is not None
    assert evaluation.value_today.estimate == 0
    assert evaluation.gain.low > 0
    assert evaluation.value.estimate <= evaluation.best_possible
    assert evaluation.gain.estimate == pytest.approx(evaluation.value.estimate)


def test_requirements_bound_the_threshold() -> None:
    stakes = Stakes(lambda table: Worth("binary", prices=(1.0, -9.0, 0.0, 0.0), size=table.height))
    required = {"recall": Bound.parse(">= 0.9"), "roc_auc": Bound.parse(">= 0.99")}
    found = trained_on(
        people(1000), learners=("linear",), budget=Budget(trials=1), stakes=stakes, required=required
    )
    results = {one.name: one for one in found.evaluation.requirements}
    assert results["recall"].holds
    assert results["recall"].number >= 0.9
    assert not results["roc_auc"].holds


def test_without_prices_the_record_says_what_the_threshold_is_best_for(trained: Trained) -> None:
    assert "f1" in trained.threshold_reason


def test_search_is_as_good_as_a_plain_baseline() -> None:
    from sklearn.datasets import load_breast_cancer, load_diabetes
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.metrics import roc_auc_score, root_mean_squared_error
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    cancer, sugar = load_breast_cancer(), load_diabetes()
    names = [name.replace(" ", "_") for name in cancer.feature_names]
    train_rows = np.arange(569) % 3 != 0
    table = pl.DataFrame(cancer.data, schema=names).with_columns(pl.Series("kind", cancer.target))
    model = search(table.filter(train_rows), "kind", budget={"trials": 3}, learners=["linear", "extra_trees"])
    plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    plain.fit(cancer.data[train_rows], cancer.target[train_rows])
    held = cancer.target[~train_rows]
    ours = roc_auc_score(held, model.predict_proba(table.filter(~train_rows))[:, 1])
    assert ours >= roc_auc_score(held, plain.predict_proba(cancer.data[~train_rows])[:, 1]) - 0.01

    train_rows = np.arange(442) % 3 != 0
    table = pl.DataFrame(sugar.data, schema=sugar.feature_names).with_columns(pl.Series("y", sugar.target))
    model = search(table.filter(train_rows), "y", budget={"trials": 3}, learners=["linear", "lightgbm"])
    held = sugar.target[~train_rows]
    ridge = Ridge(1e-3).fit(sugar.data[train_rows], sugar.target[train_rows])
    ours = root_mean_squared_error(held, model.predict(table.filter(~train_rows)))
    assert ours <= 1.05 * root_mean_squared_error(held, ridge.predict(sugar.data[~train_rows]))


def test_noise_columns_are_left_out_and_the_signal_stays() -> None:
    random = np.random.default_rng(100)
    table = (
        people(2400)
        .drop("note")
        .with_columns(pl.Series(f"noise{i}", random.normal(size=2400)) for i in range(6))
    )
    found = trained_on(table, select=True, budget=Budget(trials=1), learners=("linear",))
    kept = {choice.name for choice in found.features if choice.kept}
    assert {"income", "debt"} <= kept
    assert len([name for name in kept if name.startswith("noise")]) <= 3
    dropped = next(choice for choice in found.features if not choice.kept)
    assert dropped.gain is not None
    assert "noise" in dropped.reason


def test_values_that_are_missing_are_counted_over_columns_of_every_type() -> None:
    random, size = np.random.default_rng(0), 1_200
    gone = random.random((size, 3)) < random.random((size, 1))
    z, v = random.normal(size=(2, size))
    start = datetime(2024, 1, 1, tzinfo=UTC)
    columns = {
        "kind": [f"kind {k % 3}" for k in range(size)],
        "at": [start + timedelta(minutes=37 * k) for k in range(size)],
        "x": random.normal(size=size).tolist(),
    }
    table = pl.DataFrame(
        {
            **{
                name: [None if hole else value for hole, value in zip(gone[:, place], values, strict=True)]
                for place, (name, values) in enumerate(columns.items())
            },
            "z": z,
            "v": v,
            "y": np.where(2 * gone.sum(axis=1) + z + v + random.normal(0, 0.3, size) > 3, "yes", "no"),
        }
    )
    model = search(table, target="y", learners=["linear"], budget={"trials": 1}, seed=0)
    row = {"kind": None, "at": None, "x": None, "z": 0.0, "v": 0.0}
    assert model.predict(pl.DataFrame([row], schema=table.drop("y").schema)).tolist() == ["yes"]


def test_few_rows_leave_no_column_out() -> None:
    found = trained_on(people(400), select=True, budget=Budget(trials=1), learners=("linear",))
    assert all(choice.kept for choice in found.features if choice.name != "note")
    assert {choice.name for choice in found.features if choice.gain is not None} >= {"income", "debt"}


def test_a_time_and_a_number_kept_as_text_are_read() -> None:
    """What depends on the hour alone is learned from texts that are different in every row."""
    random = np.random.default_rng(0)
    hours = np.arange(600)
    times = [str(np.datetime64("2024-03-01T00:30:00") + np.timedelta64(int(hour), "h")) for hour in hours]
    amount = random.normal(100, 20, 600)
    table = pl.DataFrame(
        {
            "at": [text.replace("T", " ") for text in times],
            "amount": [f"{number:.2f}" for number in amount],
            "y": 10.0 * (hours % 24 < 8) + 0.1 * amount + random.normal(0, 0.1, 600),
        }
    )
    train_rows = random.random(600) < 0.7
    model = search(table.filter(train_rows), "y", budget={"trials": 2}, learners=["lightgbm"])
    held = table.filter(~train_rows)
    assert np.abs(model.predict(held) - held["y"].to_numpy()).mean() < 1.0
    assert set(model.trained.columns) == {"at", "amount"}
    assert np.isfinite(model.predict(held.with_columns(at=pl.lit("no time"), amount=pl.lit("")))).all()


def test_many_classes_and_a_class_of_one_row() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    label = np.where(x > 0.5, "c", np.where(x > -0.5, "b", "a")).astype(object)
    label[0] = "rare"
    table = pl.DataFrame({"x": x, "z": random.normal(size=200), "label": label})
    model = search(table, "label", budget={"trials": 3}, learners=["linear", "lightgbm", "xgboost"])
    assert model.classes == ("a", "b", "c", "rare")
    assert model.predict_proba(table).shape == (200, 4)
    assert (model.predict(table) == label).mean() > 0.8
    assert not [trial.error for trial in model.trained.trials if trial.error]


@pytest.mark.parametrize(
    ("values", "dtype"), [([0, 1], np.int64), ([False, True], np.bool_), ([0.0, 1.0], np.float64)]
)
def test_predictions_have_the_targets_type(values, dtype) -> None:
    table = pl.DataFrame({"x": list(range(60)), "y": [values[row > 30] for row in range(60)]})
    predicted = search(table, "y", budget=FEW, learners=["linear"]).predict(table)
    assert predicted.dtype == dtype
    assert (predicted == table["y"].to_numpy()).mean() > 0.9


def test_rows_without_a_target_are_left_aside() -> None:
    table = people().with_columns(
        pl.when(pl.int_range(pl.len()) % 5 == 0).then(None).otherwise("bad").alias("bad")
    )
    model = search(
        table.with_columns(
            pl.when(pl.col("bad").is_null()).then(None).otherwise(people()["bad"]).alias("bad")
        ),
        "bad",
        budget={"trials": 1},
        learners=["linear"],
    )
    assert model.predict(table).shape == (240,)


def test_wide_tables() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(100, 800))
    table = pl.DataFrame(X, schema=[f"c{i}" for i in range(800)]).with_columns(y=pl.Series(X[:, 7] > 0))
    model = search(table, "y", budget={"trials": 2}, learners=["linear", "lightgbm"])
    assert model.predict(table).shape == (100,)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pl.DataFrame({"x": [1, 2, 3, 4, 5], "y": ["a"] * 5}), "nothing to learn"),
        (
            pl.DataFrame({"x": [1, 2, 3, 4, 5], "y": [None] * 5}, schema={"x": pl.Int64, "y": pl.String}),
            "no value",
        ),
        (pl.DataFrame({"x": [1, 2, 3], "y": [0, 1, 0]}), "at least 4"),
        (
            pl.DataFrame({"x": [None] * 6, "y": [0, 1] * 3}, schema={"x": pl.Float64, "y": pl.Int64}),
            "No column can be",
        ),
        (pl.DataFrame({"x": [5] * 6, "y": [0, 1] * 3}), "one value"),
        (pl.DataFrame({"x": [1, 2]}), "no column 'y'"),
    ],
)
def test_tables_that_cannot_be_learned_from(table, message) -> None:
    with pytest.raises(DataFault, match=message):
        search(table, "y", budget=FEW)


def test_wrong_names_are_refused() -> None:
    with pytest.raises(SpecFault, match="roc_auk"):
        search(people(), "bad", metric="roc_auk")
    with pytest.raises(SpecFault, match="does not judge"):
        search(people(), "bad", metric="rmse")
    with pytest.raises(ModelFault, match="lightgmb"):
        search(people(), "bad", learners=["lightgmb"])
    with pytest.raises(UsageFault, match="target"):
        search(people())


def test_damaged_folders_are_refused(trained: Trained, tmp_path) -> None:
    with pytest.raises(ModelFault, match="no trained model"):
        Trained.load(tmp_path)
    folder = trained.save(tmp_path)
    before = digest_of_saved(folder)
    (folder / "timings.json").write_text("{}")
    assert digest_of_saved(folder) == before
    (folder / "trained.json").write_text('{"format": 1}')
    with pytest.raises(ModelFault, match="damaged"):
        Trained.load(folder)


def test_the_input_is_never_changed() -> None:
    pandas = people().to_pandas()
    before = pandas.copy(deep=True)
    search(pandas, "bad", budget={"trials": 1}, learners=["linear"]).predict(pandas)
    assert pandas.equals(before)


def test_a_search_by_time_ends_in_time_and_tries_every_learner() -> None:
    """A clock that only trials move: each takes a second, and the budget is twelve."""
    from everloop.model.columns import column_kinds
    from everloop.model.features import Features
    from everloop.model.learners import learners_for
    from everloop.model.searching import run_search
    from everloop.model.trial import Material
    from everloop.table.schema import schema_of

    table = people()
    frame = quick_frame(table, "bad")
    rows, actual = labelled(table, frame)
    features = Features(column_kinds(rows, frame.inputs).kept, schema_of(rows).types)
    material = Material(rows, frame, actual, features, make_folds(rows, frame, actual, FoldPlan()), threads=1)
    now = [0.0]

    def tick(event: Event) -> None:
        now[0] += 1.0

    found = run_search(
        material, learners_for("binary", QUICK), Budget(seconds=12), progress=tick, timer=lambda: now[0]
    )
    assert {trial.learner for trial in found.trials} == set(QUICK)
    # Two may be under way, side by side, as the twelfth second passes.
    assert 8 <= len(found.trials) <= 13
    assert found.best.score == max(trial.score for trial in found.trials if trial.score is not None)


def test_on_a_slow_machine_every_learner_is_tried_on_fewer_rows(monkeypatch) -> None:
    monkeypatch.setattr(Pace, "of_fit", lambda _self, _learner, _configuration, rows: rows / 4_000)
    monkeypatch.setattr("everloop.model.searching._Search.ending", lambda _self: 60.0)  # longer than there is
    trained = trained_on(
        people(12_000), learners=(*QUICK, "hist_gradient_boosting"), budget=Budget(seconds=30)
    )
    first = {trial.learner: trial.rows for trial in reversed(trained.trials)}
    assert set(first) == {*QUICK, "hist_gradient_boosting"}
    assert min(first.values()) == FEWEST_ROWS


def test_more_classes_than_can_be_told_apart_are_refused() -> None:
    table = pl.DataFrame({"x": range(4_000), "y": [f"class {row % 2_000}" for row in range(4_000)]})
    with pytest.raises(DataFault, match="2,000 classes"):
        search(table, "y", budget=FEW)


def test_equal_rows_are_kept_in_one_fold_or_divided_like_any() -> None:
    table = pl.concat([people(60)] * 3).drop("note")
    frame = quick_frame(table, "bad")
    rows, actual = labelled(table, frame)
    shared = [
        np.intersect1d(fold.train % 60, fold.validation % 60).size
        for twins in (True, False)
        for fold in make_folds(rows, frame, actual, FoldPlan(twins=twins))
    ]
    assert max(shared[:4]) == 0
    assert min(shared[4:]) > 20


@pytest.mark.parametrize("split", [False, True])
def test_equal_rows_of_a_bare_table_are_divided_and_those_of_a_dataset_stay_together(
    split, tmp_path, monkeypatch
) -> None:
    asked = []

    def train_task(parts, frame, settings, **_) -> None:
        asked.append(settings.twins)

    monkeypatch.setattr("everloop.model.training.train_task", train_task)
    table = people(60)
    search(Dataset.save(tmp_path / "data", {"train": table}) if split else table, "bad")
    assert asked == [split]
