"""Tensors of the Open Inference Protocol, to rows and back; the same for HTTP and gRPC.

A tensor holds one column: its name is the column's, its shape (rows,) or (rows, 1). A single tensor of
shape (rows, columns) holds all columns in the order of the model's inputs. Values are missing where
they are null, NaN, or empty in a tensor of numbers.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from everloop.core.tasks import decides_by
from everloop.runtime.http import Refusal
from everloop.runtime.manifest import Manifest, ManifestColumn

NUMPY_TYPES = {
    "BOOL": "?",
    **{f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}
BYTES = "BYTES"
COLUMN_TYPES = {"boolean": "BOOL", "integer": "INT64", "number": "FP64", "text": BYTES, "time": BYTES}
"""A column's type, and the datatype that it is described with; others that hold its values are taken."""

_LENGTH = struct.Struct("<I")
_MOST_DEEP = 8


class Tensor(msgspec.Struct):
    """A tensor.

    Attributes:
        name: Its name.
        datatype: One of `NUMPY_TYPES`, or `BYTES`.
        shape: Its dimensions.
        data: Its values, flat or nested in rows.
        parameters: What else is said of it.
    """

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] = []
    parameters: dict[str, Any] = {}


def unpack(tensor: Tensor, content: bytes) -> list[Any]:
    """Reads a tensor's values from their binary form, little-endian and in row order.

    Raises:
        Refusal: 400 when the content does not fit the datatype.
    """
    if tensor.datatype == BYTES:
        return list(_texts(tensor.name, content))
    size = np.dtype(NUMPY_TYPES[tensor.datatype]).itemsize if tensor.datatype in NUMPY_TYPES else 0
    if not size or len(content) % size:
        raise _refused(tensor.name, f"its {len(content)} bytes do not hold {tensor.datatype}")
    values: list[Any] = np.frombuffer(content, NUMPY_TYPES[tensor.datatype]).tolist()
    return values


def pack(tensor: Tensor) -> bytes:
    """Gives a tensor's values in their binary form."""
    if tensor.datatype == BYTES:
        texts = (str(value).encode() for value in _flat(tensor.data))
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    return np.array(list(_flat(tensor.data)), NUMPY_TYPES[tensor.datatype]).tobytes()


def rows_of(tensors: Sequence[Tensor], asked: Sequence[ManifestColumn]) -> list[dict[str, Any]]:
    """Gives tensors as rows.

    Args:
        tensors: A tensor for each column, or one of all.
        asked: The columns, in the order that one of all has them.

    Raises:
        Refusal: 400 when shapes, names or datatypes do not fit.
    """
    names = [column.name for column in asked]
    if len(tensors) == 1 and len(tensors[0].shape) == 2 and tensors[0].shape[1] == len(names) > 1:
        values, width = _values(tensors[0]), len(names)
        return [dict(zip(names, values[i : i + width], strict=True)) for i in range(0, len(values), width)]
    columns: dict[str, list[Any]] = {}
    for tensor in tensors:
        if tensor.shape[1:] not in ([], [1]):
            raise _refused(tensor.name, f"its shape is {tensor.shape}; expected [rows] or [rows, 1]")
        if tensor.name in columns:
            raise _refused(tensor.name, "there are two of it")
        columns[tensor.name] = _values(tensor)
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise Refusal(400, "The tensors have no common number of rows.", "Expected one for each column.")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def answered_tensors(manifest: Manifest, columns: Mapping[str, list[Any]]) -> list[Tensor]:
    """Gives the columns of an answer as tensors, of the same datatypes however many rows there are."""
    return [
        Tensor(name, datatype, [len(columns[name]), *width], list(_flat(columns[name])))
        for name, (datatype, width) in outputs_of(manifest).items()
    ]


def outputs_of(manifest: Manifest) -> dict[str, tuple[str, list[int]]]:
    """Gives what a model answers: name to datatype, and the shape of one row's values."""
    return {
        "prediction": ("FP64" if decides_by(manifest.task, "number") else BYTES, []),
        "score": ("FP64", [len(manifest.classes)] if decides_by(manifest.task, "largest") else []),
        "id": (BYTES, []),
    }


def _values(tensor: Tensor) -> list[Any]:
    if tensor.datatype not in NUMPY_TYPES and tensor.datatype != BYTES:
        raise _refused(tensor.name, f"expected a datatype of {', '.join((*NUMPY_TYPES, BYTES))}")
    values = list(_flat(tensor.data))
    if not tensor.shape or min(tensor.shape) < 0 or math.prod(tensor.shape) != len(values):
        raise _refused(tensor.name, f"{len(values)} values do not fill the shape {tensor.shape}")
    fits = _FITTING.get(tensor.datatype[:2], (bool, int, float))
    if not all(value is None or isinstance(value, fits) for value in values):
        raise _refused(tensor.name, f"a value is none of {tensor.datatype}")
    if tensor.datatype in _BOUNDS:
        low, high = _BOUNDS[tensor.datatype]
        # What is not finite is no bound's matter; the contract refuses it.
        if any(value is not None and value - value == 0 and not low <= value <= high for value in values):
            raise _refused(tensor.name, f"a value is beyond what {tensor.datatype} holds, {low} to {high}")
    return [None if value != value else value for value in values]  # noqa: PLR0124  (NaN alone differs from itself)


_BOUNDS: dict[str, tuple[float, float]] = {
    name: (int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    if "INT" in name
    else (float(np.finfo(kind).min), float(np.finfo(kind).max))
    for name, kind in NUMPY_TYPES.items()
    if name != "BOOL"
}
_FITTING: dict[str, tuple[type, ...]] = {"BO": (bool,), "BY": (str,), "IN": (int,), "UI": (int,)}


def _flat(values: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    if depth > _MOST_DEEP:
        raise Refusal(400, "A tensor has too many dimensions.")
    for value in values:
        if isinstance(value, list):
            yield from _flat(value, depth + 1)
        else:
            yield value


def _texts(name: str, content: bytes) -> Iterator[str]:
    place = 0
    while place < len(content):
        end = place + _LENGTH.size
        if end > len(content):
            raise _refused(name, "its bytes end within a length")
        (length,) = _LENGTH.unpack_from(content, place)
        place = end + length
        if place > len(content):
            raise _refused(name, "its bytes end within a text")
        try:
            yield content[end:place].decode()
        except UnicodeDecodeError:
            raise _refused(name, "a text is not UTF-8") from None


def _refused(name: str, why: str) -> Refusal:
    return Refusal(400, "A tensor cannot be read.", f"{name[:100]!r}: {why}.")
