"""The rows of one window of the prediction log: all where they can be held, else a sample and counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.deploy.versions import require_version
from everloop.loop.answered import drawn, drawn_until
from everloop.loop.served import ServedRows
from everloop.monitor.tally import WindowTally, tally_window
from everloop.monitor.window import Window, ages_of

if TYPE_CHECKING:
    from everloop.loop.answered import Answered
    from everloop.loop.served import ServedVersion
    from everloop.loop.workspace import Workspace


@dataclass(frozen=True)
class WindowRows:
    """What was read of a window.

    Attributes:
        served: Its rows by time, or a sample of them.
        window: The same as arrays.
        whole: What was counted of all rows where `served` is a sample; else None.
    """

    served: ServedRows
    window: Window
    whole: WindowTally | None = None


def read_window(workspace: Workspace, log: Answered, since: datetime, until: datetime) -> WindowRows | None:
    """Reads a window.

    Args:
        workspace: The lifecycle.
        log: The answers.
        since: The first moment.
        until: The moment after the last.

    Returns:
        The rows, as the version that answered most of them has them; None where there are none.
    """
    version = _version_of_most(workspace, log, since, until)
    if version is None:
        return None
    limit = drawn_until(log.facts(since, until), log.most)
    kept, whole = [], None
    for lines in log.lines(since, until):
        part = ServedRows.of(lines, version)
        if limit is None:
            kept.append(part)
            continue
        window = _window(workspace, part, log, since, until)
        tally = tally_window(window, version.reference, log.delay)
        whole = tally if whole is None else whole.merge(tally)
        if (some := drawn(lines, limit)).any():
            kept.append(part.only(some))
    served = ServedRows.together(kept)
    return WindowRows(served, _window(workspace, served, log, since, until), whole)


def _version_of_most(
    workspace: Workspace, log: Answered, since: datetime, until: datetime
) -> ServedVersion | None:
    counts: Counter[int] = Counter()
    for part in log.facts(since, until):
        counts.update(dict(part["version"].value_counts().iter_rows()))
    if not counts:
        return None
    number = max(counts, key=lambda one: (counts[one], one))
    return workspace.served(require_version(workspace.record, workspace.name, number))


def _window(
    workspace: Workspace, served: ServedRows, log: Answered, since: datetime, until: datetime
) -> Window:
    return Window(
        since=since,
        until=until,
        inputs=served.inputs,
        scores=served.scores,
        decisions=served.decisions,
        actuals=served.actuals,
        ages=ages_of(served.lines["time"], now=log.now),
        worth=served.worth(workspace),
        today=served.today(workspace),
        version=served.by.row.id,
        contract=served.by.package.contract,
    )
