"""Snapshots that a lifecycle has taken, by their names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from everloop.core.errors import NotFound, UsageFault
from everloop.data.snapshots import Snapshot
from everloop.record.rows import StepRow

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace

_NAME = re.compile(r"(run|step)_\w+|[0-9a-f]{6,64}")


def names_snapshot(text: str) -> bool:
    """Tells whether a text could name a snapshot: an id, or the beginning of a digest.

    Example:
        >>> names_snapshot("run_01JD2Q8M2V"), names_snapshot("3f9a2c"), names_snapshot("a.csv")
        (True, True, False)
    """
    return _NAME.fullmatch(text) is not None


def find_snapshot(workspace: Workspace, name: str) -> Snapshot:
    """Finds a snapshot by its run's id, its step's id or the first six or more letters of its digest.

    Raises:
        NotFound: When the record or the artifact store has none.
        UsageFault: When a beginning is that of several digests.
    """
    rows = workspace.record.find(
        StepRow, lifecycle=workspace.name, name="snapshot", status=("done", "cached"), order="-at"
    )
    digests = {row.id: str(row.facts["result"]["digest"]) for row in rows}
    found = [row for row in rows if name in (row.id, row.run) or digests[row.id].startswith(name)]
    if not found:
        known = ", ".join(dict.fromkeys(digest[:12] for digest in digests.values())) or "none yet"
        raise NotFound(f"{workspace.name} has no snapshot {name}; there are {known}.", hint="everloop status")
    different = {digests[row.id] for row in found}
    if len(different) > 1:
        raise UsageFault(
            f"{name} begins {len(different)} digests: {', '.join(sorted(one[:16] for one in different))}.",
            hint="give more letters of it",
        )
    return Snapshot.load(workspace.store.open(found[0].key))
