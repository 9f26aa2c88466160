"""One operation of TensorFlow's on its way into a portable graph: what it reads and says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.saved_model.tensors import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from everloop.model.saved_model.messages import Message
    from everloop.table.expression import GraphBuilder


_DEFAULTS: dict[str, type[np.generic]] = {"T": np.float32, "out_type": np.int32, "output_type": np.int64}


@dataclass(frozen=True)
class Value:
    """A value of the portable graph.

    Attributes:
        name: What it is called there.
        array: Its numbers, where they are known.
    """

    name: str
    array: NDArray[Any] | None = None


def cast_to(graph: GraphBuilder, value: str, kind: type[np.generic]) -> str:
    """Adds a conversion to a kind of number."""
    from onnx import helper

    return graph.node("Cast", value, to=int(helper.np_dtype_to_tensor_dtype(np.dtype(kind))))


class Step:
    """An operation.

    Args:
        graph: Where its twin goes.
        node: The operation.
        reads: What it reads.
        attributes: What it says of itself.
    """

    def __init__(
        self, graph: GraphBuilder, node: Message, reads: Sequence[Value], attributes: dict[str, Message]
    ) -> None:
        self.graph = graph
        self.operation: str = node.op
        self.reads = list(reads)
        self._attributes = attributes

    def number(self, name: str, default: int = 0) -> int:
        """Gives an attribute that is a whole number."""
        return int(self._attributes[name].i) if name in self._attributes else default

    def real(self, name: str, default: float) -> float:
        """Gives an attribute that is a number."""
        return float(self._attributes[name].f) if name in self._attributes else default

    def flag(self, name: str) -> bool:
        """Gives an attribute that is true or false."""
        return name in self._attributes and bool(self._attributes[name].b)

    def text(self, name: str) -> str:
        """Gives an attribute that is a text."""
        return self._attributes[name].s.decode(errors="replace") if name in self._attributes else ""

    def numbers(self, name: str) -> list[int]:
        """Gives an attribute that is a list of whole numbers."""
        return list(self._attributes[name].list.i) if name in self._attributes else []

    def reals(self, name: str) -> list[float]:
        """Gives an attribute that is a list of numbers."""
        return list(self._attributes[name].list.f) if name in self._attributes else []

    def kind(self, name: str = "T") -> type[np.generic]:
        """Gives an attribute that is a kind of number; where an operation has a default, it is not written.

        Raises:
            ModelFault: When it is none that is computed with here.
        """
        if name in self._attributes:
            return kind_of(self._attributes[name].type)
        if name not in _DEFAULTS:
            raise ModelFault(f"Its {self.operation} does not say what it computes with.")
        return _DEFAULTS[name]

    def says(self, name: str) -> bool:
        """Tells whether an attribute is there."""
        return name in self._attributes

    def refuse(self, what: str) -> ModelFault:
        """Gives the error for a form of the operation that is not translated."""
        return ModelFault(f"Its {self.operation} {what}, which has no translation here.")

    def name(self, place: int) -> str:
        """Gives the value that it reads at a place.

        Raises:
            ModelFault: When it reads fewer.
        """
        return self._read(place).name

    def names(self) -> list[str]:
        """Gives all values that it reads."""
        return [one.name for one in self.reads]

    def fixed(self, place: int) -> NDArray[Any]:
        """Gives the numbers that it reads at a place, which do not depend on the row.

        Raises:
            ModelFault: When they do.
        """
        found = self._read(place).array
        if found is None or found.dtype.kind not in "iufb":
            raise self.refuse("reads axes or sizes that are worked out from the row")
        return found

    def whole(self, place: int) -> list[int]:
        """Gives the whole numbers that it reads at a place, which do not depend on the row.

        Raises:
            ModelFault: When they do.
        """
        return [int(one) for one in self.fixed(place).ravel()]

    def _read(self, place: int) -> Value:
        if place >= len(self.reads) or not isinstance(self.reads[place], Value):
            raise ModelFault(f"Its {self.operation} does not read what it should.")
        return self.reads[place]

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds an operator of the portable graph; gives its value."""
        return self.graph.node(operator, *inputs, **attributes)

    def constant(self, number: Any, kind: Any = None) -> str:
        """Adds numbers, of the kind that the operation computes with where no other is given."""
        return self.graph.constant(np.asarray(number, dtype=kind or self.kind()))

    def whole_constant(self, numbers: Any) -> str:
        """Adds whole numbers as the portable graph wants axes and sizes."""
        return self.graph.constant(np.asarray(numbers, dtype=np.int64))

    def cast(self, value: str, kind: type[np.generic]) -> str:
        """Adds a conversion to a kind of number."""
        return cast_to(self.graph, value, kind)

    def sizes(self, place: int) -> str:
        """Gives the sizes that it reads at a place as the portable graph wants them."""
        known = self._read(place).array
        return self.cast(self.name(place), np.int64) if known is None else self.whole_constant(known)
