"""What a server says of itself: health, metrics, its description."""

from __future__ import annotations

from typing import Any

from everloop.runtime.http import Request, Response
from everloop.runtime.protocols.route import Route
from everloop.runtime.server.docs_page import docs_page
from everloop.runtime.server.openapi import describe
from everloop.runtime.service.service import Service


async def live(_service: Service, _request: Request) -> Response:
    """Says that the process answers."""
    return Response.of({"status": "live"})


async def ready(service: Service, _request: Request) -> Response:
    """Says whether requests are answered now, by what, and what is wrong."""
    loaded, fault = service.arms.current, service.arms.fault
    log = service.keeping.log.state if loaded is not None else {}
    able = service.able
    body: dict[str, Any] = {
        "status": "ready" if able else "not ready",
        "lifecycle": loaded.routing.lifecycle if loaded else None,
        "generation": loaded.routing.generation if loaded else None,
        "champion": loaded.champion.version if loaded else None,
        "challenger": loaded.challenger.version if loaded and loaded.challenger else None,
        "draining": service.draining,
        "clock": service.settings.clock,
        "routing_fault": None if fault is None else fault.message,
        "log": log,
    }
    return Response.of(body, 200 if able else 503)


async def metrics(service: Service, _request: Request) -> Response:
    """Gives the numbers as Prometheus text."""
    numbers, state = service.metrics, service.keeping.log.state
    numbers.put("everloop_log_lines_total", float(state["lines_appended"] or 0), "appended")
    numbers.put("everloop_log_lines_total", float(state["lines_durable"] or 0), "durable")
    numbers.put("everloop_log_waiting_bytes", float(state["bytes_waiting"] or 0))
    numbers.put("everloop_log_fault", float(state["fault"] is not None))
    numbers.put("everloop_requests_now", service.requests_now)
    numbers.put("everloop_routing_generation", service.routing.routing.generation)
    numbers.put("everloop_load_failures_total", service.arms.failures)
    return Response(numbers.text().encode(), kind="text/plain; version=0.0.4; charset=utf-8")


async def openapi(service: Service, _request: Request) -> Response:
    """Gives the description as OpenAPI 3.1."""
    champion = service.routing.champion
    return Response.of(describe(champion.package.manifest, champion.package.contract, service.settings))


async def docs(service: Service, _request: Request) -> Response:
    """Gives the description as a page that needs nothing else."""
    champion = service.routing.champion
    document = describe(champion.package.manifest, champion.package.contract, service.settings)
    return Response(docs_page(document).encode(), kind="text/html; charset=utf-8")


ROUTES = (
    Route("GET", "/health/live", live, role=None, counts=False),
    Route("GET", "/health/ready", ready, role=None, counts=False),
    Route("GET", "/metrics", metrics, role="admin", counts=False),
    Route("GET", "/openapi.json", openapi, role="predict"),
    Route("GET", "/docs", docs, role="predict"),
)
