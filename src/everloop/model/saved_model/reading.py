"""A SavedModel as a portable graph over rows of numbers: what its signature computes, and nothing is run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.foreign_words import called
from everloop.model.saved_model.checkpoint import Checkpoint
from everloop.model.saved_model.messages import Message, parsed
from everloop.model.saved_model.restoring import keys_of
from everloop.model.saved_model.step import Value, cast_to
from everloop.model.saved_model.tensors import TEXT, kind_of
from everloop.model.saved_model.translation import Translation
from everloop.model.saved_model.walk import Walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.table.expression import GraphBuilder

AS_KERAS = "model.save('model.keras'); everloop package model.keras"

MOST_BYTES = 256 * 2**20
"""Bytes of the file that says what is computed."""

MOST_COLUMNS = 1_000_000

_SERVE, _DEFAULT, _FIRST = "serve", "serving_default", "__saved_model_init_op"
_FIRST_OF_OLD = ("saved_model_main_op", "legacy_init_op")
_ROWS = "rows"


@dataclass(frozen=True)
class PortableGraph:
    """What a signature computes.

    Attributes:
        content: An ONNX graph with one input, (rows, columns).
        columns: What its columns are called; none where the signature does not say it.
        single: Whether something in it is computed in single precision.
    """

    content: bytes
    columns: tuple[str, ...]
    single: bool


@dataclass(frozen=True)
class _Input:
    name: str
    tensor: str
    kind: type[np.generic]
    sizes: tuple[int, ...]

    @property
    def width(self) -> int:
        return math.prod(self.sizes)

    @property
    def columns(self) -> tuple[str, ...]:
        if self.width == 1:
            return (self.name,)
        return tuple(f"{self.name}_{place}" for place in range(self.width))


def read_saved_model(file: Path) -> PortableGraph:
    """Reads a SavedModel.

    Args:
        file: Its `saved_model.pb`; beside it lie its variables.

    Raises:
        ModelFault: When it is damaged, computes with anything but numbers, or has no signature that fits.
        MissingExtra: When protobuf or onnx is not installed.
    """
    try:
        return _read(file)
    except ModelFault as error:
        raise ModelFault(f"{called(file)}: {error.message}", hint=error.hint or AS_KERAS) from None


def _read(file: Path) -> PortableGraph:
    from everloop.table.expression import GraphBuilder

    size = file.stat().st_size
    if size > MOST_BYTES:
        raise ModelFault(f"It has {size:,} bytes; at most {MOST_BYTES:,} are read.")
    served = _served(parsed("SavedModel", file.read_bytes(), "It"))
    signature = _signature(served)
    inputs = _inputs(signature)
    graph = GraphBuilder("saved_model")
    numbers = _Variables(served, file.parent)
    walk = Walk(served.graph_def, Translation(graph, numbers))
    walk.reach(_first_operations(served))
    outputs = _outputs(signature)
    given = _given(graph, inputs)
    values = walk.values([one.tensor for one in outputs], given)
    kinds = {np.float32: "float", np.float64: "double"}
    for one, value in zip(outputs, values, strict=True):
        if not isinstance(value, Value):
            raise ModelFault(f"Its output {one.name[:100]!r} is no number.")
        shape = graph.constant(np.array([-1, one.width], dtype=np.int64))
        flat = graph.node("Reshape", value.name, shape)
        graph.output(f"answer_{one.name}", flat, kinds[one.kind], one.width)
    content = _checked(graph)
    columns = tuple(name for one in inputs for name in one.columns) if len(inputs) > 1 else ()
    return PortableGraph(content, columns, any(one.kind is np.float32 for one in (*inputs, *outputs)))


def _checked(graph: GraphBuilder) -> bytes:
    from onnx import checker

    try:
        return graph.to_bytes()
    except checker.ValidationError as error:
        raise ModelFault(f"It has no form that is known: {str(error).splitlines()[0][:200]}.") from None


def _served(saved: Message) -> Message:
    """Gives the graph that is served."""
    tagged = [one for one in saved.meta_graphs if _SERVE in one.meta_info_def.tags]
    plain = [one for one in tagged if set(one.meta_info_def.tags) == {_SERVE}]
    if not tagged:
        raise ModelFault(f"It has no graph with the tag {_SERVE!r}.")
    return (plain or tagged)[0]


def _signature(served: Message) -> Message:
    known = {one.key: one.value for one in served.signature_def if one.key != _FIRST}
    if _DEFAULT in known:
        return known[_DEFAULT]
    if len(known) == 1:
        return next(iter(known.values()))
    told = ", ".join(repr(name[:100]) for name in sorted(known)[:12]) or "none"
    raise ModelFault(f"It has no signature {_DEFAULT!r}, nor a single one; it has {told}.")


def _first_operations(served: Message) -> list[str]:
    """Names what runs when it is loaded: on the list too, it changes nothing."""
    old = {one.key: one.value.node_list.value for one in served.collection_def}
    signatures = [one.value for one in served.signature_def if one.key == _FIRST]
    found = [one.value.name for signature in signatures for one in signature.outputs]
    return found + [name for key in _FIRST_OF_OLD for name in old.get(key, ())]


def _inputs(signature: Message) -> list[_Input]:
    found = []
    for one in sorted(signature.inputs, key=lambda one: one.key):
        told, info = f"input {one.key[:100]!r}", one.value
        if info.dtype == TEXT:
            raise ModelFault(f"Its {told} takes texts; expected numbers.")
        found.append(_Input(one.key, info.name, kind_of(info.dtype), _sizes(info, told)))
    width = sum(one.width for one in found)
    if not 0 < width <= MOST_COLUMNS:
        raise ModelFault(f"Its signature reads {width:,} columns; at most {MOST_COLUMNS:,} are read.")
    if len({one.tensor.partition(":")[0] for one in found}) < len(found):
        raise ModelFault("Two inputs of its signature are one.")
    return found


def _outputs(signature: Message) -> list[_Input]:
    """Gives the outputs of numbers with a fraction that say how many there are for each row."""
    found = []
    for one in sorted(signature.outputs, key=lambda one: one.key):
        shape = one.value.tensor_shape
        if one.value.dtype in (1, 2) and shape.dim and all(dim.size >= 0 for dim in shape.dim[1:]):
            info = one.value
            found.append(_Input(one.key, info.name, kind_of(info.dtype), _sizes(info, one.key)))
    if not found:
        raise ModelFault("Its signature has no output of so many numbers for each row.")
    return found


def _sizes(info: Message, told: str) -> tuple[int, ...]:
    """Gives the sizes of what a row is."""
    shape = info.tensor_shape
    if not info.name or shape.unknown_rank or not shape.dim:
        raise ModelFault(f"Its {told} is no tensor of rows.")
    sizes = tuple(int(dim.size) for dim in shape.dim[1:])
    if any(size < 1 for size in sizes):
        raise ModelFault(f"Its {told} does not say how many columns it reads: {(None, *sizes)}.")
    return sizes


def _given(graph: GraphBuilder, inputs: list[_Input]) -> dict[str, list[Value]]:
    """Adds the one input of rows, and gives each input of the signature as its columns."""
    single = all(one.kind is np.float32 for one in inputs)
    rows = graph.input(_ROWS, "float" if single else "double", sum(one.width for one in inputs))
    found, start = {}, 0
    for one in inputs:
        value = rows
        if len(inputs) > 1:
            ends = [graph.constant(np.array([at], dtype=np.int64)) for at in (start, start + one.width, 1)]
            value = graph.node("Slice", rows, *ends)
        start += one.width
        if one.kind is not (np.float32 if single else np.float64):
            value = cast_to(graph, value, one.kind)
        if len(one.sizes) != 1:
            value = graph.node("Reshape", value, graph.constant(np.array([-1, *one.sizes], dtype=np.int64)))
        found[one.tensor.partition(":")[0]] = [Value(value)]
    return found


class _Variables:
    """Gives the numbers of variables; the checkpoint is opened for the first."""

    def __init__(self, served: Message, folder: Path) -> None:
        self._served, self._folder = served, folder
        self._checkpoint: Checkpoint | None = None
        self._keys: dict[str, str] = {}

    def __call__(self, name: str) -> NDArray[Any]:
        if self._checkpoint is None:
            operation = self._served.saver_def.restore_op_name
            if not operation:
                raise ModelFault("It does not say how its variables are restored.")
            self._keys = keys_of(self._served.graph_def, operation)
            self._checkpoint = Checkpoint(self._folder)
        if name not in self._keys:
            raise ModelFault(f"Its variable {name[:100]!r} has no numbers in its checkpoint.")
        return self._checkpoint.array(self._keys[name])
