"""What each retraining policy would have earned: history through the same loop, on a simulated clock.

Each policy is the lifecycle with another `monitor.retrain`, a record and a log of its own. Artifacts are
shared, so what two policies both need is made once, the first training before all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.clock import SimulatedClock, as_utc
from everloop.core.digest import digest_bytes
from everloop.core.errors import GateRefused, SpecFault, UsageFault
from everloop.core.files import write_file
from everloop.core.progress import Event, Progress, silent
from everloop.deploy.versions import champion
from everloop.loop.answering import Answering
from everloop.loop.compared import BacktestResult, Lived, compare
from everloop.loop.hindsight import Hindsight
from everloop.loop.history import History, history, time_range
from everloop.loop.loop import Loop
from everloop.loop.policies import USUAL, Policy, policies_of
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.record import open_record
from everloop.record.rows import AlertRow, DecisionRow, RunRow, StepRow
from everloop.record.store import ArtifactStore
from everloop.runtime.log import read_log
from everloop.table.worth import PRICED_TASKS

if TYPE_CHECKING:
    from everloop.core.clock import Clock
    from everloop.spec import LifecycleSpec
    from everloop.spec.model import Budget

FOLDER, RESULT = "backtest", "result.json"
_TOLD = timedelta(days=30)


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
    if workspace.spec.goal.value is None:
        raise SpecFault(
            "Decisions have no price, so there is nothing to compare policies by.",
            hint="goal: {value: {true_positive: 10, false_positive: -1}}",
            place="goal.value",
        )
    if workspace.spec.goal.value.kind not in PRICED_TASKS:
        raise SpecFault(
            f"The past of a {workspace.spec.goal.value.kind} cannot be lived again: what would have come of "
            "another list, or of acting on other rows, is not known.",
            place="problem.task",
        )
    if how.every <= timedelta():
        raise UsageFault("The loop looks after a time above 0.", hint="--every 1d")
    span = _span(workspace, how)
    rows = history(workspace, *span, sample=how.sample, seed=how.seed)
    lives = _Lives(workspace, rows, span, how)
    found = [lives.live(asked[0]), *lives.live_all(asked[1:])]
    lived = [one for one, _ in found]
    result = compare(lived, rows.facts["time"], span, _window(workspace), found[0][1])
    write_file(result_path(workspace), json.dumps(result.to_dict()).encode())
    return result


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


@dataclass
class _Lives:
    """The policies on their way through history."""

    workspace: Workspace
    rows: History
    span: tuple[datetime, datetime]
    how: Rehearsal

    def live(self, policy: Policy) -> tuple[Lived, str]:
        """Lets a policy live in this process; gives what it came to, and the currency."""
        place = _Place.of(self.workspace)
        found = _live(
            place, self._spec(policy), policy.name, self.rows, self.span, self.how.every, self._told
        )
        self._tell(*found)
        return found

    def live_all(self, policies: Sequence[Policy]) -> list[tuple[Lived, str]]:
        """Lets policies live at once, in processes of their own; tables in memory stay in this one."""
        jobs = min(self.how.jobs or os.cpu_count() or 1, len(policies))
        if jobs <= 1 or self.workspace.tables:
            return [self.live(policy) for policy in policies]
        place = _Place.of(self.workspace)
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            begun = [
                pool.submit(
                    _live, place, self._spec(policy), policy.name, self.rows, self.span, self.how.every
                )
                for policy in policies
            ]
            found = []
            for one in begun:
                found.append(one.result())
                self._tell(*found[-1])
        return found

    def _spec(self, policy: Policy) -> LifecycleSpec:
        spec = policy.applied(self.workspace.spec)
        changes: dict[str, Any] = {}
        if not self.workspace.contract_path.exists():
            # A contract that is learned here is not written beside the user's file.
            changes["data"] = spec.data.model_copy(update={"contract": None})
        if self.how.budget is not None:
            changes["model"] = spec.model.model_copy(update={"budget": self.how.budget})
        return spec.model_copy(update=changes).in_folder(spec.folder)

    def _told(self, event: Event) -> None:
        if event.kind != "result" or event.phase == "backtest":
            self.workspace.progress(event)

    def _tell(self, one: Lived, currency: str) -> None:
        line = (
            f"{one.name}: {np.nansum(one.worth):,.0f} {currency}, {len(one.retrains)} retrains, "
            f"{len(one.alarms)} alarms"
        )
        self.workspace.progress(Event("backtest", line, kind="result"))


@dataclass(frozen=True)
class _Place:
    """Where a policy finds what it shares, and may leave its own."""

    folder: Path
    artifacts: str
    cache: Path | None
    tables: dict[str, Any]

    @classmethod
    def of(cls, workspace: Workspace) -> _Place:
        store = workspace.store
        return cls(workspace.state_folder / FOLDER, store.url, store.cache, dict(workspace.tables))


@contextmanager
def _workspace_of(place: _Place, spec: LifecycleSpec, name: str, clock: Clock) -> Iterator[Workspace]:
    """Gives a policy's workspace: empty, with the artifacts of the lifecycle."""
    folder = place.folder / (name if name.isalnum() else f"rule-{digest_bytes(name.encode())[:12]}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    record = open_record(f"sqlite:///{(folder / 'record.db').resolve()}")
    store = ArtifactStore(place.artifacts, cache=place.cache)
    with Workspace(spec, record, store, clock, state=folder, tables=place.tables) as own:
        yield own


def _live(
    place: _Place,
    spec: LifecycleSpec,
    name: str,
    rows: History,
    span: tuple[datetime, datetime],
    every: timedelta,
    progress: Progress = silent,
) -> tuple[Lived, str]:
    """Lets a policy live through history, and accounts for it."""
    since, until = span
    clock = SimulatedClock(since)
    with _workspace_of(place, spec, name, clock) as own:
        first = run_once(own, as_of=since, reason="backtest")
        if champion(own.record, own.name) is None:
            why = first.gate.reason if first.gate is not None else "it was not judged"
            raise GateRefused(
                f"The first version does not pass its gate: {why}.", hint="begin later: --since"
            )
        loop, answering, told = Loop(own), Answering(own, rows), since
        try:
            start = since
            while start < until:
                end = min(start + every, until)
                answering.span(start, end)
                clock.advance_to(end)
                loop.tick()
                start = end
                if end - told >= _TOLD or end == until:
                    told = end
                    done = (end - since) / (until - since)
                    progress(Event("backtest", f"{name}: lived until {end:%Y-%m-%d}", fraction=done))
        finally:
            answering.close()
        hindsight = Hindsight.of(own, rows)
        if hindsight.worth is None:
            raise SpecFault("Decisions of this task have no price.", place="goal.value")
        return _account(own, name, rows, hindsight), hindsight.currency


def _account(own: Workspace, name: str, rows: History, hindsight: Hindsight) -> Lived:
    import polars as pl

    log = read_log(own.log_folder)
    answered = log.predictions.filter(pl.col("arm") != "shadow").select("id", "prediction")
    predictions = rows.facts.select("id").join(answered, on="id", how="left", maintain_order="left")
    worth = hindsight.values(np.arange(predictions.height), predictions["prediction"].to_list())
    costs, known = own.spec.goal.costs, log.known_actuals()["known_at"].sort()
    retrains, learned = [], 0
    for run in own.record.find(RunRow, lifecycle=own.name)[1:]:
        seconds = sum(step.seconds for step in own.record.find(StepRow, run=run.id, name="train"))
        labels = int(known.search_sorted(run.as_of or run.at))
        retrains.append((run.at, costs.training_hour * seconds / 3600 + costs.label * (labels - learned)))
        learned = labels
    failed = own.record.find(DecisionRow, lifecycle=own.name, kind="retrain", answer="failed")
    promoted = own.record.find(DecisionRow, lifecycle=own.name, kind="rollout", answer="promote")
    return Lived(
        name,
        worth,
        retrains=tuple(retrains),
        promoted=tuple(row.at for row in promoted),
        alarms=tuple(row.at for row in own.record.find(AlertRow, lifecycle=own.name)),
        failed=tuple(row.at for row in failed),
    )
