"""Every learner that ships passes the public suite; the registry finds them and refuses the rest."""

import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from everloop.core.errors import MissingExtra, ModelFault
from everloop.model.estimator_file import load_estimator
from everloop.model.learners import Learner, known_learners, learner, learners_for
from everloop.model.learners.learner import Watch
from everloop.model.learners.registry import BUILT_IN, ON_REQUEST, learners_unasked
from everloop.testing.learner_suite import LearnerSuite


class TestLinear(LearnerSuite):
    learner = learner("linear")


class TestNearestNeighbours(LearnerSuite):
    learner = learner("knn")


class TestCatBoost(LearnerSuite):
    learner = learner("catboost")
    configuration: ClassVar = {"rounds": 30, "depth": 4, "learning_rate": 0.3}


class TestLightGbm(LearnerSuite):
    learner = learner("lightgbm")
    configuration: ClassVar = {"rounds": 20, "min_samples_leaf": 5, "row_share": 0.8, "column_share": 0.8}


class TestXgBoost(LearnerSuite):
    learner = learner("xgboost")
    configuration: ClassVar = {"rounds": 20, "depth": 3, "row_share": 0.8, "learning_rate": 0.3}


class TestHistGradientBoosting(LearnerSuite):
    learner = learner("hist_gradient_boosting")
    configuration: ClassVar = {"rounds": 20, "min_samples_leaf": 5}


class TestPerceptron(LearnerSuite):
    learner = learner("perceptron")
    configuration: ClassVar = {"bins": 8, "layers": 1, "units": 64, "learning_rate": 0.01}


class TestRandomForest(LearnerSuite):
    learner = learner("random_forest")
    configuration: ClassVar = {"trees": 25, "min_samples_leaf": 2}


class TestExtraTrees(LearnerSuite):
    learner = learner("extra_trees")
    configuration: ClassVar = {"trees": 25, "min_samples_leaf": 2, "max_features": 1.0}


class TestIsolationForest(LearnerSuite):
    learner = learner("isolation_forest")
    configuration: ClassVar = {"trees": 40, "rows_per_tree": 64, "column_share": 0.5}


class TestEcod(LearnerSuite):
    learner = learner("ecod")


class TestLocalOutlierFactor(LearnerSuite):
    learner = learner("local_outlier")

    def test_it_is_the_factor_of_scikit_learn(self) -> None:
        from sklearn.neighbors import LocalOutlierFactor

        random = np.random.default_rng(5)
        X, fresh = random.normal(size=(300, 3)), random.normal(0, 2, size=(80, 3))
        ours = self.fit("anomaly", X, np.zeros(300))
        theirs = LocalOutlierFactor(n_neighbors=20, novelty=True).fit(X)
        assert ours.score_samples(fresh) == pytest.approx(theirs.score_samples(fresh), rel=1e-6)

    def test_copies_of_a_row_are_no_outliers_and_no_infinities(self) -> None:
        X = np.vstack([np.zeros((60, 2)), np.random.default_rng(0).normal(5, 1, (60, 2))])
        scores = self.fit("anomaly", X, np.zeros(120)).score_samples(np.array([[0.0, 0.0], [5.0, 5.0]]))
        assert scores == pytest.approx([-1.0, -1.0], abs=0.3)


class TestKMeans(LearnerSuite):
    learner = learner("k_means")


class TestGaussianMixture(LearnerSuite):
    learner = learner("gaussian_mixture")


class TestHdbscan(LearnerSuite):
    learner = learner("hdbscan")


class TestPopularity(LearnerSuite):
    learner = learner("popularity")


class TestItemItem(LearnerSuite):
    learner = learner("item_item")


class TestImplicitFactors(LearnerSuite):
    learner = learner("implicit_factors")
    configuration: ClassVar = {"factors": 4, "alpha": 5.0, "penalty": 0.5, "rounds": 5}


def test_every_built_in_learner_has_a_suite() -> None:
    """Here, or in the group of the outside library that it needs."""
    tested = {cls.learner.name for cls in LearnerSuite.__subclasses__()}
    groups = Path(__file__).parents[2] / "integrations"
    apart = "".join(path.read_text() for path in groups.glob("*/test_*.py"))
    tested |= {name for name in ON_REQUEST if f'learner = learner("{name}")' in apart}
    assert tested == set(BUILT_IN)


def test_what_takes_seconds_to_load_is_tried_only_where_it_is_named() -> None:
    assert ON_REQUEST.isdisjoint(learners_unasked())
    assert [one.name for one in learners_for("binary", ("neural_net",))] == ["neural_net"]


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed here")
def test_a_learner_whose_library_is_missing_names_the_command() -> None:
    with pytest.raises(MissingExtra) as raised:
        learner("neural_net").fit(np.ones((20, 1)), np.arange(20) % 2, task="binary", configuration={})
    assert "everloop[torch]" in str(raised.value.hint)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_learner_is_what_the_protocol_says(name: str) -> None:
    found = learner(name)
    assert isinstance(found, Learner)
    assert found.name == name
    assert name in known_learners()


@pytest.mark.parametrize("rounded", [False, True])
def test_lightgbm_learns_the_same_by_rows_and_by_columns(rounded: bool) -> None:
    """One thread reads row by row, several column by column."""
    random = np.random.default_rng(0)
    X = random.normal(size=(3_000, 6))
    X = np.round(X, 1) if rounded else X
    X[random.random(X.shape) < 0.1] = np.nan
    y = (np.nan_to_num(X[:, 0]) * np.nan_to_num(X[:, 1]) + random.normal(size=len(X)) > 0).astype(int)
    configuration = {"rounds": 40, "random_cuts": rounded}
    one, two = (
        learner("lightgbm").fit(X, y, task="binary", configuration=configuration, threads=threads)
        for threads in (1, 2)
    )
    assert (one.get_params()["force_row_wise"], two.get_params()["force_row_wise"]) == (True, False)
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


@pytest.mark.parametrize("name", ["catboost", "lightgbm", "perceptron", "xgboost"])
def test_rounds_that_were_best_make_the_same_model_again(name: str) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 4)).astype(np.float32).astype(np.float64)
    y = X[:, 0] + random.normal(0, 2.0, 300)
    one, watch = learner(name), Watch(X[200:], y[200:], most_rounds=200, patience=10)
    weights = random.uniform(0.5, 2.0, 200)
    options = {"task": "regression", "configuration": one.portfolio[1], "weights": weights}
    watched, rounds = one.fit_watched(X[:200], y[:200], watch, **options)
    assert 1 <= rounds < 200
    options["configuration"] = {**one.portfolio[1], "rounds": rounds}
    assert np.array_equal(watched.predict(X), one.fit(X[:200], y[:200], **options).predict(X))
    hurried, rounds = one.fit_watched(
        X[:200], y[:200], replace(watch, seconds=0.0), task="regression", configuration=one.portfolio[1]
    )
    assert rounds <= 2
    assert np.isfinite(hurried.predict(X)).all()


@pytest.mark.parametrize("name", ["extra_trees", "random_forest"])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_forest_grows_as_many_trees_as_there_is_time_for(name: str, task: str) -> None:
    """In parts it grows the same trees as at once, and given as rounds so many are the same again."""
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 4)).astype(np.float32).astype(np.float64)
    y = X[:, 0] + random.normal(size=200)
    y = y if task == "regression" else (y > 0).astype(int)
    one, watch = learner(name), Watch(X[:5], y[:5], seconds=60.0)
    configuration = {"trees": 24, "max_features": 0.5}
    whole, trees = one.fit_watched(X, y, watch, task=task, configuration=configuration)
    assert trees == 24
    at_once = one.fit(X, y, task=task, configuration=configuration)
    assert np.array_equal(whole.predict(X), at_once.predict(X))
    hurried, trees = one.fit_watched(
        X, y, replace(watch, seconds=0.0), task=task, configuration=configuration
    )
    assert 1 <= trees == len(hurried.estimators_) < 24
    again = one.fit(X, y, task=task, configuration={**configuration, "rounds": trees})
    assert np.array_equal(hurried.predict(X), again.predict(X))


def test_of_many_classes_a_forest_has_fewer_leaves_and_a_net_no_more_inputs() -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(1_600, 80)), np.arange(1_600) % 400
    forest = learner("random_forest").fit(
        X, y, task="multiclass", configuration={"trees": 150, "max_features": 1, "max_leaf_nodes": 4096}
    )
    assert sum(tree.tree_.node_count for tree in forest.estimators_) * 400 <= 40_000_000
    net = learner("perceptron").fit(
        X, y, task="multiclass", configuration={"bins": 32, "layers": 1, "units": 64, "rounds": 1}
    )
    assert net.layers[0][1]["weight"].shape[1] <= 600


def test_an_unknown_learner_names_the_nearest() -> None:
    with pytest.raises(ModelFault) as raised:
        learner("lightgmb")
    assert "lightgbm" in str(raised.value.hint)


def test_learners_come_cheapest_first_and_once() -> None:
    assert [one.name for one in learners_for("binary", ("random_forest", "linear", "linear"))] == [
        "linear",
        "random_forest",
    ]


def test_xgboost_agrees_dense_with_its_own_categories_absent() -> None:
    """A one-hot slot of 0 is the number 0, never a missing value."""
    random = np.random.default_rng(0)
    X = np.eye(4)[random.integers(0, 4, 300)]
    y = (X[:, 1] + X[:, 2] > 0).astype(int)
    estimator = learner("xgboost").fit(X, y, task="binary", configuration={"rounds": 20})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ((estimator.predict_proba(X)[:, 1] > 0.5) == y).all()


def test_a_file_of_another_type_is_refused(tmp_path) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    (tmp_path / "bad.skops").write_bytes(skops.io.dumps(FunctionTransformer(print)))
    with pytest.raises(ModelFault, match="not trusted"):
        load_estimator(tmp_path / "bad.skops")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04truncated"])
def test_a_damaged_file_is_refused(tmp_path, content) -> None:
    (tmp_path / "bad.skops").write_bytes(content)
    with pytest.raises(ModelFault, match="damaged"):
        load_estimator(tmp_path / "bad.skops")
