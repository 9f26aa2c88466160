"""A portable graph as one of TensorFlow's: each operator's twin, in the same precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import UsageFault

if TYPE_CHECKING:
    from collections.abc import Mapping

Operator = Callable[[Any, "list[Any]", "dict[str, Any]"], Any]

SIGNATURE = "serving_default"
_METHOD = "tensorflow/serving/predict"


def saved_model(content: bytes) -> bytes:
    """Gives a portable graph as the `saved_model.pb` of a SavedModel without variables.

    Its one signature, ``serving_default``, has the graph's inputs and output by their names and in their
    shapes; everything is computed in the precision that the graph says. The same graph gives the same
    bytes.

    Args:
        content: The portable graph.

    Raises:
        UsageFault: When an operator has no twin; it is named.
        MissingExtra: When TensorFlow is not installed.
    """
    from everloop.core.extras import require

    model = require("onnx", extra="train").ModelProto.FromString(content)
    unknown = sorted({node.op_type for node in model.graph.node} - set(OPERATORS))
    if unknown:
        raise UsageFault(
            f"The operators {', '.join(unknown)} of the model have no twin in TensorFlow here.",
            hint="a model of networks or lines has; everloop export docker serves any",
        )
    tensorflow = require("tensorflow", extra="tensorflow")
    protos = require("tensorflow.core.protobuf.saved_model_pb2", extra="tensorflow")
    inputs, output, graph = _built(tensorflow, model)
    said = protos.SavedModel(saved_model_schema_version=1)
    meta = said.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    meta.graph_def.CopyFrom(graph)
    signature = meta.signature_def[SIGNATURE]
    signature.method_name = _METHOD
    for name, tensor in inputs.items():
        _tell(signature.inputs[name], tensor)
    _tell(signature.outputs["score"], output)
    written: bytes = said.SerializeToString(deterministic=True)
    return written


def _tell(said: Any, tensor: Any) -> None:
    """Writes a tensor's name, kind and shape into a signature."""
    said.name = tensor.name
    said.dtype = tensor.dtype.as_datatype_enum
    said.tensor_shape.CopyFrom(tensor.shape.as_proto())


def _built(tensorflow: Any, model: Any) -> tuple[dict[str, Any], Any, Any]:
    """Gives the inputs, the output and the graph that holds them."""
    from onnx import numpy_helper

    values: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    one = tensorflow.compat.v1
    with tensorflow.Graph().as_default() as graph:
        for number, item in enumerate(model.graph.input):
            kind = tensorflow.string if item.type.tensor_type.elem_type == _STRING else tensorflow.float64
            width = item.type.tensor_type.shape.dim[1].dim_value
            values[item.name] = one.placeholder(kind, (None, width), name=f"input_{number}")
            inputs[item.name] = values[item.name]
        for item in model.graph.initializer:
            values[item.name] = tensorflow.constant(numpy_helper.to_array(item))
        for node in model.graph.node:
            said = {part.name: _attribute(part) for part in node.attribute}
            given = [values[name] for name in node.input if name]
            values[node.output[0]] = OPERATORS[node.op_type](tensorflow, given, said)
        output = tensorflow.identity(values["score"], name="score")
    return inputs, output, graph.as_graph_def()


_STRING = 8
"""ONNX's number for texts."""


def _attribute(part: Any) -> Any:
    from onnx import helper, numpy_helper

    value = helper.get_attribute_value(part)
    return numpy_helper.to_array(value) if type(value).__name__ == "TensorProto" else value


def _plain(name: str) -> Operator:
    """A function of TensorFlow that takes the same in the same order."""

    def add(tensorflow: Any, given: list[Any], _: dict[str, Any]) -> Any:
        function = tensorflow
        for part in name.split("."):
            function = getattr(function, part)
        return function(*given)

    return add


def _reduced(name: str) -> Operator:
    def add(tensorflow: Any, given: list[Any], said: dict[str, Any]) -> Any:
        axes = tensorflow.get_static_value(given[1]).tolist() if len(given) > 1 else None
        return getattr(tensorflow, name)(given[0], axis=axes, keepdims=bool(said.get("keepdims", 1)))

    return add


def _cast(tensorflow: Any, given: list[Any], said: dict[str, Any]) -> Any:
    kinds = {1: "float32", 6: "int32", 7: "int64", 9: "bool", 11: "float64"}
    return tensorflow.cast(given[0], kinds[said["to"]])


def _flattened(tensorflow: Any, given: list[Any], _: dict[str, Any]) -> Any:
    width = int(np.prod(given[0].shape[1:]))
    return tensorflow.reshape(given[0], (-1, width))


def _padded(tensorflow: Any, given: list[Any], _: dict[str, Any]) -> Any:
    ends = np.asarray(tensorflow.get_static_value(given[1])).reshape(2, -1).T
    return tensorflow.pad(given[0], ends, constant_values=tensorflow.get_static_value(given[2]))


def _looked_up(tensorflow: Any, given: list[Any], said: dict[str, Any]) -> Any:
    """The value of the one key that is equal; a table would need to be filled when it is loaded."""
    keys, values, default = (said[name] for name in ("keys_tensor", "values_tensor", "default_tensor"))
    same = tensorflow.equal(given[0], tensorflow.constant(keys.reshape(1, -1)))
    if keys.dtype.kind == "f" and np.isnan(keys).any():
        empty = tensorflow.constant(np.isnan(keys).reshape(1, -1))
        same = tensorflow.logical_or(same, tensorflow.logical_and(tensorflow.math.is_nan(given[0]), empty))
    place = tensorflow.argmax(tensorflow.cast(same, "int32"), axis=1)
    found = tensorflow.gather(tensorflow.constant(values), place)[:, None]
    known = tensorflow.reduce_any(same, axis=1, keepdims=True)
    return tensorflow.where(known, found, tensorflow.constant(default.reshape(1, 1)))


OPERATORS: Mapping[str, Operator] = {
    "Abs": _plain("abs"),
    "Add": _plain("add"),
    "And": _plain("logical_and"),
    "Cast": _cast,
    "Concat": lambda tensorflow, given, said: tensorflow.concat(given, axis=said["axis"]),
    "Div": _plain("divide"),
    "Equal": _plain("equal"),
    "Exp": _plain("exp"),
    "Flatten": _flattened,
    "Gather": lambda tensorflow, given, said: tensorflow.gather(*given, axis=said.get("axis", 0)),
    "Greater": _plain("greater"),
    "Identity": _plain("identity"),
    "IsNaN": _plain("math.is_nan"),
    "LabelEncoder": _looked_up,
    "Less": _plain("less"),
    "Log": _plain("math.log"),
    "MatMul": _plain("matmul"),
    "Max": _plain("maximum"),
    "Min": _plain("minimum"),
    "Mul": _plain("multiply"),
    "Neg": _plain("negative"),
    "Not": _plain("logical_not"),
    "Or": _plain("logical_or"),
    "Pad": _padded,
    "ReduceMax": _reduced("reduce_max"),
    "ReduceMean": _reduced("reduce_mean"),
    "ReduceSum": _reduced("reduce_sum"),
    "Sigmoid": _plain("sigmoid"),
    "Sqrt": _plain("sqrt"),
    "Sub": _plain("subtract"),
    "Tanh": _plain("tanh"),
    "Where": _plain("where"),
}
"""Each operator that lines, networks and preparation are made of; trees have none here."""
