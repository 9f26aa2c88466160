"""PyTorch's layers as arrays: what a trained module computes, without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.learners.image_layers import Window, patches, pooled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.model.learners.network import Layer

Shape: TypeAlias = tuple[int, ...]
"""What lies between layers: (width,), or (rows, columns, channels) of an image."""


def column_factors(torch: Any, width: int) -> Any:
    """Gives a module that multiplies each column with a learned factor."""

    class ColumnFactors(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.factor = torch.nn.Parameter(torch.ones(width))

        def forward(self, x: Any) -> Any:
            return x * self.factor

    return ColumnFactors()


def torch_layers(module: Any) -> tuple[int, list[Layer]]:
    """Reads a module as arrays in doubles, as it is in evaluation; what only acts in training is left out.

    A module over images begins with ``Unflatten(1, (channels, rows, columns))``: a row of a table is flat.

    Returns:
        The width of a row, and the layers.

    Raises:
        ModelFault: When a layer has no form here.
    """
    parts = list(_flattened(module))
    reading = _Reading(shape=(_width(parts),))
    for part in parts:
        name = type(part).__name__
        if name not in _READERS:
            raise ModelFault(
                f"A PyTorch layer {name} has no compiled form; known are {', '.join(sorted(_READERS))}.",
                hint="export the module with torch.onnx.export and package the ONNX file",
            )
        _READERS[name](reading, part)
    return _width(parts), reading.layers


def _flattened(module: Any) -> Any:
    if type(module).__name__ != "Sequential":
        yield module
        return
    for part in module:
        yield from _flattened(part)


def _width(parts: list[Any]) -> int:
    """Gives the width that the first layer with one says."""
    for part in parts:
        name = type(part).__name__
        if name == "Unflatten":
            return int(np.prod(tuple(part.unflattened_size)))
        if name == "Linear":
            return int(part.in_features)
        if name == "BatchNorm1d":
            return int(part.num_features)
        if name == "ColumnFactors":
            return int(part.factor.shape[0])
    raise ModelFault("The PyTorch module has no layer that says how many columns it reads.")


class _Reading:
    """Layers as they are read, the shape that lies after the last, and the order of a flattened image."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.layers = shape, list[Any]()
        self.order: NDArray[np.int64] | None = None

    def add(self, kind: str, **arrays: Any) -> None:
        self.layers.append((kind, arrays))

    @property
    def image(self) -> tuple[int, int, int]:
        if len(self.shape) != 3:
            raise ModelFault(
                "A PyTorch layer over images has no image before it.",
                hint="begin with torch.nn.Unflatten(1, (channels, rows, columns))",
            )
        return self.shape[0], self.shape[1], self.shape[2]


def _array(tensor: Any) -> NDArray[np.float64]:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, (tuple, list)) else (int(value), int(value))


def _dense(reading: _Reading, part: Any) -> None:
    weight = _array(part.weight).T.copy()
    if reading.order is not None:  # PyTorch flattens channels first
        weight, reading.order = weight[reading.order], None
    bias = np.zeros(weight.shape[1]) if part.bias is None else _array(part.bias)
    reading.add("dense", weight=weight, bias=bias)
    reading.shape = (weight.shape[1],)


def _factors(reading: _Reading, part: Any) -> None:
    factor = _array(part.factor)
    reading.add("scale", factor=factor, shift=np.zeros_like(factor))


def _normalisation(reading: _Reading, part: Any) -> None:
    """Batch normalisation by the statistics that it kept; of an image, alike at every place."""
    mean, spread = _array(part.running_mean), np.sqrt(_array(part.running_var) + part.eps)
    factor = (_array(part.weight) if part.affine else 1.0) / spread
    shift = (_array(part.bias) if part.affine else 0.0) - mean * factor
    times = reading.shape[0] * reading.shape[1] if len(reading.shape) == 3 else 1
    reading.add("scale", factor=np.tile(factor, times), shift=np.tile(shift, times))


def _unflatten(reading: _Reading, part: Any) -> None:
    channels, rows, columns = (int(size) for size in part.unflattened_size)
    reading.shape = (rows, columns, channels)
    if channels > 1:
        order = np.arange(channels * rows * columns).reshape(channels, rows * columns).T.reshape(-1, 1)
        reading.add("mean", positions=order)  # a mean of one: another order


def _flatten(reading: _Reading, _: Any) -> None:
    if len(reading.shape) == 3:
        rows, columns, channels = reading.image
        reading.order = np.arange(rows * columns * channels).reshape(channels, -1).T.ravel()
        reading.shape = (rows * columns * channels,)


def _convolution(reading: _Reading, part: Any) -> None:
    if part.groups != 1 or _pair(part.dilation) != (1, 1) or isinstance(part.padding, str):
        raise ModelFault(
            "A PyTorch Conv2d with groups, dilation or padding by name has no compiled form.",
            hint="export the module with torch.onnx.export and package the ONNX file",
        )
    pad = _pair(part.padding)
    window = Window(_pair(part.kernel_size), _pair(part.stride), pad, pad)
    weight = _array(part.weight)  # (out, in, rows, columns)
    flat = weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])
    bias = np.zeros(weight.shape[0]) if part.bias is None else _array(part.bias)
    reading.add("convolution", positions=patches(reading.image, window), weight=flat, bias=bias)
    reading.shape = (*window.places(reading.image), weight.shape[0])


def _pooling(kind: str) -> Callable[[_Reading, Any], None]:
    def read(reading: _Reading, part: Any) -> None:
        if _pair(part.padding) != (0, 0) or part.ceil_mode or _pair(getattr(part, "dilation", 1)) != (1, 1):
            raise ModelFault("A PyTorch pooling layer with padding or dilation has no compiled form.")
        window = Window(_pair(part.kernel_size), _pair(part.stride))
        shape = reading.image
        reading.add(kind, positions=pooled(shape, window))
        reading.shape = (*window.places(shape), shape[2])

    return read


def _whole_mean(reading: _Reading, part: Any) -> None:
    if _pair(part.output_size) != (1, 1):
        raise ModelFault("A PyTorch AdaptiveAvgPool2d has a compiled form for the size 1 only.")
    rows, columns, channels = reading.image
    reading.add("mean", positions=pooled(reading.image, Window((rows, columns), (1, 1))))
    reading.shape = (1, 1, channels)


def _plain(kind: str) -> Callable[[_Reading, Any], None]:
    return lambda reading, _: reading.add(kind)


def _nothing(_: _Reading, __: Any) -> None:
    """Acts in training alone."""


_READERS: dict[str, Callable[[_Reading, Any], None]] = {
    "AdaptiveAvgPool2d": _whole_mean,
    "AvgPool2d": _pooling("mean"),
    "BatchNorm1d": _normalisation,
    "BatchNorm2d": _normalisation,
    "ColumnFactors": _factors,
    "Conv2d": _convolution,
    "Dropout": _nothing,
    "Dropout2d": _nothing,
    "Flatten": _flatten,
    "Identity": _nothing,
    "LeakyReLU": lambda reading, part: reading.add("leaky_relu", slope=np.array(float(part.negative_slope))),
    "Linear": _dense,
    "MaxPool2d": _pooling("greatest"),
    "ReLU": _plain("relu"),
    "SiLU": _plain("silu"),
    "Sigmoid": _plain("sigmoid"),
    "Softmax": _plain("softmax"),
    "Tanh": _plain("tanh"),
    "Unflatten": _unflatten,
}
