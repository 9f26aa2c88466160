"""What each retraining policy would have earned: history through the same loop, on a simulated clock.

Each policy is the lifecycle with another `monitor.retrain`, a record and a log of its own. Artifacts are
shared, so what two policies both need is made once, the first training before all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.clock import SimulatedClock, as_utc
from everloop.core.errors import SpecFault, UsageFault
from everloop.core.files import write_file
from everloop.core.progress import Event
from everloop.loop.compared import BacktestResult, compare
from everloop.loop.history import History, history, time_range
from everloop.loop.kept_lives import forget_lives
from everloop.loop.living import FOLDER, Life, Place, train_first
from everloop.loop.policies import USUAL, Policy, policies_of
from everloop.loop.side_by_side import Found, live_all
from everloop.loop.support import raise_all
from everloop.loop.task_support import task_refusals
from everloop.loop.workspace import Workspace

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec
    from everloop.spec.model import Budget

_PRICED = {
    "binary": "goal: {value: {true_positive: 10, false_positive: -1}}",
    "multiclass": "goal: {value: {outcomes: {ACTUAL: {DECIDED: 10}}, otherwise: -1}}",
    "regression": "goal: {value: {over_prediction: -1 * (predicted - actual), under_prediction: -2 * (actual "
    "- predicted)}}",
    "clustering": "goal: {value: {kpi: SQL}} over a column that problem.exclude leaves out",
    "recommendation": "goal: {value: {hit: SQL, shown: NUMBER}}",
    "anomaly": "anomalies have none; with labels: problem: {task: binary} and goal: {value: {true_positive: "
    "10, false_positive: -1}}",
}
"""A task -> how its decisions get a price."""
_MEANINGS = {
    "clustering": "Acting on a row is worth what goal.value.kpi says of its columns as they came, not acting "
    "nothing. What acting would have changed in them the past does not tell.",
    "recommendation": "A list is worth the item that was had where it names it, less what showing costs: how "
    "well lists foretell, not what showing them would have caused.",
}
"""A task -> what value means where the past knows no more than what came without the model."""
RESULT = "result.json"
FIRST = "first"
"""Under this name the training is made that all policies begin with."""


@dataclass(frozen=True)
class Rehearsal:
    """How history is replayed.

    Attributes:
        since: Where to begin; by default after the first half of the rows' time.
        until: Where to end; by default after the last row.
        sample: The share of the rows that are answered.
        seed: Of the sample.
        every: The simulated time between two ticks of the loop.
        budget: How long each training may search; by default as the file says.
        jobs: How many policies live at once; by default one a core.
    """

    since: datetime | None = None
    until: datetime | None = None
    sample: float = 1.0
    seed: int = 0
    every: timedelta = timedelta(days=1)
    budget: Budget | None = None
    jobs: int | None = None


def backtest(
    workspace: Workspace, policies: Sequence[str] = USUAL, rehearsal: Rehearsal | None = None
) -> BacktestResult:
    """Replays history through the loop under several retraining policies and compares what they earn.

    Args:
        workspace: The lifecycle; its own record, log and deployment stay as they are.
        policies: See `everloop.loop.policies.policies_of`; `never` is always compared with.
        rehearsal: How history is replayed.

    Returns:
        The policies, on the decisions that all of them made and whose actual came.

    Raises:
        UsageFault: When there is no such policy, or no such span.
        SpecFault: When decisions have no price, or a rule cannot be read.
        GateRefused: When the first version does not pass its gate.
    """
    how = rehearsal or Rehearsal()
    asked = policies_of(policies, workspace.spec)
    _require_prices(workspace.spec)
    if how.every <= timedelta():
        raise UsageFault("The loop looks after a time above 0.", hint="--every 1d")
    span = _span(workspace, how)
    rows = history(workspace, *span, sample=how.sample, seed=how.seed)
    found = _lived(workspace, asked, rows, span, how)
    lived = [one for one, _ in found]
    meaning = _MEANINGS.get(workspace.spec.problem.task or "", "")
    result = compare(lived, rows.facts["time"], span, _window(workspace), found[0][1], meaning)
    write_file(result_path(workspace), json.dumps(result.to_dict()).encode())
    return result


def _require_prices(spec: LifecycleSpec) -> None:
    """Demands that the lifecycle can be compared by money, whatever else is wrong with it."""
    raise_all([*task_refusals(spec)], spec)
    if spec.goal.value is None:
        unpriced = SpecFault(
            "Decisions have no price, so there is nothing to compare policies by.",
            hint=_PRICED.get(spec.problem.task or "", _PRICED["binary"]),
            place="goal.value",
        )
        raise_all([unpriced], spec)


def result_path(workspace: Workspace) -> Path:
    """Where the last backtest's result lies, as JSON."""
    return workspace.state_folder / FOLDER / RESULT


def _span(workspace: Workspace, how: Rehearsal) -> tuple[datetime, datetime]:
    first, last = time_range(workspace)
    since = as_utc(how.since or first + (last - first) / 2)
    until = as_utc(how.until or last + timedelta(seconds=1))
    if until <= since:
        raise UsageFault(f"The backtest ends ({until}) before it begins ({since}).")
    return since, until


def _window(workspace: Workspace) -> timedelta:
    return workspace.spec.monitor.window.time or timedelta(days=7)


def _lived(
    workspace: Workspace,
    policies: Sequence[Policy],
    rows: History,
    span: tuple[datetime, datetime],
    how: Rehearsal,
) -> list[Found]:
    """Makes the first training, which all policies take over, and lets each of them live."""
    place, (since, until) = Place.of(workspace), span
    specs = [_spec(workspace, policy, how) for policy in policies]

    def first() -> None:
        with place.workspace(specs[0], FIRST, SimulatedClock(since), workspace.progress) as own:
            train_first(own, since)
        shutil.rmtree(place.of_policy(FIRST), ignore_errors=True)

    lives = [
        Life(policy.name, spec, rows, since, until, how.every)
        for policy, spec in zip(policies, specs, strict=True)
    ]
    # Tables in memory stay in this process.
    jobs = 1 if workspace.tables else how.jobs or os.cpu_count() or 1
    # Whoever listens to more retrains more often, and so takes longer: those begin.
    order = sorted(range(len(lives)), key=lambda number: -len(policies[number].on))
    begun = [lives[number] for number in order]
    found = live_all(
        place, begun, jobs, workspace.progress, lambda found: _tell(workspace, found), first=first
    )
    forget_lives(place.folder)
    shutil.rmtree(place.joins, ignore_errors=True)
    return [found[order.index(number)] for number in range(len(lives))]


def _spec(workspace: Workspace, policy: Policy, how: Rehearsal) -> LifecycleSpec:
    spec = policy.applied(workspace.spec)
    changes: dict[str, Any] = {}
    if not workspace.contract_path.exists():
        # A contract that is learned here is not written beside the user's file.
        changes["data"] = spec.data.model_copy(update={"contract": None})
    if how.budget is not None:
        changes["model"] = spec.model.model_copy(update={"budget": how.budget})
    return spec.model_copy(update=changes).in_folder(spec.folder)


def _tell(workspace: Workspace, found: Found) -> None:
    one, currency = found
    line = (
        f"{one.name}: {np.nansum(one.worth):,.0f} {currency}, {len(one.retrains)} retrains, "
        f"{len(one.alarms)} alarms"
    )
    workspace.progress(Event("backtest", line, kind="result"))
