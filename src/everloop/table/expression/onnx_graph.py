"""An ONNX graph while it grows: nodes by operator name, constants once each, names by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

OPSET, ML_OPSET, IR_VERSION = 21, 5, 10
PRODUCER = "everloop"

_UNUSED_OUTPUTS = {"StringSplit": ("count",)}
"""Outputs beside the first that an operator must have, and nothing here reads."""

_TYPES = {"double": "DOUBLE", "float": "FLOAT", "text": "STRING", "boolean": "BOOL", "integer": "INT64"}


class GraphBuilder:
    """Collects nodes in the order in which they are added; the same calls give the same bytes.

    Every value is known by a name, which `input`, `constant` and `node` give.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._initializers: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._taken: set[str] = set()
        self._numbers: dict[str, float] = {}
        self._ml_opset = ML_OPSET

    def input(self, name: str, type_name: str, width: int = 1) -> str:
        """Adds an input of shape (n, width); the type is double or text. Inputs come before nodes."""
        self._taken.add(name)
        self._inputs.append(_value_info(name, type_name, width))
        return name

    def output(self, name: str, value: str, type_name: str, width: int) -> None:
        """Gives a value out under a name, with shape (n, width)."""
        self._emit("Identity", [value], (name,), "", {})
        self._outputs.append(_value_info(name, type_name, width))

    def constant(self, value: npt.ArrayLike) -> str:
        """Adds a constant; an equal one that is already there is used again."""
        from onnx import numpy_helper

        array = np.asarray(value)
        if array.dtype.kind == "U":
            array = array.astype(object)
        content = "\0".join(array.ravel()).encode() if array.dtype == object else array.tobytes()
        key = (str(array.dtype), array.shape, content)
        if key not in self._constants:
            name = self._fresh(f"constant_{len(self._constants)}")
            self._initializers.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
            if array.dtype == np.float64 and array.size == 1:
                self._numbers[name] = float(array.item())
        return self._constants[key]

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Adds an operator with one output; arrays among the attributes become tensors."""
        near_one = (
            [name for name in inputs if self._is_nearly_one(name)] if operator in ("Mul", "Div") else []
        )
        if near_one and (operator == "Mul" or inputs[1:] == (near_one[0],)):
            return self._nearly_one(operator, inputs, near_one[0])
        output = self._fresh(f"value_{len(self._nodes)}")
        unused = (self._fresh(f"{output}_{name}") for name in _UNUSED_OUTPUTS.get(operator, ()))
        self._emit(operator, list(inputs), (output, *unused), domain, attributes)
        return output

    def nodes(self, operator: str, outputs: int, *inputs: str, **attributes: Any) -> tuple[str, ...]:
        """Adds an operator of which several outputs are read; gives their names."""
        first = self._fresh(f"value_{len(self._nodes)}")
        names = (first, *(self._fresh(f"{first}_{number}") for number in range(1, outputs)))
        self._emit(operator, list(inputs), names, "", attributes)
        return names

    def _is_nearly_one(self, name: str) -> bool:
        number = self._numbers.get(name, 1.0)
        return number != 1.0 and np.float32(number) == 1.0

    def _nearly_one(self, operator: str, inputs: tuple[str, ...], name: str) -> str:
        """Takes twice the number, then undoes the doubling, which is exact.

        onnxruntime drops a product with a number that is 1 once rounded to float32, doubles included
        (its NoopElimination).
        """
        number = np.array([[self._numbers[name]]])
        doubled = self.constant(number * 2.0)
        result = self.node(operator, *(doubled if item == name else item for item in inputs))
        return self.node("Mul", result, self.constant(np.array([[0.5 if operator == "Mul" else 2.0]])))

    def embed(self, content: bytes, inputs: dict[str, str], output: str) -> str:
        """Adds the nodes of another model, brought to our operator set; gives the value of its output.

        Args:
            content: The other model.
            inputs: Its inputs -> the values here that they read.
            output: The name of its output.

        Raises:
            ValueError: When it has functions, or operators of a domain beyond ONNX's own.
        """
        from onnx import ModelProto, compose, helper, version_converter

        given = ModelProto.FromString(content)
        versions = {one.domain: one.version for one in given.opset_import}
        foreign = sorted(set(versions) - {"", "ai.onnx", "ai.onnx.ml"})
        used = sorted({node.domain for node in given.graph.node} & set(foreign))
        if given.functions or used:
            raise ValueError(f"it has {', '.join(used) or 'functions'} beyond ONNX's own operators")
        self._ml_opset = versions.get("ai.onnx.ml", ML_OPSET)
        if versions.get("", versions.get("ai.onnx", OPSET)) != OPSET:
            given = version_converter.convert_version(given, OPSET)
        own = compose.add_prefix(given, "given_")
        self._taken.update(f"given_{name}" for name in inputs)
        for name, value in inputs.items():
            self._nodes.append(helper.make_node("Identity", [value], [f"given_{name}"]))
        self._initializers.extend(own.graph.initializer)
        self._nodes.extend(own.graph.node)
        return f"given_{output}"

    def cast(self, value: str, type_name: str) -> str:
        """Adds a conversion to one of double, float, text, boolean, integer."""
        from onnx import TensorProto

        return self.node("Cast", value, to=int(TensorProto.DataType.Value(_TYPES[type_name])))

    def to_bytes(self) -> bytes:
        """Gives the finished model, checked by onnx itself."""
        from onnx import checker, helper

        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, self._initializers)
        model = helper.make_model(
            graph,
            producer_name=PRODUCER,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", self._ml_opset)],
        )
        checker.check_model(model)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _fresh(self, name: str) -> str:
        """A column may be named as our own values are."""
        while name in self._taken:
            name += "_"
        return name

    def _emit(
        self,
        operator: str,
        inputs: list[str],
        outputs: tuple[str, ...],
        domain: str,
        attributes: dict[str, Any],
    ) -> None:
        from onnx import helper, numpy_helper

        plain = {
            name: numpy_helper.from_array(value, name) if isinstance(value, np.ndarray) else value
            for name, value in attributes.items()
        }
        self._nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, **plain))


def _value_info(name: str, type_name: str, width: int) -> Any:
    from onnx import TensorProto, helper

    element = int(TensorProto.DataType.Value(_TYPES[type_name]))
    return helper.make_tensor_value_info(name, element, ["n", width])
