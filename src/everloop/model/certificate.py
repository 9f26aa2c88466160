"""The parity certificate as a value: what was tried, what was found, and whether it passes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from everloop.core.errors import PackageRefused
from everloop.core.values import to_jsonable

FORMAT = 1


@dataclass(frozen=True)
class Difference:
    """The row on which a runtime is furthest from the trained model.

    Attributes:
        kind: ``test``, ``edge``, ``split`` or ``vector``.
        row: The raw row, or the encoded vector.
        trained: The trained model's score or scores.
        compiled: The runtime's.
        difference: How far apart they are.
    """

    kind: str
    row: dict[str, Any]
    trained: list[float]
    compiled: list[float]
    difference: float


@dataclass(frozen=True)
class RuntimeParity:
    """How one runtime compares with the trained model.

    Attributes:
        rows: How many rows were compared.
        largest_difference: Between any two scores.
        decisions_differ: Decisions that differ though no tie excuses it.
        ties: Rows whose trained score is within the tolerance of the decision's border.
        ties_differ: How many of those are decided differently.
        worst: Where the largest difference is; None where all scores are equal.
    """

    rows: int
    largest_difference: float
    decisions_differ: int
    ties: int
    ties_differ: int
    worst: Difference | None


@dataclass(frozen=True)
class Certificate:
    """What was tried, and what was found.

    Attributes:
        tolerance: The greatest difference that passes: 1e-9, or 1e-6 for a learner that computes in float32.
        threshold: The binary decision's border.
        rows: How many rows of each kind were tried; ``refused`` are edge rows that the estimator itself
            does not accept.
        runtimes: A finding for each runtime.
        absent: Runtimes that this package does not have, with the reason.
    """

    tolerance: float
    threshold: float | None
    rows: dict[str, int]
    runtimes: dict[str, RuntimeParity]
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every runtime agrees with the trained model."""
        return all(self._agrees(found) for found in self.runtimes.values())

    def _agrees(self, found: RuntimeParity) -> bool:
        return found.largest_difference <= self.tolerance and found.decisions_differ == 0

    def to_dict(self) -> dict[str, Any]:
        """Gives the certificate as what ``parity.json`` holds."""
        data = {"format": FORMAT, "passed": self.passed, **asdict(self)}
        found: dict[str, Any] = to_jsonable(_with_spelled_infinities(data))
        return found

    def require(self) -> Certificate:
        """Gives the certificate itself if it passed.

        Raises:
            PackageRefused: When a runtime disagrees; the message names it and the row.
        """
        for name, found in self.runtimes.items():
            if not self._agrees(found):
                raise PackageRefused(_refusal(name, found, self.tolerance))
        return self


def _refusal(name: str, found: RuntimeParity, tolerance: float) -> str:
    sentence = (
        f"The compiled model does not answer as the trained one. In the runtime {name!r} the scores differ "
        f"by up to {found.largest_difference:.3g} (at most {tolerance:g} is allowed) "
        f"and {found.decisions_differ} of {found.rows} decisions differ."
    )
    if found.worst is None:
        return sentence
    return (
        f"{sentence} On the {found.worst.kind} row {found.worst.row} the trained model says "
        f"{found.worst.trained}, the compiled one {found.worst.compiled}."
    )


def _with_spelled_infinities(value: Any) -> Any:
    """JSON has no NaN and no infinity; a row that holds them is shown with their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _with_spelled_infinities(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_spelled_infinities(item) for item in value]
    return value
