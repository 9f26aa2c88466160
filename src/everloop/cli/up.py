"""`everloop up`."""

from __future__ import annotations

from typing import Annotated

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.progress import watching
from everloop.cli.reading import opened
from everloop.cli.serve import Clock, Durability, Host, Port, Workers


def command(  # noqa: PLR0913, PLR0917  (one argument for each option)
    context: typer.Context,
    clock: Clock = "system",
    tick: Annotated[str, typer.Option(metavar="DURATION", help="The pause between two looks.")] = "1s",
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    durability: Durability = None,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Serves, watches, rolls out and retrains until it is told to stop.

    One process for each lifecycle; the server is a process of its own that is started again when it
    dies. Whatever is killed, the next `up` goes on where it was.

    Example:
        everloop up
        everloop up --clock events --port 0
    """
    from everloop.core.units import parse_duration
    from everloop.loop.supervise import Listening, supervise

    seconds = parse_duration(tick).total_seconds()
    listening = Listening(host, port, workers, durability)
    with watching(context) as progress, opened(file, progress) as workspace:
        supervise(workspace, clock=clock, tick_seconds=seconds, listening=listening)
    return Answer({"stopped": True})
