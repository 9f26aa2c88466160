"""What long work tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One thing to tell.

    Attributes:
        phase: The phase or verb at work: ``goal``, ``data``, ``model`` and so on.
        message: A short line for a person.
        fraction: How much of the phase is done, from 0 to 1, where that is known.
        seconds_left: An estimate of the time left, in seconds, where there is one.
        kind: ``started``, ``progress``, ``result`` (the phase's line of result) or ``notice``.
        facts: What a program may want to know.
    """

    phase: str
    message: str
    fraction: float | None = None
    seconds_left: float | None = None
    kind: str = "progress"
    facts: dict[str, Any] = field(default_factory=dict)


Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Tells nobody."""
