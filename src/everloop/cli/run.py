"""`everloop run`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer, pairs
from everloop.cli.progress import watching
from everloop.cli.reading import opened, optional_time

if TYPE_CHECKING:
    from everloop.loop.pass_ import RunResult


class Rehearsal(StrEnum):
    """Whose time a run is made at."""

    SYSTEM = "system"
    AS_OF = "as-of"


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
    clock: Annotated[
        Rehearsal, typer.Option(help="`as-of` makes the run at that time too: for a rehearsal on history.")
    ] = Rehearsal.SYSTEM,
) -> Answer:
    """Passes once through the phases: goal, problem, data, model, gate, release.

    What is unchanged is not done again; a run that was stopped continues. The status is 1 where the
    gate refused the version.

    Example:
        everloop run --until data
        everloop run --as-of 2013-05-01
        everloop run --as-of 2013-05-01 --clock as-of
    """
    from everloop.core.clock import SimulatedClock
    from everloop.core.errors import UsageFault
    from everloop.loop.run import run_once

    moment = optional_time(as_of)
    if clock is Rehearsal.AS_OF and moment is None:
        raise UsageFault("--clock as-of needs a time.", hint="everloop run --as-of 2013-05-01 --clock as-of")
    own = SimulatedClock(moment) if clock is Rehearsal.AS_OF and moment is not None else None
    with watching(context) as progress, opened(file, progress, clock=own) as workspace:
        result = run_once(workspace, as_of=moment, until=until, since=since, reason="run, by hand")
    return answer_of(result, file)


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
