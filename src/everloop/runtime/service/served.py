"""One row on its way through the server: what was asked, and what was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from everloop.runtime.explain import Reason
    from everloop.runtime.package import Answer
    from everloop.runtime.service.arms import LoadedArm
    from everloop.table.contract import ReadRow


class Served(NamedTuple):
    """One answer with its id, and the version that gave it."""

    id: str
    answer: Answer
    version: int
    reasons: tuple[Reason, ...] | None


class Asked(NamedTuple):
    """One row that satisfies its contract: its id, its time, its arm.

    Attributes:
        id: The prediction's id.
        row: The row in the contract's types.
        time: When it was asked for, in microseconds since 1970.
        arm: What its answer is logged as.
        loaded: The version that answers.
        joined: Which of its features came from the online store.
        chance: How likely it was that this arm answers.
        read: The row as it was read from JSON, where it is answered just so.
    """

    id: str
    row: dict[str, Any]
    time: int
    arm: str
    loaded: LoadedArm
    joined: tuple[str, ...] = ()
    chance: float = 1.0
    read: ReadRow | None = None
