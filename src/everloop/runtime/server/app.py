"""The ASGI application: finds the route, guards it, answers; and what happens at start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from everloop.core.clock import Clock, SystemClock
from everloop.core.errors import EverloopError
from everloop.runtime.http import ClientGone, Receive, Refusal, Request, Response, Scope, Send
from everloop.runtime.protocols import PROTOCOLS, native
from everloop.runtime.protocols.route import UNDER, Route, ServerRoute
from everloop.runtime.server.access import admitted, require_role
from everloop.runtime.server.pages import ROUTES as PAGES
from everloop.runtime.server.route_table import RouteTable
from everloop.runtime.service.lifecycles import Lifecycles
from everloop.runtime.service.served import Served
from everloop.runtime.service.waiting import Waiting

if TYPE_CHECKING:
    from everloop.runtime.server.grpc import GrpcServer
    from everloop.runtime.service.metrics import Answers, Metrics
    from everloop.runtime.service.service import Service
    from everloop.runtime.service.settings import ServerSettings

_EXPLAIN = b"explain="
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class Plain(NamedTuple):
    """A request that may be answered without a task: of which lifecycle, and with how many reasons."""

    service: Service
    reasons: int


def create_app(settings: ServerSettings, clock: Clock | None = None) -> App:
    """Gives the ASGI application of one server process.

    Args:
        settings: What the server is told. The tokens that its `secrets` name are read here, for every way
            to start a server.
        clock: Tells the time; the machine's by default.

    Returns:
        An application with lifespan: it loads and opens at startup, commits at shutdown.

    Raises:
        OutsideFault: When a token cannot be read.
        UsageFault: When one is empty.
    """
    return App(
        Lifecycles.of(settings.with_secrets(), clock or SystemClock()),
        [*PAGES, *(route for part in PROTOCOLS for route in part.ROUTES)],
    )


class App:
    """The ASGI application.

    Attributes:
        lifecycles: What it answers for.
        waiting: Says which requests waited too long.
        start_fault: Why it did not start.
        grpc: The gRPC server beside it, if there is one.
    """

    def __init__(self, lifecycles: Lifecycles, routes: Iterable[Route | ServerRoute]) -> None:
        self.lifecycles = lifecycles
        self.waiting = Waiting()
        self._routes = RouteTable(routes)
        self._at_once: dict[str, Service] = {}
        self._plain: dict[Service, Answers] = {}
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

    def start(self) -> None:
        """Loads what is served and opens the logs.

        Raises:
            EverloopError: When a package is refused or a log cannot be opened.
        """
        self.lifecycles.start()
        under = UNDER.partition("{")[0]
        self._at_once = {f"{under}{name}{native.PATH}": one for name, one in self.lifecycles.named.items()}
        if self.lifecycles.sole is not None:
            self._at_once[native.PATH] = self.lifecycles.sole
        self._plain = {
            one: one.metrics.answers(native.PATH, "POST", HTTPStatus.OK) for one in self._at_once.values()
        }

    def stop(self) -> None:
        """Commits the logs, and lets go of everything."""
        self.lifecycles.stop()

    async def _http(self, request: Request, send: Send) -> None:
        route: Route | ServerRoute | None = None
        numbers = self.lifecycles.metrics
        refused = self._routes.refused(request.path)
        try:
            route = self._routes.find(request)
            refused = route.refused
            if isinstance(route, ServerRoute):
                response = await self._of_server(route, request)
            else:
                service = self._meant(route, request)
                numbers = service.metrics
                response = await self._of_lifecycle(service, route, request)
        except Refusal as refusal:
            response = refused(refusal)
        except ClientGone:
            return
        method = request.method if request.method in _METHODS else "(other)"
        _count(numbers, "(none)" if route is None else route.path, method, response, request.started)
        await response.send(send, with_body=request.method != "HEAD")

    def refused_unread(self, refusal: Refusal) -> Response:
        """Gives the answer to what came before there was a request to read, and counts it."""
        response = refusal.response()
        _count(self.lifecycles.metrics, "(none)", "(other)", response, time.perf_counter())
        return response

    def plain(self, scope: Scope) -> Plain | None:
        """Gives what a request for `POST /predict` asks for, if it may be answered without a task.

        As long as the process lives, it is the same for the same head.
        """
        service, query = self._at_once.get(scope["path"]), scope["query_string"]
        if service is None or scope["method"] != "POST":
            return None
        if service.settings.durability == "fsync" or service.settings.tokens:
            return None
        reasons = native.reasons_asked(query.partition(b"=")[2].decode("latin-1")) if query else 0
        if reasons is None or (query and not query.startswith(_EXPLAIN)):
            return None
        return Plain(service, reasons) if Request(scope, _nothing_more).sends_json else None

    def answer_at_once(
        self, asked: Plain, content: bytes | bytearray, reply: Callable[[Response], None]
    ) -> bool:
        """Answers a whole request without a task, where it is one plain row.

        Args:
            asked: What `plain` gave for its head.
            content: Its body.
            reply: Called once with the answer, now or a little later.

        Returns:
            Whether it is answered so; otherwise nothing was done.
        """
        started = time.perf_counter()
        service, reasons = asked
        limits = service.settings.limits
        if service.draining or len(content) > limits.body_bytes:
            return False
        if reasons and not service.routing.explains_at_once:
            return False
        most = limits.concurrent
        if service.requests_now >= most or not self.waiting.admits_at_once(most):
            refused = service.shedding.overloaded().response()
            _count(service.metrics, native.PATH, "POST", refused, started)
            reply(refused)
            return True
        read = service.read_row(content)
        if read is None:
            self.waiting.hand_over()
            return False
        service.requests_now += 1
        plain = self._plain[service]

        def told(served: Served | Exception) -> None:
            service.requests_now -= 1
            if isinstance(served, Served):
                response = native.answer_of(served)
                plain.took(time.perf_counter() - started)
            else:
                response = (served if isinstance(served, Refusal) else _mistake(served)).response()
                _count(service.metrics, native.PATH, "POST", response, started)
            reply(response)

        service.predict_at_once(read, started, told, explain=reasons)
        return True

    def _meant(self, route: Route, request: Request) -> Service:
        """Gives the lifecycle that a request is for."""
        lifecycles, name = self.lifecycles, request.parameters.get("name")
        if name is None and lifecycles.sole is not None:
            return lifecycles.sole
        if name in lifecycles.named:
            return lifecycles.named[name]
        # Which lifecycles there are is told to those who may ask one.
        known = lifecycles.only(admitted(lifecycles.services, route.role, request.header(b"authorization")))
        if name is not None:
            return known.find(name)
        raise known.unnamed(request.path)

    async def _of_lifecycle(self, service: Service, route: Route, request: Request) -> Response:
        service.requests_now += 1
        try:
            if route.counts and not self._bears(service):
                raise service.shedding.overloaded()
            require_role(service.settings.tokens, route.role, request.header(b"authorization"))
            return await route.function(service, request)
        except (Refusal, ClientGone):
            raise
        except Exception as error:  # noqa: BLE001  (the last line: one request fails, the server goes on)
            raise _mistake(error) from None
        finally:
            service.requests_now -= 1

    def _bears(self, service: Service) -> bool:
        """Says whether a request that a task answers is let in."""
        return service.requests_now <= service.settings.limits.concurrent and self.waiting.admits()

    async def _of_server(self, route: ServerRoute, request: Request) -> Response:
        who = request.header(b"authorization")
        known = self.lifecycles.only(admitted(self.lifecycles.services, route.role, who))
        try:
            return await route.function(known, request)
        except (Refusal, ClientGone):
            raise
        except Exception as error:  # noqa: BLE001
            raise _mistake(error) from None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        first = self.lifecycles.services[0].settings
        try:
            self.start()  # nobody asks yet; another thread would keep memory of its own
            if first.grpc_port is not None:
                await self._start_grpc(first)
        except EverloopError as error:
            self.start_fault = error
            await send({"type": "lifespan.startup.failed", "message": error.message})
            return
        followers = [
            asyncio.create_task(one.arms.follow(one.settings.poll_seconds))
            for one in self.lifecycles.services
        ]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.lifecycles.drain()
        if self.grpc is not None:
            await self.grpc.stop(first.drain_seconds)
        for follower in followers:
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower
        try:
            await asyncio.to_thread(self.stop)
        except EverloopError as error:
            await send({"type": "lifespan.shutdown.failed", "message": f"error: {error.message}"})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def _start_grpc(self, settings: ServerSettings) -> None:
        from everloop.runtime.server.grpc import GrpcServer

        self.grpc = GrpcServer(self.lifecycles, settings, self.waiting)
        await self.grpc.start()


def _count(numbers: Metrics, route: str, method: str, response: Response, started: float) -> None:
    numbers.answered(route, method, response.status, time.perf_counter() - started)


def _mistake(error: Exception) -> Refusal:
    """Gives the refusal of a request that failed by our own fault, or by a fault that says what it is."""
    if isinstance(error, EverloopError):
        return Refusal(422, error.message, error.hint or "")
    traceback.print_exception(error, file=sys.stderr)
    return Refusal(500, "The server made a mistake.", "It is in the server's error output.")


async def _nothing_more() -> dict[str, Any]:
    return {"type": "http.disconnect"}
