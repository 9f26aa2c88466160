"""A fitted network as arrays: layers that need no library, and answer in doubles wherever they run.

Whatever a network was trained with, what is kept of it is a list of layers over flat rows. A
convolution is a choice of positions (the patches) and a matrix; pooling is a choice of positions and
their greatest or mean. So one short table of layers serves tables, images and sound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

Layer: TypeAlias = "tuple[str, dict[str, NDArray[Any]]]"
"""The kind of a layer, a key of `LAYERS`, and its arrays by name."""

ROWS_AT_ONCE = 1_024


class Network:
    """A fitted network; nothing of it needs the library that it was trained with.

    Args:
        width: The length of a row.
        layers: What is done to rows, in order; the last gives one number for each output.
        classes: The class indices of the outputs, of which softmax makes chances; None for a number.
    """

    def __init__(self, width: int, layers: Sequence[Layer], classes: NDArray[Any] | None) -> None:
        self.width, self.layers, self.classes_ = width, list(layers), classes

    def predict(self, X: Matrix) -> NDArray[Any]:
        """Gives a number, or the likeliest class, for each row: (n,)."""
        outputs = self.outputs(X)
        return outputs[:, 0] if self.classes_ is None else self.classes_[outputs.argmax(axis=1)]

    def predict_proba(self, X: Matrix) -> Matrix:
        """Gives the chance of each class: (n, classes)."""
        return _softmax(self.outputs(X))

    def outputs(self, X: Matrix) -> Matrix:
        """Gives what the last layer says: (n, outputs).

        Raises:
            ValueError: When a number is missing.
        """
        if np.isnan(X).any():
            raise ValueError("a network reads no missing number")
        starts = range(0, max(len(X), 1), ROWS_AT_ONCE)
        return np.concatenate([self._some(X[start : start + ROWS_AT_ONCE]) for start in starts])

    def _some(self, x: Matrix) -> Matrix:
        with np.errstate(over="ignore"):
            for kind, arrays in self.layers:
                x = LAYERS[kind](x, arrays)
        return x


def _softmax(x: Matrix) -> Matrix:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    shares: Matrix = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _soft_clip(x: Matrix, arrays: dict[str, NDArray[Any]]) -> Matrix:
    bent: Matrix = x / np.sqrt(1.0 + np.square(x / arrays["limit"]))
    return bent


def _patches(x: Matrix, arrays: dict[str, NDArray[Any]]) -> Matrix:
    """Gives the chosen positions, (n, places, positions); the one after the last is 0."""
    chosen: Matrix = np.pad(x, ((0, 0), (0, 1)))[:, arrays["positions"]]
    return chosen


def _convolution(x: Matrix, arrays: dict[str, NDArray[Any]]) -> Matrix:
    said: Matrix = _patches(x, arrays) @ arrays["weight"] + arrays["bias"]
    return said.reshape(len(x), -1)


LAYERS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "scale": lambda x, arrays: x * arrays["factor"] + arrays["shift"],
    "soft_clip": _soft_clip,
    "dense": lambda x, arrays: x @ arrays["weight"] + arrays["bias"],
    "convolution": _convolution,
    "greatest": lambda x, arrays: _patches(x, arrays).max(axis=2),
    "mean": lambda x, arrays: _patches(x, arrays).mean(axis=2),
    "relu": lambda x, _: np.maximum(x, 0.0),
    "leaky_relu": lambda x, arrays: np.where(x > 0.0, x, x * arrays["slope"]),
    "silu": lambda x, _: x / (1.0 + np.exp(-x)),
    "sigmoid": lambda x, _: 1.0 / (1.0 + np.exp(-x)),
    "softmax": lambda x, _: _softmax(x),
    "tanh": lambda x, _: np.tanh(x),
    "bound": lambda x, arrays: np.minimum(np.maximum(x, arrays["low"]), arrays["high"]),
}
"""What each kind of layer does to flat rows, (n, width); its form in a graph is in `compile.network`."""
