"""`everloop console`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.reading import opened

HOST, PORT = "127.0.0.1", 8710


def command(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port, on this machine alone.")] = PORT,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Serves the web pages of a lifecycle to this machine until stopped; they only read.

    Example:
        everloop console
        everloop console --port 8711
    """
    import socket

    import uvicorn

    from everloop.console.app import create_app
    from everloop.core.errors import UsageFault

    with opened(file) as workspace, socket.socket() as held:
        app = create_app(workspace)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((HOST, port))
        except OSError as error:
            raise UsageFault(
                f"Port {port} cannot be used: {error.strerror}.", hint=f"everloop console --port {port + 1}"
            ) from None
        address = f"http://{HOST}:{port}/"
        sys.stderr.write(f"console of {workspace.name}: {address} (Ctrl-C stops it)\n")
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        server.run(sockets=[held])
    return Answer({"address": address})
