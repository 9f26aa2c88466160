"""A window of the record with its counts, for those who tell others of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.errors import DataFault, NotFound
from everloop.deploy.versions import require_version
from everloop.loop.answered import unshadowed
from everloop.loop.served import ServedRows, ServedVersion
from everloop.monitor.drifting import judge_state
from everloop.monitor.formats import JudgedWindow
from everloop.monitor.state import WindowState, count_window
from everloop.record.rows import WindowRow
from everloop.runtime.log import LogReader

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace


def judged_window(workspace: Workspace, identity: str | None = None) -> JudgedWindow:
    """Counts a window that was judged, with the actuals that are known by now.

    Args:
        workspace: The lifecycle.
        identity: The window; the last one when left out.

    Returns:
        Its counts, its reference and what was found.

    Raises:
        NotFound: When there is no such window.
        DataFault: When its rows are in the prediction log no more.
    """
    row = _row(workspace, identity)
    if row.since is None or row.until is None:
        raise NotFound(f"{row.id} is no span of the prediction log.", hint="everloop status")
    version = workspace.served(require_version(workspace.record, workspace.name, row.facts["number"]))
    state = count_span(workspace.log_folder, row.since, row.until, version)
    if state is None:
        raise DataFault(
            f"The prediction log holds no row of {row.id} any more; deploy.log.keep says how long it does.",
            hint="everloop export --window ANOTHER",
        )
    return JudgedWindow(
        id=row.id,
        lifecycle=workspace.name,
        version=version.row.number,
        since=row.since,
        until=row.until,
        state=state,
        reference=version.reference,
        drift=judge_state(state, version.reference, seed=workspace.spec.model.seed),
        types=version.types,
    )


def count_span(folder: Path, since: datetime, until: datetime, version: ServedVersion) -> WindowState | None:
    """Counts the answers of a span of the prediction log, a segment at a time.

    The counts are those of the whole span; what they take does not grow with its traffic.

    Args:
        folder: The log.
        since: The first moment.
        until: The moment after the last.
        version: In whose reference's bins.

    Returns:
        The counts; None where the span has no answers.
    """
    state: WindowState | None = None
    with LogReader(folder).span(since, until) as span:
        for lines in unshadowed(span.lines()):
            served = ServedRows.of(lines, version)
            part = count_window(
                served.inputs, version.reference, scores=served.scores, actuals=served.actuals
            )
            state = part if state is None else state.merge(part)
    return state


def _row(workspace: Workspace, identity: str | None) -> WindowRow:
    if identity is not None:
        return workspace.record.get(WindowRow, identity)
    last = workspace.record.find(WindowRow, lifecycle=workspace.name, order="-until", limit=1)
    if not last:
        raise NotFound(
            f"No window of {workspace.name} was judged yet.", hint="everloop monitor, once a window is over"
        )
    return last[0]
