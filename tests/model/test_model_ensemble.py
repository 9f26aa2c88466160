"""Ensembles: chosen greedily, one plan, one graph, proven equal; trials contained."""

import ctypes
import time
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.naive_bayes import GaussianNB

from everloop.model import Model
from everloop.model import package as make_package
from everloop.model.columns import column_kinds
from everloop.model.compile.score import answers, score_model
from everloop.model.contained import FORKS, Task, run_all
from everloop.model.ensemble import Ensemble
from everloop.model.estimator_file import estimator_bytes, estimator_of
from everloop.model.estimators.reweighed import Reweighed
from everloop.model.features import Features
from everloop.model.folds import FoldPlan, make_folds
from everloop.model.greedy import greedy_weights
from everloop.model.learners import learner
from everloop.model.limits import model_bytes
from everloop.model.packaging import read_certificate
from everloop.model.quick_frame import quick_frame
from everloop.model.scoring import raw_scores
from everloop.model.searching import Budget
from everloop.model.targets import labelled
from everloop.model.train import train
from everloop.model.trained import Trained
from everloop.model.training_inputs import Parts, TrainingSettings
from everloop.model.trial import Material, fit_final
from everloop.model.union_plan import united
from everloop.runtime.graph import Graph
from everloop.runtime.package import Package
from everloop.runtime.plan_table import encode_table
from everloop.spec.frame import Frame
from everloop.table.schema import schema_of


def table_of(task: str, rows: int = 400, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    x, z = random.normal(size=rows), random.normal(size=rows)
    town = random.choice(["Ulm", "Kiel", "Jena"], rows)
    signal = 1.5 * x + 0.5 * x * z + z + (town == "Ulm") + random.normal(size=rows)
    cuts = {"binary": [0.3], "multiclass": [-0.5, 1.0]}
    target = signal if task == "regression" else np.digitize(signal, cuts[task]).astype(str)
    return pl.DataFrame(
        {"x": np.where(random.random(rows) < 0.1, np.nan, x), "z": z, "town": town, "target": target}
    )


def trained_on(task: str, **options) -> Trained:
    table = table_of(task)
    settings = TrainingSettings(
        **{
            "learners": ("linear", "lightgbm", "extra_trees"),
            "budget": Budget(trials=5),
            "select": False,
            **options,
        }
    )
    return train(Parts(table), quick_frame(table, "target"), settings)


def material_of(table: pl.DataFrame, frame: Frame) -> Material:
    rows, actual = labelled(table, frame)
    features = Features(column_kinds(rows, frame.inputs).kept, schema_of(rows).types)
    return Material(rows, frame, actual, features, make_folds(rows, frame, actual, FoldPlan()), threads=1)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_an_ensemble_is_one_graph_that_is_proven_equal(task: str, tmp_path) -> None:
    trained = trained_on(task)
    assert trained.learner == "ensemble"
    assert isinstance(trained.estimator, Ensemble)
    members = trained.configuration["members"]
    assert len({member["learner"] for member in members}) > 1
    assert sum(member["weight"] for member in members) == pytest.approx(1, abs=1e-4)
    make_package(Model(trained), tmp_path / "package", sample=table_of(task, seed=1))
    assert read_certificate(tmp_path / "package")["passed"]
    served = Package(tmp_path / "package")
    fresh = table_of(task, seed=2)
    np.testing.assert_allclose(
        np.asarray(served.scores(fresh)).reshape(fresh.height, -1),
        trained.scores(fresh).reshape(fresh.height, -1),
        atol=1e-9,
    )
    loaded = Trained.load(trained.save(tmp_path))
    assert np.array_equal(loaded.scores(fresh), trained.scores(fresh))


def test_an_ensemble_is_the_weighted_mean_of_its_members() -> None:
    trained = trained_on("binary")
    X = trained.encode(table_of("binary", seed=3))
    one = trained.estimator
    by_hand = sum(
        weight * member.predict_proba(X[:, slots])
        for weight, member, slots in zip(one.weights, one.members, one.slots, strict=True)
    )
    np.testing.assert_allclose(one.predict_proba(X), by_hand, atol=1e-12)


def test_members_are_left_out_until_an_answer_is_quick_enough() -> None:
    trained = trained_on("binary", max_latency=timedelta(microseconds=1))
    assert trained.learner != "ensemble"
    assert any("was left out: an answer takes" in note for note in trained.notes)


def test_a_model_that_is_too_large_is_given_up_for_one_that_is_not() -> None:
    """The forest has megabytes, the linear model a few thousand bytes."""
    trained = trained_on("binary", learners=("linear", "extra_trees"), max_size=20_000)
    assert trained.learner == "linear"
    assert model_bytes(trained.plan, trained.estimator, trained.frame) <= 20_000
    assert any("at most 20kB are asked for" in note for note in trained.notes)


def test_trees_read_one_vector() -> None:
    """LightGBM and forests want the same preparation, so their union is no wider than either."""
    trained = trained_on("binary", learners=("lightgbm", "extra_trees"))
    assert trained.plan.width == 2 + 3
    plan, slots = united([trained.plan, trained.plan])
    assert plan == trained.plan
    assert [one.tolist() for one in slots] == [list(range(5))] * 2


def test_greedy_weights_are_no_worse_than_the_best_alone() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=800)
    answers = [truth + random.normal(size=800) * spread for spread in (0.5, 0.6, 0.7, 3.0)]

    def worth(mean):
        return -float(np.mean((mean - truth) ** 2))

    weights = greedy_weights(answers, worth)
    assert weights.sum() == pytest.approx(1)
    assert weights[3] < 0.05
    # Independent errors: the best weights are as one over the variance.
    assert weights[0] == pytest.approx(0.46, abs=0.1)
    mean = sum(weight * answer for weight, answer in zip(weights, answers, strict=True))
    assert worth(mean) > worth(answers[0])


@pytest.mark.skipif(not FORKS, reason="children are forks, which are safe on Linux alone")
def test_what_crashes_hangs_or_eats_memory_is_ended_and_named() -> None:
    def crash():
        ctypes.string_at(0)

    def hang():
        time.sleep(60)

    def fail():
        raise ValueError("no such luck")

    def eat():
        return {"eaten": np.ones(1 << 40, dtype=np.uint8)}

    tasks = [Task(one.__name__, one, 1.0) for one in (crash, hang, fail, eat)]
    tasks.append(Task("answer", lambda: {"numbers": np.arange(3.0), "word": "fine"}))
    crashed, hung, failed, ate, answered = run_all(tasks, 2)
    assert "SIGSEGV" in crashed.error
    assert "out of time" in hung.error
    assert failed.error == "ValueError: no such luck"
    assert "MemoryError" in ate.error or "SIG" in ate.error
    assert answered.error is None
    assert answered.values["numbers"].tolist() == [0.0, 1.0, 2.0]
    assert answered.values["word"] == "fine"


@pytest.mark.skipif(not FORKS, reason="children are forks, which are safe on Linux alone")
def test_children_share_what_is_free_and_have_a_least_where_nothing_is(monkeypatch) -> None:
    import resource

    from everloop.model import contained

    def limits(free: float) -> list[int]:
        monkeypatch.setattr(contained, "_free_memory", lambda: free)
        tasks = [
            Task(place, lambda: {"limit": resource.getrlimit(resource.RLIMIT_DATA)[0]}) for place in (0, 1)
        ]
        return [outcome.values["limit"] for outcome in run_all(tasks, 2)]

    first, second = limits(40 * 2**30)
    assert first == second
    assert first - limits(0.0)[0] == pytest.approx(0.4 * 40 * 2**30 - 2**30, abs=2**27)


class Crashing:
    """A learner that takes its process with it."""

    name = "crashing"

    def __init__(self) -> None:
        from everloop.model.learners import Capabilities

        self.capabilities = Capabilities(cost=0.01)
        self.space = ()
        self.portfolio = ({},)

    def fit(self, X, y, *, task, configuration, weights=None, seed=0, threads=1):
        ctypes.string_at(0)


@pytest.mark.skipif(not FORKS, reason="children are forks, which are safe on Linux alone")
def test_a_crashing_learner_is_named_and_the_search_goes_on(monkeypatch) -> None:
    from everloop.model.learners import registry

    plain = registry.learner
    monkeypatch.setattr(registry, "learner", lambda name: Crashing() if name == "crashing" else plain(name))
    trained = trained_on("binary", learners=("crashing", "linear"), budget=Budget(trials=2))
    crashed = [trial for trial in trained.trials if trial.learner == "crashing"]
    assert crashed
    assert all("SIGSEGV" in trial.error for trial in crashed)
    assert trained.learner == "linear"


class Uncompiled:
    """A learner that was brought from outside: its estimator has no compiled form, or cannot be kept."""

    def __init__(self, name: str) -> None:
        from everloop.model.learners import Capabilities

        self.name = name
        self.capabilities = Capabilities(tasks=("binary",), cost=0.01)
        self.space = ()
        self.portfolio = ({},)

    def fit(self, X, y, *, task, configuration, weights=None, seed=0, threads=1):
        kind = GaussianNB if self.name == "bayes" else Untrusted
        return kind().fit(X, y)


class Untrusted(GaussianNB):
    """A class that no file may name."""


def ring(rows: int = 400) -> pl.DataFrame:
    """Rows inside of a ring, which no line tells from those outside, but a normal distribution does."""
    random = np.random.default_rng(0)
    x, z = random.normal(size=(2, rows))
    return pl.DataFrame({"x": x, "z": z, "target": np.where(x**2 + z**2 < 1.4, "in", "out")})


@pytest.mark.parametrize("name", ["bayes", "untrusted"])
def test_where_one_learner_compiles_it_goes_before_a_better_one_that_does_not(
    name: str, monkeypatch, tmp_path
) -> None:
    from everloop.model.learners import registry

    plain = registry.learner
    monkeypatch.setattr(registry, "learner", lambda one: Uncompiled(one) if one == name else plain(one))
    settings = TrainingSettings(learners=(name, "linear"), budget=Budget(trials=2), select=False)
    trained = train(Parts(ring()), quick_frame(ring(), "target"), settings)
    best = max(trained.trials, key=lambda trial: trial.score)
    assert (best.learner, trained.learner) == (name, "linear")
    (told,) = (note for note in trained.notes if note.startswith(name))
    assert "has no compiled form" in told if name == "bayes" else "not trusted" in told
    make_package(Model(trained), tmp_path / "package", sample=ring())
    assert read_certificate(tmp_path / "package")["passed"]


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("name", ["linear", "lightgbm", "xgboost", "catboost", "knn", "perceptron"])
def test_chances_learned_with_weighted_classes_are_put_right(task: str, name: str, tmp_path) -> None:
    """On average they are the classes' own shares again; what is compiled says the same."""
    random = np.random.default_rng(0)
    table = table_of(task, 1_500)
    rare = table["target"] == "1"
    table = table.filter(~rare | pl.Series(random.random(1_500) < 0.25))
    frame = quick_frame(table, "target")
    one = learner(name)
    material = material_of(table, frame)
    rounds = {} if name in ("linear", "knn") else {"rounds": 40}
    plan, estimator = fit_final(one, {**one.portfolio[0], **rounds, "class_weight": "balanced"}, material)
    assert isinstance(estimator, Reweighed)
    X = np.asarray(encode_table(plan, material.table))
    chances = estimator.predict_proba(X)
    shares = np.bincount(material.actual) / len(material.actual)
    np.testing.assert_allclose(chances.mean(axis=0), shares, atol=0.04)
    raw = estimator.estimator.predict_proba(X).mean(axis=0)
    assert np.abs(raw - shares).max() > np.abs(chances.mean(axis=0) - shares).max()
    found = Graph(score_model(estimator, frame), width=plan.width, outputs=answers(frame)).scores(X)
    np.testing.assert_allclose(
        np.asarray(found).reshape(len(X), -1),
        raw_scores(estimator, X, frame).reshape(len(X), -1),
        atol=1e-6 if name == "xgboost" else 1e-9,
    )
    assert np.array_equal(estimator_of(estimator_bytes(estimator)).predict_proba(X), chances)


def test_weighted_classes_are_tried_where_one_is_rare() -> None:
    table = table_of("binary", 1_200)
    rare = table.filter((pl.col("target") == "0") | (pl.int_range(pl.len()) % 6 == 0))
    for rows, expected in ((table, False), (rare, True)):
        frame = quick_frame(rows, "target")
        settings = TrainingSettings(learners=("linear", "lightgbm"), budget=Budget(trials=9), select=False)
        trials = train(Parts(rows), frame, settings).trials
        assert any(trial.configuration.get("class_weight") for trial in trials) == expected
        assert not [trial.error for trial in trials if trial.error and "pruned" not in trial.error]


def test_where_there_is_no_time_for_a_last_fit_a_folds_model_stands_in(monkeypatch) -> None:
    """The search ends when its time does; what the fold's model says is what a fit on its rows says."""
    monkeypatch.setattr("everloop.model.finishing._affordable", lambda *_: [])
    table = table_of("regression", 900)
    settings = TrainingSettings(learners=("lightgbm",), budget=Budget(seconds=4), select=False)
    trained = train(Parts(table), quick_frame(table, "target"), settings)
    assert any("as a fold made" in note for note in trained.notes)
    assert trained.fitted_apart["rows"] < table.height
    fresh = table_of("regression", 300, seed=5)
    errors = trained.scores(fresh) - fresh["target"].to_numpy()
    assert np.mean(errors**2) < 0.7 * np.var(fresh["target"].to_numpy())
