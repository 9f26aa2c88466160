"""The nodes of a graph in the order in which they can be worked out, functions taken apart where called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from everloop.core.errors import ModelFault

if TYPE_CHECKING:
    from everloop.model.saved_model.messages import Message

Visit = Callable[["Message", "list[Any]"], "Sequence[Any]"]
"""Gives the values of a node's outputs, from the node and the values that it reads."""

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})

MOST_NODES, MOST_CALLS = 50_000, 50
"""Nodes in all, each as often as its function is called, and calls within each other."""

FIRST_OUTPUTS = dict.fromkeys(("FusedBatchNormV2", "FusedBatchNormV3"), "y")
"""Operations with outputs of several names, of which the first alone is read here."""


class Walk:
    """Goes through a graph; every value is what `visit` makes of it.

    All nodes of a function that is called are visited, needed or not: what is not known anywhere in it is
    refused.

    Args:
        graph: The `Graph`.
        visit: What is done at a node.

    Raises:
        ModelFault: When two nodes or functions have one name.
    """

    def __init__(self, graph: Message, visit: Visit) -> None:
        self._visit = visit
        self._nodes = _named(graph.node)
        self._functions = {one.signature.name: one for one in graph.library.function}
        self._bodies: dict[str, Mapping[str, Message]] = {}
        self._calls: list[str] = []
        self._seen = 0

    def values(self, targets: Iterable[str], given: Mapping[str, Sequence[Any]]) -> list[Any]:
        """Gives the values of tensors of the graph itself, such as ``node:0``.

        Args:
            targets: The tensors.
            given: Nodes that are not visited -> the values of their outputs.

        Raises:
            ModelFault: When the graph is damaged, or larger or deeper than is read; and what `visit` raises.
        """
        wanted = list(targets)
        found = self._run(self._nodes, [_parts(one)[0] for one in wanted], given)
        return [_value(found, one, {}) for one in wanted]

    def reach(self, names: Iterable[str]) -> None:
        """Visits nodes of the graph itself, and all that they rest on.

        Raises:
            ModelFault: As `values`.
        """
        self._run(self._nodes, [_parts(one)[0] for one in names], {})

    def _run(
        self, nodes: Mapping[str, Message], targets: Iterable[str], given: Mapping[str, Sequence[Any]]
    ) -> dict[str, Sequence[Any]]:
        values = dict(given)
        for node in _ordered(nodes, targets, given):
            self._seen += 1
            if self._seen > MOST_NODES:
                raise ModelFault(f"It has more than {MOST_NODES:,} operations.")
            reads = [_value(values, one, nodes) for one in node.input if not one.startswith("^")]
            values[node.name] = self._outputs(node, reads)
        return values

    def _outputs(self, node: Message, reads: list[Any]) -> Sequence[Any]:
        name = node.op
        if name in CALLS:
            name = next((one.value.func.name for one in node.attr if one.key == "f"), "")
        if name in self._functions:
            return self._called(name, reads)
        if node.op in CALLS:
            raise ModelFault(f"It calls {name[:100]!r}, which is not in it.")
        return self._visit(node, reads)

    def _called(self, name: str, reads: list[Any]) -> list[Any]:
        function = self._functions[name]
        if name in self._calls:
            raise ModelFault(f"Its function {name[:100]!r} calls itself.")
        if len(self._calls) >= MOST_CALLS:
            raise ModelFault(f"Its functions call each other more than {MOST_CALLS} deep.")
        arguments = [one.name for one in function.signature.input_arg]
        if len(arguments) != len(reads):
            raise ModelFault(
                f"Its function {name[:100]!r} is given {len(reads)} values and takes {len(arguments)}."
            )
        if name not in self._bodies:
            self._bodies[name] = _named(function.node_def)
        body = self._bodies[name]
        self._calls.append(name)
        given = {argument: [value] for argument, value in zip(arguments, reads, strict=True)}
        values = self._run(body, body, given)
        self._calls.pop()
        results = {one.key: one.value for one in function.ret}
        try:
            return [_value(values, results[one.name], body) for one in function.signature.output_arg]
        except KeyError as error:
            raise ModelFault(f"Its function {name[:100]!r} does not say what {error} is.") from None


def _named(nodes: Iterable[Message]) -> dict[str, Message]:
    found: dict[str, Message] = {}
    for node in nodes:
        if node.name in found:
            raise ModelFault(f"Two of its operations are called {node.name[:100]!r}.")
        found[node.name] = node
    return found


def _parts(reference: str) -> tuple[str, str, int]:
    """Divides ``^node``, ``node``, ``node:1`` and ``node:output:1``."""
    name, *rest = reference.removeprefix("^").split(":")
    number = rest.pop() if rest and rest[-1].isdigit() else "0"
    return name, rest[0] if rest else "", int(number[:9])


def _value(values: Mapping[str, Sequence[Any]], reference: str, nodes: Mapping[str, Message]) -> Any:
    name, output, number = _parts(reference)
    known = FIRST_OUTPUTS.get(nodes[name].op) if name in nodes else None
    if number >= len(values[name]) or (known and output not in ("", known)):
        raise ModelFault(f"It reads {reference[:100]!r}, an output that is not known.")
    return values[name][number]


def _ordered(
    nodes: Mapping[str, Message], targets: Iterable[str], given: Mapping[str, Any]
) -> Iterable[Message]:
    """Gives the targets and what they rest on, each after what it reads or waits for."""
    done, active = set(given), set()
    order: list[Message] = []
    waiting = [(name, False) for name in targets]
    while waiting:
        name, leaves = waiting.pop()
        if leaves:
            active.discard(name)
            done.add(name)
            order.append(nodes[name])
        elif name in active:
            raise ModelFault(f"Its operation {name[:100]!r} waits for itself.")
        elif name not in done:
            if name not in nodes:
                raise ModelFault(f"It reads {name[:100]!r}, which is not in it.")
            active.add(name)
            waiting.append((name, True))
            waiting.extend((_parts(one)[0], False) for one in nodes[name].input)
    return order
