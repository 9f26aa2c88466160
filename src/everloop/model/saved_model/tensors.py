"""Arrays of numbers as TensorFlow writes them, held against what the file holds before room is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.model.saved_model.messages import Message

KINDS: dict[int, type[np.generic]] = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64, 10: np.bool_}
"""TensorFlow's number for a kind of number -> NumPy's; no others are computed with here."""

TEXT = 7
NAMES = {4: "uint8", 5: "int16", 6: "int8", TEXT: "texts", 14: "bfloat16", 19: "half", 20: "resources"}
"""What some other kinds are called."""

MOST_CLAIMED = 2**22
"""So many numbers may constants claim that are written as one number and a shape."""

_VALUES = {1: "float_val", 2: "double_val", 3: "int_val", TEXT: "string_val", 9: "int64_val", 10: "bool_val"}


def kind_of(number: int) -> type[np.generic]:
    """Gives NumPy's kind of number for TensorFlow's.

    Raises:
        ModelFault: When it is none that is computed with here.
    """
    if number not in KINDS:
        told = NAMES.get(number, f"of kind {number}")
        raise ModelFault(
            f"It computes with {told}; expected {', '.join(one.__name__ for one in KINDS.values())}."
        )
    return KINDS[number]


def sizes_of(shape: Message) -> tuple[int, ...]:
    """Gives the sizes of a shape of which all are known.

    Raises:
        ModelFault: When one is not.
    """
    sizes = tuple(dim.size for dim in shape.dim)
    if shape.unknown_rank or any(size < 0 for size in sizes):
        raise ModelFault("An array in it does not say its shape.")
    return sizes


class Constants:
    """Reads the constants of a graph; together they claim about as much as the file holds."""

    def __init__(self) -> None:
        self._claimed = 0

    def array(self, tensor: Message) -> NDArray[Any]:
        """Gives a constant: its bytes, or its numbers, of which the last is repeated to fill the shape.

        Raises:
            ModelFault: When it is no array of numbers or texts, or claims more than there is.
        """
        sizes = sizes_of(tensor.tensor_shape)
        count = math.prod(sizes)
        kind: Any = object if tensor.dtype == TEXT else kind_of(tensor.dtype)
        if tensor.tensor_content:
            return from_bytes(tensor.tensor_content, kind, sizes)
        given = getattr(tensor, _VALUES[tensor.dtype])
        if len(given) > count:
            raise ModelFault(f"A constant in it has {len(given):,} numbers for the shape {sizes}.")
        self._claimed += count - len(given)
        if self._claimed > MOST_CLAIMED:
            raise ModelFault(f"Constants in it claim {sizes} numbers and more, which the file does not hold.")
        return _filled(given, count, kind).reshape(sizes)


def _filled(given: Sequence[Any], count: int, kind: Any) -> NDArray[Any]:
    array = np.zeros(count, dtype=kind)
    array[: len(given)] = np.array(given, dtype=kind)
    if given:
        array[len(given) :] = given[-1]
    return array


def from_bytes(content: bytes, kind: Any, sizes: tuple[int, ...]) -> NDArray[Any]:
    """Gives the array of some bytes.

    Raises:
        ModelFault: When they are not as many as the shape needs, or are texts.
    """
    if kind is object:
        raise ModelFault("An array of texts in it is written in a form that is not known.")
    expected = math.prod(sizes) * np.dtype(kind).itemsize
    if len(content) != expected:
        raise ModelFault(f"An array of the shape {sizes} in it has {len(content):,} bytes, not {expected:,}.")
    return np.frombuffer(content, dtype=np.dtype(kind).newbyteorder("<")).astype(kind).reshape(sizes)
