"""`everloop replay`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.progress import watching
from everloop.cli.reading import opened

if TYPE_CHECKING:
    from everloop.loop.replay import ReplayResult
    from everloop.loop.workspace import Workspace

SHOWN = 5


def command(  # noqa: PLR0913, PLR0917  (one argument for each option)
    context: typer.Context,
    since: Annotated[str, typer.Option(metavar="TIME", help="The first moment (ISO 8601).")],
    until: Annotated[str, typer.Option(metavar="TIME", help="The end, not in it.")],
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="The server; by default the lifecycle's own.")
    ] = None,
    sample: Annotated[str, typer.Option(metavar="PERCENT", help="The share of the rows to send.")] = "100%",
    seed: Annotated[int, typer.Option(help="Which rows the sample takes.")] = 0,
    pause: Annotated[
        str, typer.Option(metavar="DURATION", help="After so much of the rows' time the loop is waited for.")
    ] = "1d",
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Rows in a request.")] = 50,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew where an earlier replay was stopped.")
    ] = False,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Sends the lifecycle's own rows of the past to its server, in order, and their actuals when they came.

    A rehearsal over real HTTP: start `everloop up --clock events` first. Rows keep their ids, so a replay
    that is repeated doubles nothing; one that was stopped continues.

    Example:
        everloop replay --since 2013-05-01 --until 2013-10-15 --sample 20%
    """
    from everloop.core.clock import parse_time
    from everloop.core.units import parse_duration, parse_percent
    from everloop.loop.replay import ReplayPlan, replay

    plan = ReplayPlan(
        since=parse_time(since),
        until=parse_time(until),
        sample=parse_percent(sample),
        seed=seed,
        pause=parse_duration(pause),
        batch=batch,
    )
    with watching(context) as progress, opened(file, progress) as workspace:
        result = replay(workspace, server or _server_of(workspace), plan, restart=restart)
    return Answer(result.to_dict(), _told(result))


def _server_of(workspace: Workspace) -> str:
    """Gives the URL at which a running server of the lifecycle says it listens, else as the file says."""
    from everloop.loop.serving import read_ready, ready_path

    about = read_ready(ready_path(workspace.state_folder))
    serve = workspace.spec.deploy.serve
    return str(about["url"]) if about is not None else f"http://{serve.host}:{serve.port}"


def _told(result: ReplayResult) -> str:
    lines = [f"sent: {result.total.line(result.currency)}"]
    if not result.waited:
        lines.append("no loop was running, so nothing was judged: everloop up --clock events")
    most = sorted(result.refusals.items(), key=lambda item: -item[1])[:SHOWN]
    lines += [f"refused {count:,} times: {reason}" for reason, count in most]
    return "\n".join(lines)
