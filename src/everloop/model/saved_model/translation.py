"""The nodes of a SavedModel's signature, each as its twin in a portable graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.core.errors import ModelFault
from everloop.model.saved_model.operators import OPERATORS
from everloop.model.saved_model.step import Step, Value
from everloop.model.saved_model.tensors import Constants
from everloop.model.saved_model.walk import Visit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.model.saved_model.messages import Message
    from everloop.table.expression import GraphBuilder

PASSED_ON = frozenset({"EnsureShape", "Identity", "IdentityN", "PreventGradient", "Snapshot", "StopGradient"})
SILENT = frozenset({"DisableCopyOnRead", "NoOp"})
VARIABLES, REFERENCES = frozenset({"VarHandleOp"}), frozenset({"Variable", "VariableV2"})
"""Operations that name a variable, of which the second kind gives its numbers at once."""


@dataclass(frozen=True)
class Variable:
    """A variable, by the name under which it is shared."""

    name: str


def variable_of(node: Message) -> Variable:
    """Gives the variable that a node names."""
    shared = next((one.value.s for one in node.attr if one.key == "shared_name"), b"")
    return Variable(shared.decode(errors="replace") or node.name)


def _refuse_placeholder(node: Message, _: list[Any]) -> Sequence[Any]:
    raise ModelFault(f"It reads {node.name[:100]!r}, which is no input of its signature.")


class Translation:
    """Gives each node's twin: what `Walk` is told to do.

    Args:
        graph: Where the twins go.
        numbers: Gives the numbers of a variable, by its name.
    """

    def __init__(self, graph: GraphBuilder, numbers: Callable[[str], NDArray[Any]]) -> None:
        self._graph = graph
        self._numbers = numbers
        self._variables: dict[str, Value] = {}
        self._constants = Constants()
        self._bringing: dict[str, Visit] = {
            **dict.fromkeys(PASSED_ON, lambda _, reads: reads),
            **dict.fromkeys(SILENT, lambda *_: []),
            **dict.fromkeys(VARIABLES, lambda node, _: [variable_of(node)]),
            **dict.fromkeys(REFERENCES, lambda node, _: [self._variable(variable_of(node))]),
            "Const": lambda node, _: [self._constant(node)],
            "Placeholder": _refuse_placeholder,
            "PlaceholderWithDefault": lambda _, reads: reads[:1],
            "ReadVariableOp": lambda _, reads: [self._variable(*reads[:1])],
        }

    def __call__(self, node: Message, reads: list[Any]) -> Sequence[Any]:
        """Gives the values of a node's outputs.

        Raises:
            ModelFault: When the node is none that computes with numbers alone; it is named.
        """
        name = node.op
        attributes = {one.key: one.value for one in node.attr}
        if any(one.placeholder for one in attributes.values()):
            raise ModelFault(f"Its {name[:100]} leaves open what it computes with.")
        if name in self._bringing:
            return self._bringing[name](node, reads)
        if name == "ResourceGather":
            name, reads = "Gather", [self._variable(*reads[:1]), *reads[1:]]
        if name not in OPERATORS:
            raise ModelFault(
                f"It has the operation {name[:100]}, which is none of those that only compute with numbers."
            )
        made = OPERATORS[name](Step(self._graph, node, reads, attributes))
        return [Value(one) for one in ([made] if isinstance(made, str) else made)]

    def _constant(self, node: Message) -> Value | None:
        """Gives a constant; of texts nothing, which no operation here reads."""
        tensor = next((one.value.tensor for one in node.attr if one.key == "value"), None)
        if tensor is None:
            raise ModelFault("A constant in it has no value.")
        array = self._constants.array(tensor)
        return None if array.dtype == object else Value(self._graph.constant(array), array)

    def _variable(self, variable: Any = None) -> Value:
        if not isinstance(variable, Variable):
            raise ModelFault("It reads a variable that is none.")
        if variable.name not in self._variables:
            array = self._numbers(variable.name)
            self._variables[variable.name] = Value(self._graph.constant(array), array)
        return self._variables[variable.name]
