"""SavedModels, read as data: what is packaged says what TensorFlow's own loader says."""
# ruff: noqa: D102, D103, INP001, S101

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import polars as pl
import pytest
import tensorflow as tf
from keras import layers

import everloop as el
from everloop.cli import main
from everloop.core.errors import ModelFault
from everloop.deploy.targets import Release, export, open_target
from everloop.model.foreign_file import read_model
from everloop.runtime.manifest import read_manifest

# Keras converts its variables in the way of NumPy 1.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning"),
]

ACTIVATIONS = (
    *("relu", "sigmoid", "tanh", "softplus", "softsign", "selu", "elu", "exponential", "leaky_relu", "relu6"),
    *("silu", "hard_silu", "gelu", "hard_sigmoid", "mish", "log_softmax", "celu", "hard_tanh", "squareplus"),
)
ROWS = 60


def table_of(width: int) -> pl.DataFrame:
    X = np.random.default_rng(0).normal(size=(ROWS, width)).astype(np.float32).astype(np.float64)
    return pl.DataFrame({f"size_{place}": X[:, place] for place in range(width)})


def said_by(folder, **given) -> np.ndarray:
    """What TensorFlow's own loader says."""
    answer = tf.saved_model.load(str(folder)).signatures["serving_default"]
    specs = answer.structured_input_signature[1]
    given = {
        name: tf.constant(array.astype(specs[name].dtype.as_numpy_dtype)) for name, array in given.items()
    }
    return next(iter(answer(**given).values())).numpy().astype(np.float64)


def _input(folder) -> str:
    (name,) = tf.saved_model.load(str(folder)).signatures["serving_default"].structured_input_signature[1]
    return name


def packaged(folder, place, rows, *options: str) -> el.runtime.Package:
    rows.write_parquet(place / "rows.parquet")
    arguments = ["--sample", str(place / "rows.parquet"), *options, "--out", str(place / "package")]
    assert main(["package", str(folder), *arguments]) == 0
    assert json.loads((place / "package" / "parity.json").read_bytes())["passed"]
    return el.runtime.Package(place / "package")


def test_a_network_as_tensorflow_serving_has_it_becomes_a_package(tmp_path) -> None:
    keras.utils.set_random_seed(0)
    rows = table_of(4)
    X = rows.to_numpy()
    known = layers.Normalization()
    known.adapt(X)
    model = keras.Sequential(
        [
            layers.Input((4,)),
            known,
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.LayerNormalization(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, np.digitize(X[:, 0], [-0.5, 0.5]), epochs=3, verbose=0)
    model.export(tmp_path / "1", verbose=False)
    package = packaged(tmp_path / "1", tmp_path, rows, "--classes", "a,b,c")
    theirs = said_by(tmp_path / "1", **{_input(tmp_path / "1"): X})
    np.testing.assert_allclose(package.scores(rows), theirs, atol=2e-6)
    assert (package.predict(rows) == np.array(list("abc"))[theirs.argmax(axis=1)]).all()


def test_every_activation_says_the_same(tmp_path) -> None:
    keras.utils.set_random_seed(1)
    rows = layers.Input((4,))
    parts = [layers.Dense(3, activation=name)(rows) for name in ACTIVATIONS]
    merged = [kind()(parts[:3]) for kind in (layers.Add, layers.Multiply, layers.Average, layers.Maximum)]
    model = keras.Model(rows, layers.Dense(1)(layers.Concatenate()([*parts, *merged])))
    model.export(tmp_path / "1", verbose=False)
    X = table_of(4).to_numpy()
    theirs = said_by(tmp_path / "1", **{_input(tmp_path / "1"): X})
    np.testing.assert_allclose(read_model(tmp_path / "1").predict(X), theirs[:, 0], atol=2e-5)


def test_inputs_by_name_are_columns_by_name(tmp_path) -> None:
    keras.utils.set_random_seed(2)
    age, size = layers.Input((1,), name="age"), layers.Input((2,), name="size")
    kind = layers.Input((1,), name="kind", dtype="int32")
    known = layers.Flatten()(layers.Embedding(5, 3)(kind))
    inner = layers.Dense(7, activation="silu")(layers.Concatenate()([age, size, known]))
    model = keras.Model([age, size, kind], layers.Dense(1, activation="sigmoid")(inner))
    model.export(tmp_path / "1", verbose=False)
    random = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "kind": random.integers(0, 5, ROWS),
            "size_1": random.normal(size=ROWS),
            "size_0": random.normal(size=ROWS),
            "age": random.normal(size=ROWS),
        }
    )
    package = packaged(tmp_path / "1", tmp_path, rows, "--classes", "no,yes")
    assert [one.name for one in package.manifest.inputs] == ["age", "kind", "size_0", "size_1"]
    given = {"age": rows[["age"]], "kind": rows[["kind"]], "size": rows[["size_0", "size_1"]]}
    theirs = said_by(tmp_path / "1", **{name: part.to_numpy() for name, part in given.items()})
    np.testing.assert_allclose(package.scores(rows).ravel(), theirs[:, 0], atol=2e-6)


def test_a_network_for_images_says_the_same(tmp_path) -> None:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Rescaling(1 / 16),
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.DepthwiseConv2D(2),
            layers.Conv2D(8, (3, 2), use_bias=False),
            layers.AveragePooling2D((1, 2), padding="same"),
            layers.ZeroPadding2D(1),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.export(tmp_path / "1", verbose=False)
    rows = table_of(64)
    package = packaged(tmp_path / "1", tmp_path, rows, "--classes", "a,b,c")
    X = rows.to_numpy()
    theirs = said_by(tmp_path / "1", **{_input(tmp_path / "1"): X.reshape(-1, 8, 8, 1)})
    np.testing.assert_allclose(package.scores(rows), theirs, atol=2e-6)


class Parts(tf.Module):
    """What shapes and counts."""

    @tf.function(input_signature=[tf.TensorSpec((None, 6), tf.float32)])
    def answer(self, x):
        halves = tf.math.floormod(x, 2.0) + tf.math.floordiv(x, 0.7)
        logs = tf.math.log1p(tf.abs(x)) + tf.math.expm1(x) + tf.math.rsqrt(tf.abs(x) + 1) + tf.round(x)
        places = tf.cast(tf.abs(x[:, 0]), tf.int32)
        square = tf.linalg.matmul(x[:, :, None], x[:, :, None], transpose_a=True)
        parts = (
            *(x[:, 1:5:2], x[:, -1][:, None], x[..., ::-1][:, :2], x[:, None, 2:4][:, 0]),
            *(x[..., tf.newaxis][:, 0], tf.stack(tf.unstack(x, axis=1)[:2], 1)),
            *(tf.split(x, [1, 2, 3], axis=1)[2], tf.gather(x, [0, 3], axis=1), tf.tile(x[:, :1], [1, 2])),
            *(tf.one_hot(places, 4), tf.where(x > 0, x, tf.zeros_like(x)), halves, logs),
            tf.cast(tf.argmax(x, 1), tf.float32)[:, None],
            tf.cast(tf.reduce_any(x > 1, axis=1, keepdims=True), tf.float32),
            *(tf.math.divide_no_nan(x[:, :1], tf.nn.relu(x[:, 1:2])), square[:, :, 0]),
            tf.reduce_logsumexp(x, 1, keepdims=True),
        )
        return {"parts": tf.concat(parts, 1)}


def test_shapes_and_counts_say_the_same(tmp_path) -> None:
    parts = Parts()
    tf.saved_model.save(parts, str(tmp_path / "1"), signatures={"serving_default": parts.answer})
    X = table_of(6).to_numpy()
    theirs = said_by(tmp_path / "1", x=X)
    found = read_model(tmp_path / "1", classes=[str(place) for place in range(theirs.shape[1])])
    np.testing.assert_allclose(found._answers(X), theirs, atol=1e-5)  # noqa: SLF001


class Line(tf.Module):
    """In double precision, with the one signature under a name of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(np.random.default_rng(0).normal(size=(4, 3)))

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float64)])
    def answer(self, x):
        return {"score": tf.nn.softmax(tf.nn.elu(x) @ self.kernel)}


def test_double_precision_is_kept(tmp_path) -> None:
    line = Line()
    tf.saved_model.save(line, str(tmp_path / "1"), signatures={"own": line.answer})
    rows = table_of(4)
    package = packaged(tmp_path / "1", tmp_path, rows, "--classes", "a,b,c")
    theirs = line.answer(tf.constant(rows.to_numpy()))["score"].numpy()
    np.testing.assert_allclose(package.scores(rows), theirs, atol=1e-12)
    assert json.loads((tmp_path / "package" / "parity.json").read_bytes())["tolerance"] == 1e-9


def test_a_model_of_tensorflow_1_is_read(tmp_path) -> None:
    one = tf.compat.v1
    with tf.Graph().as_default(), one.Session() as session:
        one.set_random_seed(0)  # whoever trained before us may have asked for determinism
        x = one.placeholder(tf.float32, (None, 4), name="x")
        kernel = one.get_variable("kernel", (4, 3), use_resource=False)
        bias = one.get_variable("bias", (3,), use_resource=True)
        chances = tf.nn.softmax(tf.matmul(x, kernel) + bias)
        session.run(one.global_variables_initializer())
        one.saved_model.simple_save(session, str(tmp_path / "1"), {"x": x}, {"y": chances})
    X = table_of(4).to_numpy()
    ours = read_model(tmp_path / "1", classes=("a", "b", "c")).predict_proba(X)
    np.testing.assert_allclose(ours, said_by(tmp_path / "1", x=X), atol=1e-6)


def test_what_was_exported_comes_back(tmp_path) -> None:
    keras.utils.set_random_seed(4)
    rows = table_of(4)
    model = keras.Sequential([layers.Input((4,)), layers.Dense(6, activation="silu"), layers.Dense(3)])
    el.model.package(model, tmp_path / "first", sample=rows, classes=["x", "y", "z"])
    release = Release(tmp_path / "first", read_manifest(tmp_path / "first"))
    export(release, open_target("tensorflow_serving"), tmp_path / "out")
    folder = tmp_path / "out" / release.name / str(release.manifest.version)
    shuffled = rows.select(reversed(rows.columns))  # columns are found by their names
    package = packaged(folder, tmp_path, shuffled, "--classes", "x,y,z")
    np.testing.assert_allclose(package.scores(rows), release_scores(tmp_path / "first", rows), atol=1e-9)


def release_scores(folder, rows) -> np.ndarray:
    return el.runtime.Package(folder).scores(rows)


class Writes(tf.Module):
    """A model that writes a file whenever it answers."""

    def __init__(self, path) -> None:
        super().__init__()
        self.path = str(path)

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32)])
    def answer(self, x):
        tf.io.write_file(self.path, "harm")
        return {"score": x[:, :1]}


def test_a_model_that_writes_a_file_is_refused_and_writes_none(tmp_path) -> None:
    writes = Writes(tmp_path / "harm")
    tf.saved_model.save(writes, str(tmp_path / "1"), signatures={"serving_default": writes.answer})
    (tmp_path / "harm").unlink(missing_ok=True)
    with pytest.raises(ModelFault, match="WriteFile") as raised:
        read_model(tmp_path / "1")
    assert "model.keras" in str(raised.value.hint)
    assert not (tmp_path / "harm").exists()


def test_a_loop_is_named(tmp_path) -> None:
    model = keras.Sequential([layers.Input((3, 2)), layers.LSTM(4), layers.Dense(1)])
    model.export(tmp_path / "1", verbose=False)
    with pytest.raises(ModelFault, match="TensorListFromTensor"):
        read_model(tmp_path / "1")


@pytest.mark.parametrize("part", ["variables.index", "variables.data-00000-of-00001"])
def test_a_checkpoint_that_ends_early_is_named(tmp_path, part) -> None:
    model = keras.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.export(tmp_path / "1", verbose=False)
    file = tmp_path / "1" / "variables" / part
    file.write_bytes(file.read_bytes()[:4])
    with pytest.raises(ModelFault, match=r"variables\.index") as raised:
        read_model(tmp_path / "1")
    assert raised.value.message.startswith(f"{tmp_path / '1'}: ")
