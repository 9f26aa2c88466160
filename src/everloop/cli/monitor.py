"""`everloop monitor`."""

from __future__ import annotations

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.progress import watching
from everloop.cli.reading import opened
from everloop.core.values import to_jsonable

_NOTHING_DUE = "No window is due: monitor.window says how long one is; everloop status shows the last ones."


def command(context: typer.Context, file: LifecycleFile = DEFAULT_FILE) -> Answer:
    """Judges the windows that are due now, sends their alerts and writes decisions down.

    Nothing is retrained and no rollout is moved: `everloop retrain` and `everloop rollout` do that.

    Example:
        everloop monitor
    """
    from everloop.loop.event_clock import on_its_clock
    from everloop.loop.loop import Loop

    with watching(context) as progress, opened(file, progress) as workspace:
        tick = Loop(on_its_clock(workspace)).tick(act=False)
    lines = [f"{one.kind:<8} {one.text}  ({one.id})" for one in tick.happenings]
    return Answer(to_jsonable(tick), "\n".join(lines) or _NOTHING_DUE)
