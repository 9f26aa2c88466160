"""Events of the sources that features look at: `POST /features/{source}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.runtime.http import Refusal, Request, Response
from everloop.runtime.protocols.route import Route

if TYPE_CHECKING:
    from everloop.runtime.service.service import Service


async def push(service: Service, request: Request) -> Response:
    """Takes one event, a list of them, or a list under `events`; all of them or none."""
    limits = service.settings.limits
    body = await request.json(limits.body_bytes, limits.body_seconds)
    if isinstance(body, dict) and body.keys() == {"events"}:
        body = body["events"]
    events: list[Any] = body if isinstance(body, list) else [body]
    if len(events) > 10 * limits.rows:
        raise Refusal(413, "There are too many events.", f"Expected at most {10 * limits.rows} in a request.")
    added = await service.take_events(request.parameters["source"], events)
    return Response.of({"accepted": added.events, "passed_over": added.passed_over})


ROUTES = (Route("POST", "/features/{source}", push, role="feedback"),)
