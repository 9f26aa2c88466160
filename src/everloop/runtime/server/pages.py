"""What a server says of itself: health, metrics, its description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.runtime.http import Request, Response
from everloop.runtime.protocols.route import UNDER, Route, ServerRoute
from everloop.runtime.server.docs_page import docs_page
from everloop.runtime.server.openapi import describe
from everloop.runtime.service.metrics import metrics_text

if TYPE_CHECKING:
    from everloop.runtime.service.lifecycles import Lifecycles
    from everloop.runtime.service.service import Service


async def live(_lifecycles: Lifecycles, _request: Request) -> Response:
    """Says that the process answers."""
    return Response.of({"status": "live"})


async def ready(lifecycles: Lifecycles, _request: Request) -> Response:
    """Says whether requests are answered now, by what, and what is wrong; of several, of each by its name."""
    able = lifecycles.able
    if lifecycles.sole is not None:
        return Response.of(_state(lifecycles.sole), 200 if able else 503)
    each = {name: _state(service) for name, service in lifecycles.named.items()}
    return Response.of({"status": _status(able), "lifecycles": each}, 200 if able else 503)


async def one_ready(service: Service, _request: Request) -> Response:
    """Says the same of one lifecycle."""
    return Response.of(_state(service), 200 if service.able else 503)


async def models(lifecycles: Lifecycles, _request: Request) -> Response:
    """Names the lifecycles that are served, and what serves each."""
    return Response.of({"models": [_state(service) for service in lifecycles.services]})


async def metrics(lifecycles: Lifecycles, _request: Request) -> Response:
    """Gives the numbers as Prometheus text; of several lifecycles, with the label `lifecycle`."""
    for service in lifecycles.services:
        _measure(service)
    if lifecycles.sole is not None:
        parts = [("", lifecycles.sole.metrics)]
    else:
        parts = [(name, service.metrics) for name, service in lifecycles.named.items()]
    if all(numbers is not lifecycles.metrics for _, numbers in parts):
        parts.append(("", lifecycles.metrics))
    return Response(metrics_text(parts).encode(), kind="text/plain; version=0.0.4; charset=utf-8")


async def openapi(service: Service, request: Request) -> Response:
    """Gives the description as OpenAPI 3.1."""
    return Response.of(_described(service, request))


async def docs(service: Service, request: Request) -> Response:
    """Gives the description as a page that needs nothing else."""
    return Response(docs_page(_described(service, request)).encode(), kind="text/html; charset=utf-8")


def _described(service: Service, request: Request) -> dict[str, Any]:
    """Describes a lifecycle, by the paths under its name where whoever asks named it."""
    package = service.routing.champion.package
    name = request.parameters.get("name")
    under = "" if name is None else UNDER.format(name=name)
    return describe(package, service.settings, under)


def _state(service: Service) -> dict[str, Any]:
    loaded, fault = service.arms.current, service.arms.fault
    return {
        "status": _status(service.able),
        "lifecycle": loaded.routing.lifecycle if loaded else None,
        "generation": loaded.routing.generation if loaded else None,
        "champion": loaded.champion.version if loaded else None,
        "challenger": loaded.challenger.version if loaded and loaded.challenger else None,
        "draining": service.draining,
        "clock": service.settings.clock,
        "routing_fault": None if fault is None else fault.message,
        "log": service.keeping.log.state if loaded is not None else {},
    }


def _status(able: bool) -> str:
    return "ready" if able else "not ready"


def _measure(service: Service) -> None:
    """Puts what is counted elsewhere, or not counted but measured, into a lifecycle's numbers."""
    numbers, state = service.metrics, service.keeping.log.state
    numbers.put("everloop_log_lines_total", float(state["lines_appended"] or 0), "appended")
    numbers.put("everloop_log_lines_total", float(state["lines_durable"] or 0), "durable")
    numbers.put("everloop_log_waiting_bytes", float(state["bytes_waiting"] or 0))
    numbers.put("everloop_log_fault", float(state["fault"] is not None))
    numbers.put("everloop_requests_now", service.requests_now)
    numbers.put("everloop_routing_generation", service.routing.routing.generation)
    numbers.put("everloop_load_failures_total", service.arms.failures)


ROUTES = (
    ServerRoute("GET", "/health/live", live, role=None, counts=False),
    ServerRoute("GET", "/health/ready", ready, role=None, counts=False),
    ServerRoute("GET", "/metrics", metrics, role="admin", counts=False),
    ServerRoute("GET", "/models", models, role="predict"),
    Route("GET", f"{UNDER}/health/ready", one_ready, role=None, counts=False),
    Route("GET", "/openapi.json", openapi, role="predict"),
    Route("GET", "/docs", docs, role="predict"),
)
