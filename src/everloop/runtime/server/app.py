"""The ASGI application: finds the route, guards it, answers; and what happens at start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from everloop.core.clock import Clock, SystemClock
from everloop.core.errors import EverloopError
from everloop.runtime.http import ClientGone, Receive, Refusal, Request, Response, Scope, Send
from everloop.runtime.protocols import PROTOCOLS, native
from everloop.runtime.protocols.route import Route
from everloop.runtime.server.access import require_role
from everloop.runtime.server.pages import ROUTES as PAGES
from everloop.runtime.service.served import Served
from everloop.runtime.service.service import Service
from everloop.runtime.service.settings import ServerSettings

if TYPE_CHECKING:
    from everloop.runtime.server.grpc import GrpcServer

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def create_app(settings: ServerSettings, clock: Clock | None = None) -> App:
    """Gives the ASGI application of one server process.

    Args:
        settings: What the server is told.
        clock: Tells the time; the machine's by default.

    Returns:
        An application with lifespan: it loads and opens at startup, commits at shutdown.
    """
    return App(
        Service(settings, clock or SystemClock()),
        [*PAGES, *(route for part in PROTOCOLS for route in part.ROUTES)],
    )


class RouteTable:
    """Finds routes by path; a plain path by one look-up, one with parameters by its pattern."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._plain: dict[str, dict[str, Route]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        for route in routes:
            if "{" in route.path:
                pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(route.path)))
                self._patterns.setdefault(route.path, (pattern, {}))[1][route.method] = route
            else:
                self._plain.setdefault(route.path, {})[route.method] = route

    def find(self, request: Request) -> Route:
        """Gives the route that a request asks for, and puts its parameters into the request.

        Raises:
            Refusal: 404 for an unknown path, 405 for a method that the path has not.
        """
        by_method = self._plain.get(request.path) or self._match(request)
        method = "GET" if request.method == "HEAD" else request.method
        if method in by_method:
            return by_method[method]
        allowed = ", ".join(sorted(by_method))
        raise Refusal(405, "The path has no such method.", f"Expected {allowed}.", headers={"allow": allowed})

    def _match(self, request: Request) -> dict[str, Route]:
        for pattern, by_method in self._patterns.values():
            found = pattern.fullmatch(request.path)
            if found:
                request.parameters = found.groupdict()
                return by_method
        raise Refusal(404, "There is no such path.", "GET /openapi.json lists the paths.")


class App:
    """The ASGI application."""

    def __init__(self, service: Service, routes: Iterable[Route]) -> None:
        self.service = service
        self._routes = RouteTable(routes)
        self.start_fault: EverloopError | None = None
        self.grpc: GrpcServer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection's scope, as ASGI 3 asks."""
        if scope["type"] == "http":
            await self._http(Request(scope, receive), send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, request: Request, send: Send) -> None:
        service = self.service
        service.requests_now += 1
        name = "(none)"
        refused: Callable[[Refusal], Response] = Refusal.response
        try:
            route = self._routes.find(request)
            name, refused = route.path, route.refused
            response = await self._answer(route, request)
        except Refusal as refusal:
            response = refused(refusal)
        except ClientGone:
            return
        finally:
            service.requests_now -= 1
        method = request.method if request.method in _METHODS else "(other)"
        self._count(name, method, response, request)
        await response.send(send, with_body=request.method != "HEAD")

    def answer_at_once(self, scope: Scope, content: bytes, reply: Callable[[Response], None]) -> bool:
        """Answers a whole request without a task, where it is one plain row for `POST /predict`.

        Args:
            scope: The request's, as ASGI describes it.
            content: Its body.
            reply: Called once with the answer, now or a little later.

        Returns:
            Whether it is answered so; otherwise nothing was done.
        """
        service = self.service
        if scope["path"] != native.PATH or scope["method"] != "POST" or scope["query_string"]:
            return False
        if service.draining or service.settings.durability == "fsync" or service.settings.tokens:
            return False
        request = Request(scope, _nothing_more)
        if len(content) > service.settings.limits.body_bytes or not request.sends_json:
            return False
        if service.requests_now >= service.settings.limits.concurrent or service.shedding.crowded():
            refusal = service.shedding.unavailable("overload", "The server has too much to do.")
            self._count(native.PATH, "POST", refusal.response(), request)
            reply(refusal.response())
            return True
        row = service.read_row(content)
        if row is None:
            return False
        service.requests_now += 1

        def told(served: Served | Exception) -> None:
            service.requests_now -= 1
            if isinstance(served, Served):
                response = native.answer_of(served)
            else:
                response = (served if isinstance(served, Refusal) else _mistake(served)).response()
            self._count(native.PATH, "POST", response, request)
            reply(response)

        service.predict_at_once(row, request.started, told)
        return True

    def _count(self, route: str, method: str, response: Response, request: Request) -> None:
        self.service.metrics.add("everloop_requests_total", route, method, str(response.status))
        self.service.metrics.observe(route, time.perf_counter() - request.started)

    async def _answer(self, route: Route, request: Request) -> Response:
        service = self.service
        if route.counts and service.requests_now > service.settings.limits.concurrent:
            raise service.shedding.unavailable("overload", "The server has too much to do.")
        require_role(service.settings.tokens, route.role, request.header(b"authorization"))
        try:
            return await route.function(service, request)
        except (Refusal, ClientGone):
            raise
        except Exception as error:  # noqa: BLE001  (the last line: one request fails, the server goes on)
            raise _mistake(error) from None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.service.start()  # nobody asks yet; another thread would keep memory of its own
            if self.service.settings.grpc_port is not None:
                await self._start_grpc()
        except EverloopError as error:
            self.start_fault = error
            await send({"type": "lifespan.startup.failed", "message": error.message})
            return
        follower = asyncio.create_task(self.service.arms.follow(self.service.settings.poll_seconds))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.service.draining = True
        if self.grpc is not None:
            await self.grpc.stop(self.service.settings.drain_seconds)
        follower.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await follower
        try:
            await asyncio.to_thread(self.service.stop)
        except EverloopError as error:
            await send({"type": "lifespan.shutdown.failed", "message": f"error: {error.message}"})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def _start_grpc(self) -> None:
        from everloop.runtime.server.grpc import GrpcServer

        self.grpc = GrpcServer(self.service)
        await self.grpc.start()


def _mistake(error: Exception) -> Refusal:
    """Gives the refusal of a request that failed by our own fault, or by a fault that says what it is."""
    if isinstance(error, EverloopError):
        return Refusal(422, error.message, error.hint or "")
    traceback.print_exception(error, file=sys.stderr)
    return Refusal(500, "The server made a mistake.", "It is in the server's error output.")


async def _nothing_more() -> dict[str, Any]:
    return {"type": "http.disconnect"}
