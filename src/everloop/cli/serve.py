"""`everloop serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFiles, Trusted
from everloop.cli.output import Answer
from everloop.cli.progress import watching

if TYPE_CHECKING:
    from everloop.core.progress import Progress
    from everloop.loop.supervise import Listening
    from everloop.runtime.service.settings import ServerSettings

Host = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where to listen; else as the file says.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")]
Workers = Annotated[int | None, typer.Option(min=1, max=256, help="How many processes.")]
Durability = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Answer when the log's line is in the 'buffer', or on disk: 'fsync'."),
]
GrpcPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Where gRPC is answered too; 0 takes a free port.")
]
Clock = Annotated[
    str,
    typer.Option(metavar="CLOCK", help="'system', or 'events' for a rehearsal on the rows' time."),
]


def command(  # noqa: PLR0913, PLR0917  (one argument for each option)
    context: typer.Context,
    package: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="Serve this package alone, without a record; may be given again for another."
        ),
    ] = None,
    trusted: Trusted = None,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    clock: Clock = "system",
    durability: Durability = None,
    grpc_port: GrpcPort = None,
    file: LifecycleFiles = None,
) -> Answer:
    """Serves the released versions until it is told to stop; `everloop up` also watches and retrains.

    With --package one package is served without a lifecycle; its answers are logged in
    .everloop/log-PACKAGE in the working folder. Several lifecycles or packages are served by one server, each
    under its name: POST /models/NAME/predict. It listens as the first file says.

    Example:
        everloop serve
        everloop serve --package package/ --port 8701
        everloop serve --file loans/ --file churn/
    """
    import msgspec

    from everloop.cli.sign import read_trusted
    from everloop.loop.supervise import Listening

    listening = Listening(host, port, workers, durability, grpc_port)
    keys = read_trusted(trusted, package[0] if package else None)
    with watching(context) as progress:
        if package:
            served = [_of_package(one, listening, clock, keys) for one in package]
        else:
            served = [_of_lifecycle(one, listening, clock) for one in file or [DEFAULT_FILE]]
        first, count, folder = served[0]
        settings = msgspec.structs.replace(first, beside=tuple(one for one, _, _ in served[1:]))
        if count > 1:
            _serve_several(settings, count, folder, progress)
            return Answer({"stopped": True}, "stopped")
    return _become_server(settings, folder)


def _of_lifecycle(file: Path, listening: Listening, clock: str) -> tuple[ServerSettings, int, Path]:
    """Brings the routing file up to date and gives what the server is told."""
    from everloop.cli.reading import opened
    from everloop.loop.event_clock import claim_clock
    from everloop.loop.supervise import project_routing, server_settings

    with opened(file) as workspace:
        settings, workers = server_settings(workspace, listening, clock)
        project_routing(workspace)
        claim_clock(workspace, clock)
        return settings, workers, workspace.state_folder


def _of_package(
    package: Path, listening: Listening, clock: str, trusted: tuple[str, ...]
) -> tuple[ServerSettings, int, Path]:
    from everloop.core.files import storage_faults
    from everloop.runtime.manifest import read_manifest
    from everloop.runtime.service.settings import ServerSettings

    manifest = read_manifest(package)
    folder = Path.cwd() / ".everloop"
    with storage_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
    settings = ServerSettings(
        package=str(package.resolve()),
        log=str(folder / f"log-{manifest.lifecycle}-v{manifest.version}"),
        host=listening.host or "127.0.0.1",
        port=8700 if listening.port is None else listening.port,
        durability=listening.durability or "buffer",
        clock=clock,
        grpc_port=listening.grpc_port,
        trusted=trusted,
    )
    return settings, listening.workers or 1, folder


def _become_server(settings: ServerSettings, folder: Path) -> Answer:
    """Turns this process into the server, which carries no library that trains or opens a record."""
    import msgspec

    from everloop.loop.serving import command_of, environment, ready_path

    path = folder / "server-0.json"
    msgspec.structs.replace(settings, ready_file=str(ready_path(folder))).save(path)
    words = command_of(path)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(words[0], words, environment())  # noqa: S606  (our own interpreter and module)


def _serve_several(settings: ServerSettings, workers: int, folder: Path, progress: Progress) -> None:
    from everloop.core.progress import Event
    from everloop.loop.serving import Servers, clear_leftovers
    from everloop.loop.supervise import until_stopped

    clear_leftovers(folder, [Path(one.log) for one in settings.each()], progress)
    servers = Servers(settings, workers, folder, progress)
    with until_stopped(servers.stop):
        url = servers.start()
        progress(Event("deploy", f"serving at {url} with {workers} workers", kind="result"))
        servers.wait()
