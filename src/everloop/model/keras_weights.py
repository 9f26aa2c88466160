"""The numbers of a `.keras` file, held against what its layers declare, before Keras makes room for them.

An array of HDF5 may claim any size without holding it, or lie in another file; a layer makes room for as many
numbers as its configuration says before it looks whether the file has them.
"""

from __future__ import annotations

import io
import math
import zipfile
from typing import TYPE_CHECKING, Any

from everloop.core.errors import ModelFault
from everloop.core.extras import require

if TYPE_CHECKING:
    from pathlib import Path

FREE = 2**20
"""So many numbers may be declared beyond what the file holds: what layers keep beside their weights."""

MOST_OBJECTS = 10_000

ROUNDING = 4
"""Images shrink in ways that are not followed here: so many times as many numbers may be declared."""


def refuse_weights(file: Path, part: str, configuration: Any) -> None:
    """Refuses numbers that lie elsewhere, claim more than the file has, or are fewer than layers declare.

    Args:
        file: The Keras file, a zip file whose size unpacked was checked.
        part: Which of its parts holds the numbers.
        configuration: What its `config.json` says; every class in it is known.

    Raises:
        ModelFault: When it does.
        MissingExtra: When h5py is not installed.
    """
    declared = declared_numbers(configuration)
    with zipfile.ZipFile(file) as archive:
        size = archive.getinfo(part).file_size
        if declared > FREE + ROUNDING * size:  # a number takes a byte at least
            raise _too_many(file, declared, size)
        content = archive.read(part)
    h5py = require("h5py", extra="tensorflow")
    try:
        with h5py.File(io.BytesIO(content), "r") as opened:
            held = _held(h5py, opened, file, len(content))
    except ModelFault:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, MemoryError) as error:
        raise ModelFault(f"{file.name} is no Keras file: {part} cannot be read: {error}.") from None
    if declared > FREE + ROUNDING * held:
        raise _too_many(file, declared, held)


def _too_many(file: Path, declared: int, held: int) -> ModelFault:
    return ModelFault(f"{file.name} declares {declared:,} numbers in its layers and holds {held:,} at most.")


def _held(h5py: Any, group: Any, file: Path, size: int) -> int:
    """Counts the numbers of all arrays; an array that is none, or is not in the file, is refused."""
    total, seen, waiting = 0, 0, [group]
    while waiting:
        one = waiting.pop()
        for name in one:
            seen += 1
            if seen > MOST_OBJECTS:
                raise ModelFault(
                    f"{file.name} holds more than {MOST_OBJECTS:,} arrays, or one within itself."
                )
            if not isinstance(one.get(name, getlink=True), h5py.HardLink):
                raise ModelFault(f"{file.name}: {name[:100]!r} leads out of its place; expected numbers.")
            inside = one[name]
            if isinstance(inside, h5py.Group):
                waiting.append(inside)
            elif isinstance(inside, h5py.Dataset) and inside.dtype.kind in "fiub":
                _refuse_array(inside, f"{file.name}: {name[:100]!r}", size)
                total += int(inside.size)
    return total


def _refuse_array(array: Any, told: str, size: int) -> None:
    if array.external or array.is_virtual:
        raise ModelFault(f"{told} lies in another file; expected numbers.")
    if array.chunks is not None or int(array.size) * array.dtype.itemsize > size:
        raise ModelFault(f"{told} claims {array.shape} numbers, which the file does not hold.")


def declared_numbers(configuration: Any) -> int:
    """Gives for how many weights and values of a row the layers of a configuration make room, about.

    Raises:
        ModelFault: When sizes are none.
    """
    try:
        whole = configuration["config"]
        total, shape = 0, _sizes((whole.get("build_input_shape") or [None, 1])[1:])
        for one in whole["layers"]:
            layer = one["config"] | {"is": one["class_name"]}
            shape = _after(layer, shape)
            # Keras builds a layer by the shape that is written beside it, whatever comes before.
            built = _sizes(((one.get("build_config") or {}).get("input_shape") or [None, 1])[1:])
            total += max(math.prod(each) + _weights(layer, each) for each in (shape, built))
            shape = _widened(layer, shape)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFault(f"A Keras file says its layers in a form that is not known: {error}.") from None
    return total


def _sizes(value: Any) -> list[int]:
    """Reads sizes, of which one that is left open is 1."""
    listed = value if isinstance(value, list) else [value]
    if any(one is not None and type(one) is not int for one in listed):
        raise ValueError(f"{str(value)[:50]} are no sizes")
    return [1 if one is None else max(1, one) for one in listed]


def _after(layer: dict[str, Any], shape: list[int]) -> list[int]:
    """Gives the shape that a layer reads, or, of one that only shapes, what it makes of it."""
    if layer["is"] == "InputLayer":
        given = layer.get("batch_shape") or layer.get("batch_input_shape") or [None, *layer.get("shape", [])]
        return _sizes(given[1:])
    if layer["is"] == "Reshape":
        return _sizes(layer["target_shape"])
    if layer["is"] == "Flatten":
        return [math.prod(shape)]
    if layer["is"] in ("MaxPooling2D", "AveragePooling2D"):
        pool = (_sizes(layer["pool_size"]) * 2)[:2]
        return [-(-size // by) for size, by in zip(shape[:2], pool, strict=False)] + shape[2:]
    return shape[-1:] if layer["is"] == "GlobalAveragePooling2D" else shape


def _weights(layer: dict[str, Any], shape: list[int]) -> int:
    if layer["is"] == "Dense":
        return (shape[-1] + 1) * _sizes(layer["units"])[0]
    if layer["is"] == "Conv2D":
        window = math.prod((_sizes(layer["kernel_size"]) * 2)[:2])
        return (window * shape[-1] + 1) * _sizes(layer["filters"])[0]
    return 4 * max(shape) if layer["is"] == "BatchNormalization" else 0


def _widened(layer: dict[str, Any], shape: list[int]) -> list[int]:
    """Gives the shape after a layer that has weights; a stride makes an image smaller."""
    if layer["is"] == "Dense":
        return [*shape[:-1], *_sizes(layer["units"])]
    if layer["is"] == "Conv2D":
        by = (_sizes(layer.get("strides", 1)) * 2)[:2]
        return [
            *(-(-size // step) for size, step in zip(shape[:2], by, strict=False)),
            *_sizes(layer["filters"]),
        ]
    return shape
