"""The target `tensorflow_serving`: what TensorFlow loads says what the package says, and Keras."""
# ruff: noqa: D101, D102, D103, INP001, S101

import keras
import numpy as np
import polars as pl
import pytest
import tensorflow as tf

import everloop as el
from everloop.core.errors import UsageFault
from everloop.deploy.targets import Release, export, open_target
from everloop.runtime.manifest import read_manifest
from everloop.testing.target_suite import TargetSuite

COLUMNS = ("a", "b", "c", "d")


def release_of(folder) -> Release:
    return Release(folder, read_manifest(folder))


def loaded(release, folder):
    export(release, open_target("tensorflow_serving"), folder)
    model = tf.saved_model.load(str(folder / release.name / str(release.manifest.version)))
    return model.signatures["serving_default"]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(6, activation="silu"), layers.BatchNormalization(), layers.Dense(3)]
    )


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    return pl.DataFrame({name: random.normal(size=60) for name in COLUMNS})


@pytest.fixture(scope="module")
def release(model, table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras") / "package"
    el.model.package(model, folder, sample=table, classes=["x", "y", "z"])
    return release_of(folder)


class TestTensorFlowServing(TargetSuite):
    @pytest.fixture
    def target(self):
        return open_target("tensorflow_serving")

    @pytest.fixture
    def release(self, release):
        return release


def test_a_keras_model_says_the_same_behind_the_signature(model, release, table, tmp_path) -> None:
    answer = loaded(release, tmp_path / "out")
    said = answer(**{name: tf.constant(table[name].to_numpy()[:, None]) for name in COLUMNS})["score"].numpy()
    package = el.runtime.Package(release.package)
    np.testing.assert_allclose(said, package.scores(table), atol=1e-9)
    theirs = tf.nn.softmax(model(table.to_numpy().astype(np.float32))).numpy()
    np.testing.assert_allclose(said, theirs, atol=1e-5)  # Keras computes in float32
    assert (said.argmax(axis=1) == theirs.argmax(axis=1)).all()


def test_a_network_for_images_says_the_same(tmp_path) -> None:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((20,)),
            layers.Reshape((5, 4, 1)),
            layers.Conv2D(3, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    random = np.random.default_rng(0)
    rows = pl.DataFrame({f"p{place}": random.normal(size=30) for place in range(20)})
    el.model.package(model, tmp_path / "package", sample=rows, classes=["no", "yes"])
    release = release_of(tmp_path / "package")
    given = {name: tf.constant(rows[name].to_numpy()[:, None]) for name in rows.columns}
    said = loaded(release, tmp_path / "out")(**given)["score"].numpy()
    np.testing.assert_allclose(said, el.runtime.Package(release.package).scores(rows), atol=1e-9)


def test_preparation_is_in_the_signature_missing_values_and_texts_included(tmp_path) -> None:
    random = np.random.default_rng(1)
    amount = random.normal(size=300)
    region = random.choice(["north", "south", "east"], 300)
    late = np.where(amount + (region == "south") > random.normal(size=300), "yes", "no")
    rows = pl.DataFrame({"amount": amount, "region": region, "late": late}).with_columns(
        amount=pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise(pl.col("amount"))
    )
    found = el.model.search(rows, target="late", learners=["linear"], budget={"trials": 1}, seed=0)
    found.package(tmp_path / "package", sample=rows)
    release = release_of(tmp_path / "package")
    answer = loaded(release, tmp_path / "out")
    given = {
        "amount": tf.constant(rows["amount"].fill_null(float("nan")).to_numpy()[:, None]),
        "region": tf.constant(rows["region"].to_numpy()[:, None].astype(object)),
    }
    said = answer(**given)["score"].numpy()
    np.testing.assert_allclose(said, el.runtime.Package(release.package).scores(rows), atol=1e-9)


def test_an_operator_without_a_twin_is_named(tmp_path) -> None:
    rows = pl.DataFrame({"a": np.arange(200.0), "late": ["no", "yes"] * 100})
    found = el.model.search(rows, target="late", learners=["random_forest"], budget={"trials": 1}, seed=0)
    found.package(tmp_path / "package", sample=rows)
    with pytest.raises(UsageFault, match="no twin in TensorFlow"):
        open_target("tensorflow_serving").files(release_of(tmp_path / "package"))
