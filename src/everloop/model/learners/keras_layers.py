"""Keras' layers as arrays: what a trained model computes, without Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.learners.image_layers import Window, patches, pooled

if TYPE_CHECKING:
    from everloop.model.learners.network import Layer

ACTIVATIONS = {
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softmax": "softmax",
}
"""Keras' name of an activation -> ours; ``linear`` does nothing."""


def keras_layers(model: Any) -> tuple[int, list[Layer]]:
    """Reads a ``keras.Sequential`` as arrays in doubles, as it is in inference.

    A model over images begins with ``Reshape((rows, columns, channels))``, or its input is an image: a row
    of a table is flat, channels last.

    Returns:
        The width of a row, and the layers.

    Raises:
        ModelFault: When a layer has no form here.
    """
    if type(model).__name__ != "Sequential":
        raise ModelFault(
            f"A Keras model of the class {type(model).__name__} has no compiled form; a Sequential one has.",
            hint="export it to ONNX with model.export(path, format='onnx') and package the ONNX file",
        )
    shape = tuple(int(size) for size in model.input_shape[1:])
    width = int(np.prod(shape))
    layers: list[Layer] = []
    for part in model.layers:
        name = type(part).__name__
        if name not in _READERS:
            raise ModelFault(
                f"A Keras layer {name} has no compiled form; known are {', '.join(sorted(_READERS))}.",
                hint="export it to ONNX with model.export(path, format='onnx') and package the ONNX file",
            )
        shape, read = _READERS[name](part, shape)
        layers += read
        layers += _activation(part)
    return width, layers


_Read = tuple[tuple[int, ...], "list[Layer]"]


def _activation(part: Any) -> list[Layer]:
    name = getattr(getattr(part, "activation", None), "__name__", "linear")
    if name == "linear":
        return []
    if name not in ACTIVATIONS:
        raise ModelFault(f"The Keras activation {name!r} has no compiled form.")
    return [(ACTIVATIONS[name], {})]


def _image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ModelFault("A Keras layer over images has no image before it.")
    return shape[0], shape[1], shape[2]


def _array(value: Any) -> Any:
    return np.asarray(value, dtype=np.float64)


def _dense(part: Any, shape: tuple[int, ...]) -> _Read:
    if len(shape) != 1:
        raise ModelFault(
            "A Keras Dense layer over an image has no compiled form.", hint="put Flatten before it"
        )
    weight = _array(part.kernel)
    bias = _array(part.bias) if part.use_bias else np.zeros(weight.shape[1])
    return (weight.shape[1],), [("dense", {"weight": weight, "bias": bias})]


def _window(part: Any, shape: tuple[int, int, int], size: Any) -> Window:
    wide, stride = (int(size[0]), int(size[1])), (int(part.strides[0]), int(part.strides[1]))
    return Window.covering(shape, wide, stride) if part.padding == "same" else Window(wide, stride)


def _convolution(part: Any, shape: tuple[int, ...]) -> _Read:
    image = _image(shape)
    if part.groups != 1 or tuple(part.dilation_rate) != (1, 1) or part.data_format != "channels_last":
        raise ModelFault("A Keras Conv2D with groups, dilation or channels first has no compiled form.")
    window = _window(part, image, part.kernel_size)
    weight = _array(part.kernel)  # (rows, columns, in, out)
    flat = weight.reshape(-1, weight.shape[-1])
    bias = _array(part.bias) if part.use_bias else np.zeros(flat.shape[1])
    layer: Layer = ("convolution", {"positions": patches(image, window), "weight": flat, "bias": bias})
    return (*window.places(image), flat.shape[1]), [layer]


def _pooling(kind: str) -> Callable[[Any, tuple[int, ...]], _Read]:
    def read(part: Any, shape: tuple[int, ...]) -> _Read:
        image = _image(shape)
        window = _window(part, image, part.pool_size)
        if window.before != (0, 0) or window.after != (0, 0):
            raise ModelFault("A Keras pooling layer that reaches over the image's edge has no compiled form.")
        return (*window.places(image), image[2]), [(kind, {"positions": pooled(image, window)})]

    return read


def _whole_mean(_: Any, shape: tuple[int, ...]) -> _Read:
    image = _image(shape)
    return (image[2],), [("mean", {"positions": pooled(image, Window(image[:2], (1, 1)))})]


def _normalisation(part: Any, shape: tuple[int, ...]) -> _Read:
    spread = np.sqrt(_array(part.moving_variance) + part.epsilon)
    factor = (_array(part.gamma) if part.scale else np.ones_like(spread)) / spread
    shift = (_array(part.beta) if part.center else 0.0) - _array(part.moving_mean) * factor
    times = int(np.prod(shape)) // len(factor)
    return shape, [("scale", {"factor": np.tile(factor, times), "shift": np.tile(shift, times)})]


def _rescaling(part: Any, shape: tuple[int, ...]) -> _Read:
    width = int(np.prod(shape))
    return shape, [
        ("scale", {"factor": np.full(width, float(part.scale)), "shift": np.full(width, float(part.offset))})
    ]


_READERS: dict[str, Callable[[Any, tuple[int, ...]], _Read]] = {
    "Activation": lambda _, shape: (shape, []),
    "AveragePooling2D": _pooling("mean"),
    "BatchNormalization": _normalisation,
    "Conv2D": _convolution,
    "Dense": _dense,
    "Dropout": lambda _, shape: (shape, []),
    "Flatten": lambda _, shape: ((int(np.prod(shape)),), []),
    "GlobalAveragePooling2D": _whole_mean,
    "InputLayer": lambda _, shape: (shape, []),
    "MaxPooling2D": _pooling("greatest"),
    "ReLU": lambda _, shape: (shape, [("relu", {})]),
    "Rescaling": _rescaling,
    "Reshape": lambda part, _: (tuple(int(size) for size in part.target_shape), []),
}

KNOWN = tuple(_READERS)
"""The names of Keras' layers that have a form here."""
