"""What a Keras file is looked at for before Keras is imported; without Keras, as a server has none."""

import io
import json
import sys
import zipfile

import h5py
import numpy as np
import pytest

from everloop.core.errors import ModelFault
from everloop.model.keras_file import refuse_code
from everloop.model.keras_weights import declared_numbers
from everloop.testing.malicious import FILE_ATTACKS


def layer(name: str, **config):
    return {"module": "keras.layers", "class_name": name, "config": config, "registered_name": None}


def model_of(*layers):
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}}
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "s", "dtype": policy | {"registered_name": None}, "layers": list(layers)},
        "registered_name": None,
        "compile_config": {
            "optimizer": {"module": "keras.optimizers", "class_name": "Adam", "config": {}},
            "loss": {"module": "keras.losses", "class_name": "MeanSquaredError", "config": {}},
        },
    }


NETWORK = model_of(
    layer("InputLayer", batch_shape=[None, 8, 8, 1]),
    layer("Conv2D", filters=4, kernel_size=[3, 3], strides=[1, 1]),
    layer("MaxPooling2D", pool_size=[2, 2]),
    layer("Flatten"),
    layer("Dropout", rate=0.5),
    layer("Dense", units=3, activation="softmax"),
)


def written(path, configuration, numbers=b""):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(configuration))
        archive.writestr("model.weights.h5", numbers)
    return path


# What is large or a link is refused before this look, by the archive's own limits.
EARLIER = ("link", "bomb", "deep")


@pytest.mark.parametrize(
    "name",
    [name for name in FILE_ATTACKS if name.startswith("keras") and not any(word in name for word in EARLIER)],
)
def test_an_attack_is_refused_before_keras_is_there(tmp_path, name):
    path = tmp_path / "model.keras"
    path.write_bytes(FILE_ATTACKS[name].content())
    with pytest.raises(ModelFault, match=r"model\.keras|Keras file"):
        refuse_code(path)
    assert "keras" not in sys.modules


def test_what_layers_declare_is_about_what_they_hold():
    # 8 x 8 pixels; 9 weights and a bias for 4 filters; 4 x 4 x 4 numbers to 3 classes.
    weights = 4 * (9 + 1) + 3 * (4 * 4 * 4 + 1)
    assert weights <= declared_numbers(NETWORK) <= weights + 1_000
    wide = model_of(layer("InputLayer", batch_shape=[None, 2**20]), layer("Dense", units=2**20))
    assert declared_numbers(wide) > 2**40
    built = model_of(layer("Dense", units=4) | {"build_config": {"input_shape": [None, 2**40]}})
    assert declared_numbers(built) > 2**41
    for size in (2.5, "many", None):
        with pytest.raises(ModelFault, match="form that is not known"):
            declared_numbers(model_of(layer("Dense", units=[size, {}])))


def test_layers_and_what_they_are_trained_by_pass(tmp_path):
    numbers = io.BytesIO()
    with h5py.File(numbers, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((64, 3), np.float32)
        file["layers/conv2d/vars/0"] = np.zeros((3, 3, 1, 4), np.float32)
    refuse_code(written(tmp_path / "model.keras", NETWORK, numbers.getvalue()))


def elsewhere(file):
    file.create_dataset("a", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def linked(file):
    file["a"] = h5py.ExternalLink("/etc/hostname", "/b")


def softly(file):
    file["a"] = h5py.SoftLink("/b")


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "b", (4,))
    file.create_virtual_dataset("a", layout)


def claimed(file):
    file.create_dataset("a", (2**40,), "f4")


def packed(file):
    file.create_dataset("a", (2**24,), "f4", chunks=(2**20,), compression="gzip")


def within_itself(file):
    file.create_group("a")
    file["a/again"] = file["a"]


@pytest.mark.parametrize("attack", [elsewhere, linked, softly, virtual, claimed, packed, within_itself])
def test_numbers_that_are_not_in_the_file_are_refused(tmp_path, attack):
    numbers = io.BytesIO()
    with h5py.File(numbers, "w") as file:
        attack(file)
    with pytest.raises(ModelFault, match=r"model\.keras"):
        refuse_code(written(tmp_path / "model.keras", NETWORK, numbers.getvalue()))
