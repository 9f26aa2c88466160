"""The rollout under way: looked at, and moved where the evidence says so."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from everloop.core.clock import parse_time
from everloop.core.errors import RecordBusy
from everloop.deploy.candidate import Candidate
from everloop.deploy.guards import Look, look_at
from everloop.deploy.release import apply_move
from everloop.deploy.rollout import Evidence, next_move
from everloop.deploy.versions import open_rollout
from everloop.loop.served import ServedRows
from everloop.record.rows import DecisionRow, RolloutRow, VersionRow
from everloop.runtime.routing import PINNED
from everloop.table.worth import worth_of

if TYPE_CHECKING:
    import polars as pl

    from everloop.loop.workspace import Workspace


def advance(workspace: Workspace, joined: pl.DataFrame, now: datetime) -> DecisionRow | None:
    """Looks at the rollout under way and makes the move that its evidence asks for.

    Args:
        workspace: The lifecycle.
        joined: The prediction log with its actuals, shadows included.
        now: The time of asking.

    Returns:
        The decision, or None where there is no rollout or nothing is to be done yet.
    """
    rollout = open_rollout(workspace.record, workspace.name)
    if rollout is None:
        return None
    evidence = gather(workspace, rollout, joined, now)
    approve = workspace.spec.monitor.retrain.approve == "manual"
    move = next_move(rollout, workspace.spec.deploy, evidence, approve=approve)
    try:
        return apply_move(workspace.record, rollout, move, evidence, now)
    except RecordBusy:
        # A person, or another controller, moved it meanwhile: it is looked at again at the next tick.
        return None


def gather(workspace: Workspace, rollout: RolloutRow, joined: pl.DataFrame, now: datetime) -> Evidence:
    """Gathers what is known about a rollout: both versions on every row since it began."""
    import polars as pl

    champion = workspace.served(workspace.record.get(VersionRow, str(rollout.champion)))
    challenger = workspace.served(workspace.record.get(VersionRow, rollout.challenger))
    lines = joined.filter((pl.col("time") >= rollout.at) & (pl.col("arm") != PINNED))
    answered = ServedRows.of(lines.filter(pl.col("arm") != "shadow"), champion).labelled()
    rows = answered.with_target()
    worth = worth_of(workspace.spec.goal.value, champion.frame, rows)
    look = Look(
        answers=lines.with_columns(failed=pl.col("score").is_nan() | pl.col("score").is_null()),
        champion=Candidate(champion.folder, rows, champion.frame, worth),
        challenger=Candidate(challenger.folder, rows, challenger.frame, worth),
        strategy=rollout.strategy,
        answered_by=np.asarray(answered.lines["arm"].to_list(), dtype=np.str_),
    )
    begun = parse_time(rollout.facts["step_since"])
    here = lines.filter((pl.col("arm") != "champion") & (pl.col("time") >= begun))
    return Evidence(look_at(workspace.spec.deploy, look), here.height, (now - begun).total_seconds())
