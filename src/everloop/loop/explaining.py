"""Why a window's decisions are expected to earn more or less than the reference's, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from everloop.core.errors import DataFault
from everloop.core.tasks import decides_by
from everloop.loop.referring import reference_table
from everloop.monitor.causes import ChangeCauses, explain_change
from everloop.monitor.ranking import LossRanking, rank_moved
from everloop.table.worth import worth_of

if TYPE_CHECKING:
    import polars as pl

    from everloop.loop.served import ServedRows, ServedVersion
    from everloop.loop.workspace import Workspace
    from everloop.monitor.finding import WindowFinding

_MOST_ROWS = 2000
_PAIRS = 300
_PRICED = ("binary", "multiclass")
"""Tasks whose scores are the chances of all that can come true, so that a decision has an expected worth."""


@dataclass(frozen=True)
class Explanation:
    """Why a window that drifted is expected to earn more or less.

    Attributes:
        causes: What each input's move changes of what a decision is expected to be worth, or of the mean
            score; None where that cannot be said.
        ranking: What moved, ranked by what it is estimated to cost.
    """

    causes: ChangeCauses | None
    ranking: LossRanking


def explain(workspace: Workspace, served: ServedRows, finding: WindowFinding) -> Explanation:
    """Explains a window that drifted.

    Args:
        workspace: The lifecycle.
        served: Its rows.
        finding: What was found in it.
    """
    causes = causes_of(workspace, served)
    value = workspace.spec.goal.value
    ranking = rank_moved(
        _moved(served.by, finding),
        causes,
        predictions=finding.predictions,
        currency="" if value is None else value.currency,
        reason=_unpriced(workspace, served.by, causes),
    )
    return Explanation(causes, ranking)


def _moved(version: ServedVersion, finding: WindowFinding) -> dict[str, float]:
    """How far each column moved; what it carries (prose, a picture), or has in a segment, is the column's."""
    reference = version.reference
    carrier = {name: facet.column for facet in reference.facets for name in facet.names}
    within = {name: column for name, (column, _) in reference.within.items()}
    named, moved = finding.drift.moved(), dict[str, float]()
    for each in finding.drift.columns:
        if each.column in named:
            column = within.get(each.column, each.column)
            moved.setdefault(carrier.get(column, column), each.standardised)
    return moved


def _unpriced(workspace: Workspace, version: ServedVersion, causes: ChangeCauses | None) -> str:
    """Says why no loss can be estimated; empty where it can."""
    if workspace.spec.goal.value is None:
        return "goal.value states no price"
    if version.frame.task not in _PRICED:
        return f"what a decision of a {version.frame.task} is worth is known with its actual alone"
    if causes is None:
        return "the rows of the reference are not kept any more, or cannot be scored again"
    return ""


def causes_of(workspace: Workspace, served: ServedRows) -> ChangeCauses | None:
    """Says which inputs' moves changed what decisions are expected to be worth, or the mean score.

    Args:
        workspace: The lifecycle.
        served: The rows of a window.

    Returns:
        The causes, in the goal's money where classes are decided and priced; None where the rows of the
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
            by=tuple(name for name in workspace.spec.monitor.drift.segments if name in shared),
            pairs=_PAIRS,
            seed=seed,
        )
    except DataFault:  # what cannot be scored by itself is not explained; the window is judged all the same
        return None


def _expected(workspace: Workspace, version: ServedVersion, rows: pl.DataFrame) -> NDArray[np.float64]:
    """What each decision is expected to be worth, from the calibrated chances; the score without prices."""
    scores = version.package.scores(rows)
    value = workspace.spec.goal.value if version.frame.task in _PRICED else None
    worth = worth_of(value, version.frame, rows)
    if worth is None:
        return np.asarray(scores.max(axis=1), dtype=np.float64)
    decided = version.package.chosen(scores, rows).astype(np.float64)
    chances = scores if scores.shape[1] > 1 else np.column_stack([1 - scores[:, 0], scores[:, 0]])
    expected = np.zeros(rows.height)
    for place, chance in enumerate(chances.T):
        expected += chance * worth.values(np.full(rows.height, float(place)), decided)
    return expected


def _sampled(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    return rows.sample(_MOST_ROWS, seed=seed) if rows.height > _MOST_ROWS else rows
