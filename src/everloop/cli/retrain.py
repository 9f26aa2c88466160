"""`everloop retrain`."""

from __future__ import annotations

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.progress import watching
from everloop.cli.reading import opened, user_name
from everloop.cli.rollout import Reason, Who
from everloop.cli.run import answer_of


def command(
    context: typer.Context,
    who: Who = None,
    reason: Reason = "",
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Makes a run on the data as it is known now; a version that passes its gate becomes the challenger.

    The status is 1 where the gate refused the version. While another run is under way it is refused.

    Example:
        everloop retrain --reason "prices were changed"
    """
    from everloop.loop.deciding import retrain_by_hand
    from everloop.loop.event_clock import on_its_clock

    with watching(context) as progress, opened(file, progress) as workspace:
        own = on_its_clock(workspace)
        as_of = None if own is workspace else own.clock.now()
        return answer_of(retrain_by_hand(own, who or user_name(), reason, as_of), file)
