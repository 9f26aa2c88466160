"""The model server inside an application of its user's: as ASGI (FastAPI, Starlette) or as WSGI (Flask).

Example:
    >>> from everloop.runtime.server import ServerSettings, mounted_asgi, mounted_wsgi
    >>> settings = ServerSettings(package="package/", log="log/")
    >>> asgi = mounted_asgi(settings)  # fastapi_app.mount("/model", asgi)
    >>> wsgi = mounted_wsgi(settings)  # DispatcherMiddleware(flask_app, {"/model": wsgi})
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from everloop.core.errors import OutsideFault
from everloop.runtime.http import Message, Receive, Scope, Send, phrase
from everloop.runtime.server.app import App, create_app
from everloop.runtime.service.settings import ServerSettings

if TYPE_CHECKING:
    from everloop.core.clock import Clock


def mounted_asgi(settings: ServerSettings, clock: Clock | None = None) -> MountedAsgi:
    """Gives the server as an ASGI application that starts by itself.

    Whoever mounts an application does not run its lifespan: this one loads what it serves at its first
    request, and commits its log at `close`, or else when the process ends.

    Args:
        settings: What the server is told; host, port and certificates are the outer application's.
        clock: Tells the time; the machine's by default.

    Raises:
        OutsideFault: When a token that `secrets` names cannot be read.
        UsageFault: When one is empty.
    """
    return MountedAsgi(create_app(settings, clock))


def mounted_wsgi(settings: ServerSettings, clock: Clock | None = None) -> MountedWsgi:
    """Gives the server as a WSGI application, with an event loop of its own behind it; see `mounted_asgi`."""
    return MountedWsgi(mounted_asgi(settings, clock))


class MountedAsgi:
    """The server as an application within another. Used from one event loop."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._life: asyncio.Task[None] | None = None
        self._started: asyncio.Future[None] | None = None
        self._end: asyncio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request; its path is taken from where the application is mounted."""
        if scope["type"] == "http":
            await self._start()
            root = scope.get("root_path") or ""
            path = scope["path"].removeprefix(root) or "/"
            scope = {**scope, "path": path, "query_string": scope.get("query_string", b"")}
        await self._app(scope, receive, send)

    async def close(self) -> None:
        """Commits the log and lets go of everything."""
        if self._life is not None and self._end is not None:
            self._end.set()
            await self._life
            atexit.unregister(self._app.stop)

    async def _start(self) -> None:
        if self._started is None:
            self._started = asyncio.get_running_loop().create_future()
            self._end = asyncio.Event()
            self._life = asyncio.create_task(self._live(self._started, self._end))
            atexit.register(self._app.stop)
        await asyncio.shield(self._started)

    async def _live(self, started: asyncio.Future[None], end: asyncio.Event) -> None:
        """Runs the server's own lifespan."""
        begun = False

        async def receive() -> Message:
            nonlocal begun
            if begun:
                await end.wait()
                return {"type": "lifespan.shutdown"}
            begun = True
            return {"type": "lifespan.startup"}

        async def send(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                started.set_result(None)
            elif message["type"].endswith(".failed"):
                fault = self._app.start_fault or OutsideFault(str(message.get("message", "")))
                if not started.done():
                    started.set_exception(fault)

        await self._app({"type": "lifespan"}, receive, send)


StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class MountedWsgi:
    """The server as a WSGI application. Safe to call from several threads."""

    def __init__(self, asgi: MountedAsgi) -> None:
        self._asgi = asgi
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serves a request, as PEP 3333 asks."""
        answer = asyncio.run_coroutine_threadsafe(self._answer(environ), self._running()).result()
        start, body = answer[0], b"".join(part.get("body", b"") for part in answer[1:])
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        start_response(f"{start['status']} {phrase(start['status'])}", fields)
        return [body]

    def close(self) -> None:
        """Commits the log and ends the event loop."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._asgi.close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="everloop-wsgi", daemon=True).start()
            return self._loop

    async def _answer(self, environ: Mapping[str, Any]) -> list[Message]:
        length = environ.get("CONTENT_LENGTH") or "0"
        body = environ["wsgi.input"].read(int(length)) if length.isdigit() else b""
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._asgi(_scope_of(environ), receive, send)
        return sent


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _scope_of(environ: Mapping[str, Any]) -> Scope:
    """Gives a WSGI request as ASGI describes one; its path is already without what it is mounted at."""
    fields = [
        (name[5:].replace("_", "-").lower().encode("latin-1"), str(value).encode("latin-1"))
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]
    for name, field in (("CONTENT_TYPE", b"content-type"), ("CONTENT_LENGTH", b"content-length")):
        if environ.get(name):
            fields.append((field, environ[name].encode("latin-1")))
    return {
        "type": "http",
        "method": environ["REQUEST_METHOD"],
        "path": environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace") or "/",
        "root_path": "",
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": fields,
    }
