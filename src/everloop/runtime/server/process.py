"""One server process: listens, says that it is ready, drains when it is told to stop."""

from __future__ import annotations

import gc
import os
import signal
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from everloop.core.errors import OutsideFault, UsageFault
from everloop.core.files import write_file
from everloop.runtime.server.app import create_app
from everloop.runtime.service.settings import ServerSettings

if TYPE_CHECKING:
    from everloop.core.clock import Clock


class _StartFailed(OutsideFault):
    """The server did not come up; the reason is on its error output."""

    code = "server-start"


def serve(settings: ServerSettings, clock: Clock | None = None) -> None:
    """Serves until SIGTERM or SIGINT; requests under way are answered and the log is committed.

    Once ready it prints `ready URL` and writes the ready file if one is named.

    Args:
        settings: What the server is told.
        clock: Tells the time; the machine's by default.

    Raises:
        UsageFault: When the address cannot be listened on.
        OutsideFault: When a token cannot be read.
        EverloopError: When a package is refused or the log cannot be opened.
    """
    import uvicorn

    from everloop.runtime.server.at_once import protocol_of

    app = create_app(settings, clock)
    listener = _listen(settings)
    url = _url(listener, "http" if settings.tls is None else "https")
    config = uvicorn.Config(
        app,
        http=protocol_of(app),
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        ws="none",
        lifespan="on",
        log_level="critical",  # what goes wrong at the start is told once, by us
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks for a client's address
        interface="asgi3",
        backlog=2048,
        timeout_graceful_shutdown=int(settings.drain_seconds) or 1,
        **_transport(settings),
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                _spare_collections()
                _announce(url, None if app.grpc is None else app.grpc.port, settings)

    server = Server(config)
    _end_well_on_signals()
    try:
        server.run(sockets=[listener])
    except SystemExit:  # uvicorn's answer to a start that failed
        server.started = False
    finally:
        listener.close()
        if settings.ready_file is not None:
            Path(settings.ready_file).unlink(missing_ok=True)
    if not server.started:
        raise app.start_fault or _StartFailed("The server did not start.")


def _spare_collections() -> None:
    """Keeps the garbage collector from what was loaded, which stays: its pauses would be clients' waits."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _end_well_on_signals() -> None:
    """Uvicorn raises the signal that stopped it once more at the end; by then all is done."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)


def _listen(settings: ServerSettings) -> socket.socket:
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageFault(
            f"The server cannot listen on {host}:{port}: {reason}.",
            hint="everloop serve --port 0 takes a free one; deploy.serve.port names another for good",
        ) from None
    listener.set_inheritable(True)
    return listener


def _transport(settings: ServerSettings) -> dict[str, Any]:
    """Gives uvicorn's words for transport security, once the files are known to fit each other."""
    tls = settings.tls
    if tls is None:
        return {}
    tls.contents()
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key, password="")
        if tls.clients is not None:
            context.load_verify_locations(tls.clients)
    except ssl.SSLError as error:
        raise UsageFault(
            f"The files of deploy.serve.tls do not fit: {error.reason or error}.",
            hint="expected PEM: a certificate, its own private key without a password, and authorities",
        ) from None
    words: dict[str, Any] = {"ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
    if tls.clients is not None:
        words |= {"ssl_ca_certs": tls.clients, "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return words


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _announce(url: str, grpc_port: int | None, settings: ServerSettings) -> None:
    if settings.ready_file is not None:
        about = {"url": url, "pid": os.getpid(), "worker": settings.worker, "grpc_port": grpc_port}
        write_file(Path(settings.ready_file), msgspec.json.encode(about))
    print(f"ready {url}", flush=True)  # noqa: T201  (the line that whoever started the server waits for)
