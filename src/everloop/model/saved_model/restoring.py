"""Which numbers of the checkpoint each variable is given, by the operation that TensorFlow restores with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.core.errors import ModelFault
from everloop.model.saved_model.tensors import TEXT, Constants
from everloop.model.saved_model.translation import PASSED_ON, REFERENCES, VARIABLES, Variable, variable_of
from everloop.model.saved_model.walk import Visit, Walk

if TYPE_CHECKING:
    from everloop.model.saved_model.messages import Message


def keys_of(graph: Message, operation: str) -> dict[str, str]:
    """Gives the checkpoint's key of each variable.

    Args:
        graph: The `Graph`.
        operation: The name of the node that restores.

    Raises:
        ModelFault: When it does more than give each variable the numbers of one key.
    """
    restoring = _Restoring()
    Walk(graph, restoring).reach([operation])
    return restoring.keys


@dataclass(frozen=True)
class _Stored:
    key: str


class _Restoring:
    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self._constants = Constants()

        self._known: dict[str, Visit] = {
            **dict.fromkeys(VARIABLES | REFERENCES, lambda node, _: [variable_of(node)]),
            **dict.fromkeys(PASSED_ON, lambda _, reads: reads),
            **dict.fromkeys(("Placeholder", "PlaceholderWithDefault"), lambda *_: [None]),
            **dict.fromkeys(("Assign", "AssignVariableOp"), lambda _, reads: [self._assigned(reads)]),
            "Const": lambda node, _: [self._texts(node)],
            "NoOp": lambda *_: [],
            "RestoreV2": lambda _, reads: self._stored(reads),
        }

    def __call__(self, node: Message, reads: list[Any]) -> Sequence[Any]:
        if node.op not in self._known:
            raise ModelFault(f"Its variables are restored by {node.op[:100]}, which is not known.")
        return self._known[node.op](node, reads)

    def _texts(self, node: Message) -> list[str] | None:
        tensor = next((one.value.tensor for one in node.attr if one.key == "value"), None)
        if tensor is None or tensor.dtype != TEXT:
            return None
        return [one.decode(errors="replace") for one in self._constants.array(tensor).ravel()]

    def _stored(self, reads: list[Any]) -> list[_Stored]:
        _, keys, slices = reads if len(reads) == 3 else (None, None, None)
        if keys is None or slices is None or any(slices):
            raise ModelFault("Its variables are restored in parts; expected each in one piece.")
        return [_Stored(key) for key in keys]

    def _assigned(self, reads: list[Any]) -> Any:
        variable, value = reads if len(reads) == 2 else (None, None)
        if not isinstance(variable, Variable) or not isinstance(value, _Stored):
            raise ModelFault("A variable in it is not restored from its checkpoint alone.")
        if self.keys.setdefault(variable.name, value.key) != value.key:
            raise ModelFault(f"Its variable {variable.name[:100]!r} is restored twice.")
        return variable
