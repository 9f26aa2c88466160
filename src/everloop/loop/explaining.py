"""Why a window's decisions are expected to earn more or less than the reference's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from everloop.core.errors import DataFault
from everloop.core.tasks import decides_by
from everloop.loop.referring import reference_table
from everloop.monitor.causes import ChangeCauses, explain_change
from everloop.table.worth import worth_of

if TYPE_CHECKING:
    import polars as pl

    from everloop.loop.served import ServedRows, ServedVersion
    from everloop.loop.workspace import Workspace

_MOST_ROWS = 2000
_PAIRS = 300


def causes_of(workspace: Workspace, served: ServedRows) -> ChangeCauses | None:
    """Says which inputs' moves changed what decisions are expected to be worth, or the mean score.

    Args:
        workspace: The lifecycle.
        served: The rows of a window.

    Returns:
        The causes, in the goal's money where a decision has four prices; None where the rows of the
        version's reference are not kept any more, or a row is no case of its own.
    """
    version = served.by
    if decides_by(version.frame.task, "items") or not served.inputs.height:
        return None
    before = reference_table(workspace, version)
    if before is None or not before.height:
        return None
    seed = workspace.spec.model.seed
    shared = [name for name in before.columns if name in served.inputs.columns]
    try:
        return explain_change(
            _sampled(before, seed),
            _sampled(served.inputs, seed),
            lambda rows: _expected(workspace, version, rows),
            columns=tuple(name for name in shared if name in version.reference.columns),
            pairs=_PAIRS,
            seed=seed,
        )
    except DataFault:  # what cannot be scored by itself is not explained; the window is judged all the same
        return None


def _expected(workspace: Workspace, version: ServedVersion, rows: pl.DataFrame) -> NDArray[np.float64]:
    """What each decision is expected to be worth, from the calibrated chance; the score without prices."""
    scores = version.package.scores(rows)
    worth = worth_of(workspace.spec.goal.value, version.frame, rows)
    prices = None if worth is None else worth.four
    if prices is None:
        return np.asarray(scores.max(axis=1), dtype=np.float64)
    chosen = version.package.decide(scores, rows) == version.frame.positive
    chance = scores[:, 0]
    positive = np.where(chosen, prices[:, 0], prices[:, 2])
    negative = np.where(chosen, prices[:, 1], prices[:, 3])
    expected: NDArray[np.float64] = chance * positive + (1 - chance) * negative
    return expected


def _sampled(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    return rows.sample(_MOST_ROWS, seed=seed) if rows.height > _MOST_ROWS else rows
