"""The console: the pages over HTTP. It reads; no route changes anything, and no page needs a script."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from everloop.console.loop_metrics import loop_metrics
from everloop.console.pages import page_for
from everloop.console.status_page import status_facts, status_page
from everloop.core.errors import EverloopError, NotFound, OutsideFault
from everloop.core.extras import require
from everloop.core.ids import kind_of
from everloop.report import Page, Ref, Section, Text, render

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from everloop.loop.workspace import Workspace

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Sent with every answer: nothing is loaded from anywhere, nothing is framed, nothing is kept."""

METRICS_TYPE = "text/plain; version=0.0.4"
PROBLEM_TYPE = "application/problem+json"
_ROOMS = {"run": "runs", "version": "versions", "window": "windows", "decision": "decisions"}
_OWN = {"status": "/", "story": "/story"}


def address_of(identity: str) -> str | None:
    """Gives the address of the page of an id; None where it has none."""
    room = _ROOMS.get(kind_of(identity))
    return _OWN.get(identity) or (f"/{room}/{identity}" if room else None)


def create_app(
    workspace: Workspace, *, hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
) -> Starlette:
    """Makes the console of a lifecycle.

    Args:
        workspace: The lifecycle; it is only read, and stays open as long as the app serves.
        hosts: The names under which the console may be asked for; others are refused, so that a page
            elsewhere cannot reach it under a name of its own.

    Raises:
        MissingExtra: When Starlette is not installed.
    """
    require("starlette", extra="train")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
    from starlette.routing import Route

    def html(build: Callable[[dict[str, Any]], Page]) -> Callable[[Any], Any]:
        # A plain function: Starlette runs it beside the event loop, since drawing takes its time.
        def answer(request: Any) -> HTMLResponse:
            status, page = _built(build, request.path_params)
            return HTMLResponse(render(page, link=address_of), status, headers=HEADERS)

        return answer

    def status(request: Any) -> JSONResponse:  # noqa: ARG001
        return JSONResponse(status_facts(workspace), headers=HEADERS)

    def metrics(request: Any) -> PlainTextResponse:  # noqa: ARG001
        return PlainTextResponse(loop_metrics(workspace), headers=HEADERS, media_type=METRICS_TYPE)

    def problem(request: Any, error: Any) -> JSONResponse:  # noqa: ARG001
        # Pages tell theirs themselves: this is for what programs read.
        code, title = _fault(error)
        told = {"status": code, "title": title, "detail": error.message, "hint": error.hint}
        return JSONResponse(told, code, headers=HEADERS, media_type=PROBLEM_TYPE)

    def missing(request: Any, error: Exception) -> HTMLResponse:
        code = int(getattr(error, "status_code", 404))
        page = _told("Not found", f"There is no page at {request.url.path}.")
        if code != 404:
            page = _told("Not allowed", "The console only shows; ask with GET.")
        return HTMLResponse(render(page, link=address_of), code, headers=HEADERS)

    routes = [
        Route("/", html(lambda _: status_page(workspace))),
        Route("/story", html(lambda _: page_for(workspace))),
        Route("/runs/{id}", html(lambda path: page_for(workspace, _of_kind("run", path["id"])))),
        Route("/versions/{id}", html(lambda path: page_for(workspace, path["id"]))),
        Route("/windows/{id}", html(lambda path: page_for(workspace, _of_kind("window", path["id"])))),
        Route("/decisions/{id}", html(lambda path: page_for(workspace, _of_kind("decision", path["id"])))),
        Route("/api/status", status),
        Route("/metrics", metrics),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={404: missing, 405: missing, EverloopError: problem},
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
    )


def _of_kind(kind: str, identity: str) -> str:
    if kind_of(identity) != kind:
        raise NotFound(f"{identity!r} is no id of a {kind}.", hint="everloop status")
    return identity


def _built(build: Callable[[dict[str, Any]], Page], path: dict[str, Any]) -> tuple[int, Page]:
    """Builds a page, or the one that says why it cannot be built."""
    try:
        return 200, build(path)
    except EverloopError as error:
        code, title = _fault(error)
        return code, _told(title, error.message, error.hint)


def _fault(error: EverloopError) -> tuple[int, str]:
    """Gives the status and the title of what could not be answered."""
    if isinstance(error, NotFound):
        return 404, "Not found"
    return (503, "Not now") if isinstance(error, OutsideFault) else (500, "This cannot be shown")


def _told(title: str, *sentences: str | None) -> Page:
    blocks = [Text(sentence) for sentence in sentences if sentence]
    return Page(
        title, "", [Section("What happened", blocks)], trail=(Ref("status", "status"), Ref("", title.lower()))
    )
