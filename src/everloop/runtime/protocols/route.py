"""A route: which function answers which path, and who may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.runtime.http import Refusal, Response

if TYPE_CHECKING:
    from everloop.runtime.http import Request
    from everloop.runtime.service.lifecycles import Lifecycles
    from everloop.runtime.service.service import Service


UNDER = "/models/{name}"
"""What stands before a path that itself names no lifecycle, where one is named."""


@dataclass(frozen=True)
class Route:
    """One method on one path of a lifecycle. Its path also stands behind `UNDER`.

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


@dataclass(frozen=True)
class ServerRoute:
    """One method on one path of the server as a whole.

    Attributes:
        method: In capitals.
        path: Plain.
        function: Answers, given the lifecycles that whoever asks may know of.
        role: The role that a token must have, of any lifecycle; None is open to all.
        counts: As in `Route`.
        refused: As in `Route`.
    """

    method: str
    path: str
    function: Callable[[Lifecycles, Request], Awaitable[Response]]
    role: str | None
    counts: bool = True
    refused: Callable[[Refusal], Response] = Refusal.response
