"""`everloop run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer, pairs
from everloop.cli.progress import watching
from everloop.cli.reading import opened, optional_time
from everloop.cli.support import refuse_unsupported

if TYPE_CHECKING:
    from datetime import datetime

    from everloop.core.progress import Progress
    from everloop.loop.pass_ import RunResult


def command(
    context: typer.Context,
    file: LifecycleFile = DEFAULT_FILE,
    until: Annotated[
        str | None, typer.Option(metavar="PHASE", help="Stop after goal, problem, data, model or deploy.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="PHASE", help="Do this phase and the later ones again."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="Take the data as it was known then (ISO 8601).")
    ] = None,
) -> Answer:
    """Passes once through the phases: goal, problem, data, model, gate, release.

    What is unchanged is not done again; a run that was stopped continues. The status is 1 where the
    gate refused the version.

    Example:
        everloop run --until data
        everloop run --as-of 2013-05-01
    """
    moment = optional_time(as_of)
    with watching(context) as progress:
        result = pass_once(file, progress, until=until, since=since, as_of=moment, reason="run, by hand")
    return answer_of(result, file)


def pass_once(
    file: Path,
    progress: Progress,
    *,
    until: str | None = None,
    since: str | None = None,
    as_of: datetime | None = None,
    reason: str,
) -> RunResult:
    """Makes one pass over the lifecycle in a file."""
    from everloop.loop.run import run_once

    with opened(file, progress) as workspace:
        refuse_unsupported(workspace.spec)
        return run_once(workspace, as_of=as_of, until=until, since=since, reason=reason)


def answer_of(result: RunResult, file: Path) -> Answer:
    """Tells what a pass came to, and the next command."""
    refused = result.gate is not None and result.gate.answer != "passed"
    executed = f"{len(result.executed)} of {len(result.steps)} steps executed"
    facts = [
        ("run", f"{result.run.id}, {executed}"),
        ("version", f"v{result.version.number} {result.version.status}" if result.version else None),
        ("gate", f"{result.gate.answer}: {result.gate.reason}" if result.gate else None),
        ("release", f"{result.release.answer}: {result.release.reason}" if result.release else None),
        ("next", next_command(result, file)),
    ]
    return Answer(result.to_dict(), f"\n{pairs(facts)}", status=1 if refused else 0)


def next_command(result: RunResult, file: Path) -> str:
    """Gives the command that makes sense after a pass."""
    named = "" if file == DEFAULT_FILE else f" --file {file}"
    if result.gate is None:
        return f"everloop run{named}"
    if result.gate.answer != "passed":
        return f"everloop why {result.gate.id}{named}"
    if result.version is not None and result.version.status == "challenger":
        return f"everloop rollout status{named}"
    return f"everloop status{named}"
