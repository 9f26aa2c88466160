"""A target that is skewed: learned on another scale, answered and compiled on its own."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.model import Model
from everloop.model import package as make_package
from everloop.model.compile.score import score_model
from everloop.model.estimator_file import estimator_bytes, estimator_of
from everloop.model.estimators.rescaled import SCALES, Rescaled
from everloop.model.learners import learner
from everloop.model.packaging import read_certificate
from everloop.model.quick_frame import quick_frame
from everloop.model.searching import Budget
from everloop.model.target_scale import TARGET_SCALE, TargetScale, rescales
from everloop.model.train import train
from everloop.model.training_inputs import Parts, TrainingSettings
from everloop.runtime.graph import Graph


def skewed(rows: int, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    x, z = random.normal(size=(2, rows))
    return pl.DataFrame({"x": x, "z": z, "price": np.exp(1.5 * x + z + 0.2 * random.normal(size=rows) + 6)})


class Echo:
    """An estimator that answers with its only column."""

    def predict(self, X):
        return X[:, 0]


@given(
    values=st.lists(st.floats(-1e6, 1e6).map(lambda number: round(number, 3)), min_size=2, max_size=30),
    name=st.sampled_from([None, *SCALES]),
)
def test_what_is_put_on_a_scale_and_back_is_what_it_was(values, name) -> None:
    y = np.array(values)
    scale = TargetScale(y, {TARGET_SCALE: name})
    forward = scale.forward(y)
    assert np.isfinite(forward).all()
    assert (np.diff(forward[np.argsort(y, kind="stable")]) >= 0).all()
    back = scale.put_back(Echo()).predict(forward[:, None])
    np.testing.assert_allclose(back, y, rtol=1e-7, atol=1e-7 * max(1.0, np.abs(y).max()))


def test_answers_stay_within_what_was_learned_from() -> None:
    y = np.array([1.0, 10.0, 100.0])
    far = TargetScale(y, {TARGET_SCALE: "log"}).put_back(Echo()).predict(np.array([[-1e9], [1e9]]))
    np.testing.assert_allclose(far, [1.0, 100.0])
    scaled = TargetScale(y, {TARGET_SCALE: "log"})
    assert scaled.forward(np.array([-1e9]))[0] == pytest.approx(scaled.forward(y)[0])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["linear", "lightgbm", "xgboost", "extra_trees", "perceptron", "knn"])
def test_a_rescaled_model_compiles_and_is_read_again(name: str, scale: str) -> None:
    table = skewed(600)
    X, y = table.select("x", "z").to_numpy(), table["price"].to_numpy()
    put = TargetScale(y, {TARGET_SCALE: scale})
    one = learner(name)
    small = {"rounds": 20, "trees": 10}
    inner = one.fit(X, put.forward(y), task="regression", configuration={**one.portfolio[0], **small})
    estimator = put.put_back(inner)
    assert isinstance(estimator, Rescaled)
    fresh = skewed(500, seed=3).select("x", "z").to_numpy() * 3
    said = estimator.predict(fresh)
    frame = quick_frame(table, "price")
    compiled = Graph(score_model(estimator, frame), width=2, outputs=1).scores(fresh)
    np.testing.assert_allclose(compiled.reshape(-1), said, rtol=1e-6 if name == "xgboost" else 1e-9)
    assert np.array_equal(estimator_of(estimator_bytes(estimator)).predict(fresh), said)


def test_a_scale_is_tried_where_the_target_is_skewed_and_kept_where_it_is_better(tmp_path) -> None:
    table = skewed(900)
    frame = quick_frame(table, "price")
    assert rescales(frame, table["price"].to_numpy())
    assert not rescales(frame, table["x"].to_numpy())
    settings = TrainingSettings(learners=("linear",), budget=Budget(trials=3), select=False)
    trained = train(Parts(table), frame, settings)
    scales = [trial.configuration.get(TARGET_SCALE) for trial in trained.trials]
    assert scales[:2] == [None, "log"]
    assert trained.trials[1].score < 0.85 * trained.trials[0].score
    assert "log" in str(trained.configuration)
    make_package(Model(trained), tmp_path / "package", sample=table)
    assert read_certificate(tmp_path / "package")["passed"]
