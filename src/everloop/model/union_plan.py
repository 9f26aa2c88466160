"""One plan for several learners: encoders that are the same are kept once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from everloop.runtime.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from everloop.runtime.encoders import DerivedColumn, Encoder, PlanInput


def united(plans: Sequence[Plan]) -> tuple[Plan, tuple[NDArray[np.int64], ...]]:
    """Merges plans into one whose vector holds the vector of each.

    Args:
        plans: At least one, fitted on columns of the same table.

    Returns:
        The plan, and for each one given the slots of the union that are its own vector, in its order.

    Example:
        >>> from everloop.runtime.plan import NumberEncoder, PlanInput
        >>> age = Plan((PlanInput("age", "number"),), (NumberEncoder("age", 0, fill=1.0),), 1)
        >>> plan, slots = united([age, age])
        >>> plan.width, [one.tolist() for one in slots]
        (1, [[0], [0]])
    """
    inputs: dict[str, PlanInput] = {}
    derived: dict[str, DerivedColumn] = {}
    placed: dict[bytes, Encoder] = {}
    slots = []
    width = 0
    for plan in plans:
        inputs.update((item.name, item) for item in plan.inputs)
        derived.update((item.name, item) for item in plan.derived)
        own = np.empty(plan.width, dtype=np.int64)
        for encoder in plan.encoders:
            key = msgspec.json.encode(msgspec.structs.replace(encoder, offset=0))
            if key not in placed:
                placed[key] = msgspec.structs.replace(encoder, offset=width)
                width += encoder.width
            start = placed[key].offset
            own[encoder.offset : encoder.offset + encoder.width] = np.arange(start, start + encoder.width)
        slots.append(own)
    union = Plan(
        inputs=tuple(inputs.values()),
        derived=tuple(derived.values()),
        encoders=tuple(placed.values()),
        width=width,
    )
    return union, tuple(slots)
