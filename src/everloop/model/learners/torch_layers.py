"""PyTorch's layers as arrays: what a trained module computes, without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.model.learners.network import Layer


def column_factors(torch: Any, width: int) -> Any:
    """Gives a module that multiplies each column with a learned factor."""

    class ColumnFactors(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.factor = torch.nn.Parameter(torch.ones(width))

        def forward(self, x: Any) -> Any:
            return x * self.factor

    return ColumnFactors()


def torch_layers(module: Any) -> list[Layer]:
    """Reads a module's layers as arrays in doubles; what only acts in training is left out.

    Raises:
        ModelFault: When a layer has no form here.
    """
    name = type(module).__name__
    if name == "Sequential":
        return [layer for one in module for layer in torch_layers(one)]
    if name not in _READERS:
        raise ModelFault(
            f"A PyTorch layer {name} has no compiled form; known are {', '.join(sorted(_READERS))}.",
            hint="package the model as an ONNX file",
        )
    return _READERS[name](module)


def _array(tensor: Any) -> NDArray[np.float64]:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)


def _dense(module: Any) -> list[Layer]:
    weight = _array(module.weight).T.copy()
    bias = np.zeros(weight.shape[1]) if module.bias is None else _array(module.bias)
    return [("dense", {"weight": weight, "bias": bias})]


def _factors(module: Any) -> list[Layer]:
    factor = _array(module.factor)
    return [("scale", {"factor": factor, "shift": np.zeros_like(factor)})]


def _normalisation(module: Any) -> list[Layer]:
    """Batch normalisation of flat rows, by the statistics that it kept."""
    mean, spread = _array(module.running_mean), np.sqrt(_array(module.running_var) + module.eps)
    factor = (_array(module.weight) if module.affine else 1.0) / spread
    shift = (_array(module.bias) if module.affine else 0.0) - mean * factor
    return [("scale", {"factor": factor, "shift": shift})]


_READERS: dict[str, Callable[[Any], list[Layer]]] = {
    "BatchNorm1d": _normalisation,
    "ColumnFactors": _factors,
    "Dropout": lambda _: [],
    "Flatten": lambda _: [],
    "Identity": lambda _: [],
    "LeakyReLU": lambda module: [("leaky_relu", {"slope": np.array(float(module.negative_slope))})],
    "Linear": _dense,
    "ReLU": lambda _: [("relu", {})],
    "SiLU": lambda _: [("silu", {})],
    "Sigmoid": lambda _: [("sigmoid", {})],
    "Tanh": lambda _: [("tanh", {})],
}
