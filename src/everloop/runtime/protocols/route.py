"""A route: which function answers which path, and who may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.runtime.http import Refusal, Response

if TYPE_CHECKING:
    from everloop.runtime.http import Request
    from everloop.runtime.service.service import Service


@dataclass(frozen=True)
class Route:
    """One method on one path.

    Attributes:
        method: In capitals.
        path: Plain, or with parameters such as `/v2/models/{name}`.
        function: Answers.
        role: The role that a token must have; None is open to all.
        counts: Whether the route is refused when the server has too much to do.
        refused: How the protocol tells a refusal.
    """

    method: str
    path: str
    function: Callable[[Service, Request], Awaitable[Response]]
    role: str | None
    counts: bool = True
    refused: Callable[[Refusal], Response] = Refusal.response
