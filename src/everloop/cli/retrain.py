"""`everloop retrain`."""

from __future__ import annotations

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.progress import watching
from everloop.cli.reading import opened
from everloop.cli.run import answer_of


def command(context: typer.Context, file: LifecycleFile = DEFAULT_FILE) -> Answer:
    """Makes a run on the data as it is known now; a version that passes its gate becomes the challenger.

    The status is 1 where the gate refused the version.

    Example:
        everloop retrain
    """
    from everloop.loop.event_clock import on_its_clock
    from everloop.loop.run import run_once

    with watching(context) as progress, opened(file, progress) as workspace:
        own = on_its_clock(workspace)
        as_of = None if own is workspace else own.clock.now()
        return answer_of(run_once(own, as_of=as_of, reason="retrain, by hand"), file)
