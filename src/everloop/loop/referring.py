"""Rows that a version had not seen, read back from the dataset that its run made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.core.tasks import decides_by
from everloop.monitor.variation import ReferenceRows
from everloop.record.rows import RunRow
from everloop.runtime.decision import watched_score
from everloop.table.dataset import Dataset, Part
from everloop.table.labels import actuals_of

if TYPE_CHECKING:
    import polars as pl

    from everloop.loop.served import ServedVersion
    from everloop.loop.workspace import Workspace

_LEAST_SEEN: tuple[Part, ...] = ("test", "validation")
_MOST_ROWS = 5000


def reference_table(workspace: Workspace, version: ServedVersion) -> pl.DataFrame | None:
    """Gives rows that a version did not learn from and can score; None where they are not kept any more.

    Those are the test part: the version learned from the validation part too, in the end.
    """
    run = workspace.record.get(RunRow, version.row.run) if version.row.run else None
    key = run.facts.get("steps", {}).get("dataset") if run else None
    if key is None or not workspace.store.has(key):
        return None
    dataset = Dataset.load(workspace.store.open(key))
    return dataset.table(next((part for part in _LEAST_SEEN if dataset.counts.get(part)), "train"))


def reference_rows(workspace: Workspace, version: ServedVersion) -> ReferenceRows | None:
    """Gives at most 5,000 of them as windows are judged beside them: watched columns, scores, actuals.

    Returns:
        None where they are not kept any more, or a row is no case of its own.
    """
    frame = version.frame
    if decides_by(frame.task, "items"):
        return None
    rows = reference_table(workspace, version)
    if rows is None or not rows.height:
        return None
    seed = workspace.spec.model.seed
    rows = rows.sample(_MOST_ROWS, seed=seed) if rows.height > _MOST_ROWS else rows
    scores = watched_score(version.package.scores(rows), frame.task)
    return ReferenceRows(
        rows.select(name for name in version.reference.columns if name in rows.columns),
        np.asarray(scores, dtype=np.float64),
        actuals_of(rows[frame.target], frame) if frame.is_labelled else None,
    )
