"""Keras models that were trained elsewhere, in memory and as .keras files, packaged in doubles."""
# ruff: noqa: D103, INP001, S101

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import polars as pl
import pytest
from keras import layers
from sklearn.datasets import load_digits

import everloop as el
from everloop.cli import main
from everloop.core.errors import ModelFault
from everloop.model.foreign_file import read_model

# Keras converts its variables in the way of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DIGITS = [str(digit) for digit in range(10)]


def table_of(X: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({f"pixel_{place}": X[:, place] for place in range(X.shape[1])})


def small_cnn(*, softmax: bool) -> keras.Sequential:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            layers.Input((64,)),
            layers.Rescaling(1 / 16),
            layers.Reshape((8, 8, 1)),
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Conv2D(8, (3, 2), strides=(1, 1), use_bias=False),
            layers.ReLU(),
            layers.AveragePooling2D((2, 1)),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax" if softmax else None),
        ]
    )


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    return load_digits(return_X_y=True)


def chances(model: keras.Model, X: np.ndarray) -> np.ndarray:
    said = np.asarray(model(X.astype(np.float32), training=False), dtype=np.float64)
    if np.allclose(said.sum(axis=1), 1.0, atol=1e-4) and (said >= 0).all():
        return said
    powers = np.exp(said - said.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("softmax", [True, False])
def test_a_cnn_file_becomes_a_package(tmp_path, digits, softmax) -> None:
    X, y = digits
    model = small_cnn(softmax=softmax)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss)
    model.fit(X, y, epochs=12, batch_size=64, verbose=0)
    model.save(tmp_path / "digits.keras")
    table_of(X).write_parquet(tmp_path / "rows.parquet")
    arguments = ["--sample", str(tmp_path / "rows.parquet"), "--classes", ",".join(DIGITS)]
    out = str(tmp_path / "package")
    assert main(["package", str(tmp_path / "digits.keras"), *arguments, "--out", out]) == 0
    certificate = json.loads((tmp_path / "package" / "parity.json").read_bytes())
    assert certificate["passed"]
    assert certificate["tolerance"] == 1e-9
    package = el.runtime.Package(tmp_path / "package")
    # Keras computes in single precision; what is packaged are its weights, in doubles.
    np.testing.assert_allclose(package.scores(table_of(X)), chances(model, X), atol=2e-5)
    assert (package.predict(table_of(X)) == y.astype(str)).mean() > 0.9


def test_a_network_of_one_score(tmp_path) -> None:
    keras.utils.set_random_seed(0)
    X = np.random.default_rng(0).normal(size=(100, 3))
    model = keras.Sequential(
        [layers.Input((3,)), layers.Dense(8, activation="silu"), layers.Dense(1, activation="sigmoid")]
    )
    el.model.package(model, tmp_path / "package", sample=table_of(X), classes=("no", "yes"))
    scores = el.runtime.Package(tmp_path / "package").scores(table_of(X)).ravel()
    said = np.asarray(model(X.astype(np.float32)))[:, 0]
    np.testing.assert_allclose(scores, said, atol=1e-5)


def test_code_in_a_file_is_refused(tmp_path) -> None:
    model = keras.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x * 2), layers.Dense(1)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(ModelFault, match=r"Lambda.*code"):
        read_model(tmp_path / "model.keras")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip"])
def test_a_damaged_file_is_refused(tmp_path, content) -> None:
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(ModelFault):
        read_model(tmp_path / "model.keras")


def test_a_layer_without_a_form_is_named(tmp_path) -> None:
    model = keras.Sequential([layers.Input((3, 2)), layers.LSTM(4), layers.Dense(1)])
    with pytest.raises(ModelFault, match="LSTM has no compiled form"):
        el.model.package(model, tmp_path / "package", sample=table_of(np.zeros((5, 6))))
