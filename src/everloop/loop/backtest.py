"""What each retraining policy would have earned: history through the same loop, on a simulated clock.

Each policy is the lifecycle with another `monitor.retrain.on`, a record and a log of its own. Artifacts
are shared, so what two policies both need is made once, the first training before all.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.clock import SimulatedClock, as_utc
from everloop.core.errors import GateRefused, SpecFault, UsageFault
from everloop.core.progress import Event
from everloop.core.values import to_jsonable
from everloop.deploy.versions import champion
from everloop.loop.answering import Answering
from everloop.loop.hindsight import Hindsight
from everloop.loop.history import History, history
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.measure.intervals import Interval, paired_interval
from everloop.record import open_record
from everloop.record.rows import AlertRow, RolloutRow, RunRow, StepRow
from everloop.runtime.log import read_log
from everloop.spec.fields import Trigger
from everloop.table.worth import PRICED_TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.spec import LifecycleSpec

NEVER = "never"
POLICIES: dict[str, tuple[Trigger, ...]] = {
    NEVER: (),
    "weekly": (Trigger("schedule", "weekly"),),
    "monthly": (Trigger("schedule", "monthly"),),
    "drift": (Trigger("drift"),),
    "pays": (Trigger("drift"), Trigger("performance"), Trigger("value")),
}
FOLDER = "backtest"


@dataclass(frozen=True)
class PolicyResult:
    """What one policy came to.

    Attributes:
        name: The policy.
        months: Value per decision by month.
        value: What all decisions together were worth.
        value_per_decision: The same for one.
        against_never: What a decision was worth more than without any retrain, paired by row.
        retrains: How many passes were made after the first.
        promoted: How many challengers took over.
        alarms: How many alerts there were.
        cost: What the retrains and the labels that they learned from cost.
    """

    name: str
    months: dict[str, float]
    value: float
    value_per_decision: float
    against_never: Interval | None
    retrains: int
    promoted: int
    alarms: int
    cost: float

    @property
    def net(self) -> float:
        """The value less the cost."""
        return self.value - self.cost

    def to_dict(self) -> dict[str, Any]:
        """Gives the result as what JSON can carry."""
        return dict(to_jsonable(vars(self) | {"net": self.net}))


@dataclass(frozen=True)
class BacktestResult:
    """What the policies came to, on the same rows.

    Attributes:
        since: Where history began; the first version was trained on what was known then.
        until: Where it ended.
        decisions: How many decisions are compared.
        currency: The money's name.
        policies: In the order in which they were asked for.
    """

    since: datetime
    until: datetime
    decisions: int
    currency: str
    policies: tuple[PolicyResult, ...]

    @property
    def best(self) -> PolicyResult:
        """The policy that earned most after its costs."""
        return max(self.policies, key=lambda policy: policy.net)

    def to_dict(self) -> dict[str, Any]:
        """Gives the result as what JSON can carry."""
        facts = {name: getattr(self, name) for name in ("since", "until", "decisions", "currency")}
        policies = [policy.to_dict() for policy in self.policies]
        return dict(to_jsonable(facts | {"policies": policies, "best": self.best.name}))


@dataclass(frozen=True)
class _Lived:
    """A policy that has lived through history: what each row's decision was worth, and what it took."""

    name: str
    worth: NDArray[np.float64]
    retrains: int
    promoted: int
    alarms: int
    cost: float


def backtest(
    workspace: Workspace,
    policies: Sequence[str] = tuple(POLICIES),
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    sample: float = 1.0,
    seed: int = 0,
    every: timedelta = timedelta(days=1),
) -> BacktestResult:
    """Replays history through the loop under several retraining policies and compares what they earn.

    Args:
        workspace: The lifecycle; its own record, log and deployment stay as they are.
        policies: Names in `POLICIES`; `never` is always compared with, and lived first.
        since: Where to begin; by default after the first half of the rows' time.
        until: Where to end; by default after the last row.
        sample: The share of the rows that are answered.
        seed: Of the sample.
        every: The simulated time between two ticks of the loop.

    Returns:
        The policies, on the decisions that all of them made and whose actual came.

    Raises:
        UsageFault: When there is no such policy.
        SpecFault: When decisions have no price.
        GateRefused: When the first version does not pass its gate.
    """
    names = _names(policies)
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
    since, until = _span(workspace, since, until)
    rows = history(workspace, since, until, sample=sample, seed=seed)
    lived: list[_Lived] = []
    currency = ""
    for name in names:
        with _workspace_of(workspace, name, since) as own:
            _live(own, rows, (since, until), every)
            hindsight = Hindsight.of(own, rows)
            if hindsight.worth is None:
                raise SpecFault("Decisions of this task have no price.", place="goal.value")
            lived.append(_account(own, name, rows, hindsight))
            currency = hindsight.currency
        _tell(workspace, lived[-1], currency)
    return _compare(lived, rows, since, until, currency)


def _names(policies: Sequence[str]) -> list[str]:
    for name in policies:
        if name not in POLICIES:
            near = get_close_matches(name, POLICIES, n=1)
            raise UsageFault(
                f"There is no policy {name!r}; there are {', '.join(POLICIES)}.",
                hint=f"did you mean {near[0]}?" if near else None,
            )
    return list(dict.fromkeys([NEVER, *policies]))


def _span(workspace: Workspace, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    if since is None or until is None:
        times = history(workspace).facts["time"]
        first, last = times[0], times[-1]
        since = since or first + (last - first) / 2
        until = until or last + timedelta(seconds=1)
    since, until = as_utc(since), as_utc(until)
    if until <= since:
        raise UsageFault(f"The backtest ends ({until}) before it begins ({since}).")
    return since, until


@contextmanager
def _workspace_of(workspace: Workspace, policy: str, since: datetime) -> Iterator[Workspace]:
    """Gives a policy's workspace: empty, with the artifacts of the lifecycle."""
    folder = workspace.state_folder / FOLDER / policy
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with open_record(f"sqlite:///{(folder / 'record.db').resolve()}") as record:
        yield Workspace(
            spec=_spec_of(workspace, policy),
            record=record,
            store=workspace.store,
            clock=SimulatedClock(since),
            state=folder,
            tables=workspace.tables,
        )


def _spec_of(workspace: Workspace, policy: str) -> LifecycleSpec:
    spec = workspace.spec
    retrain = spec.monitor.retrain.model_copy(update={"on": POLICIES[policy], "approve": "automatic"})
    # Nobody is told of what happened in a rehearsal.
    monitor = spec.monitor.model_copy(update={"retrain": retrain, "alerts": ()})
    changes: dict[str, Any] = {"monitor": monitor}
    if not workspace.contract_path.exists():
        # A contract that is learned here is not written beside the user's file.
        changes["data"] = spec.data.model_copy(update={"contract": None})
    return spec.model_copy(update=changes).in_folder(spec.folder)


def _live(own: Workspace, rows: History, span: tuple[datetime, datetime], every: timedelta) -> None:
    since, until = span
    first = run_once(own, as_of=since, reason="backtest")
    if champion(own.record, own.name) is None:
        told = first.gate.reason if first.gate is not None else "it was not judged"
        raise GateRefused(f"The first version does not pass its gate: {told}.", hint="begin later: --since")
    clock, loop = own.clock, Loop(own)
    answering = Answering(own, rows)
    try:
        start = since
        while start < until:
            end = min(start + every, until)
            answering.span(start, end)
            if isinstance(clock, SimulatedClock):
                clock.advance_to(end)
            loop.tick()
            start = end
    finally:
        answering.close()


def _account(own: Workspace, name: str, rows: History, hindsight: Hindsight) -> _Lived:
    import polars as pl

    log = read_log(own.log_folder)
    answered = log.predictions.filter(pl.col("arm") != "shadow").select("id", "prediction")
    predictions = rows.facts.select("id").join(answered, on="id", how="left", maintain_order="left")
    worth = hindsight.values(np.arange(predictions.height), predictions["prediction"].to_list())
    runs = own.record.find(RunRow, lifecycle=own.name)[1:]
    seconds = sum(step.seconds for run in runs for step in own.record.find(StepRow, run=run.id, name="train"))
    learned = runs[-1].as_of if runs else None
    labels = log.known_actuals().filter(pl.col("known_at") < learned).height if learned else 0
    costs = own.spec.goal.costs
    promoted = own.record.find(RolloutRow, lifecycle=own.name, state="promoted")
    return _Lived(
        name,
        worth,
        retrains=len(runs),
        promoted=len(promoted),
        alarms=len(own.record.find(AlertRow, lifecycle=own.name)),
        cost=costs.training_hour * seconds / 3600 + costs.label * labels,
    )


def _compare(
    lived: list[_Lived], rows: History, since: datetime, until: datetime, currency: str
) -> BacktestResult:
    known = ~np.isnan(np.stack([one.worth for one in lived])).any(axis=0)
    months = rows.facts["time"].dt.strftime("%Y-%m").to_numpy()[known]
    base = lived[0].worth[known]

    def result(one: _Lived) -> PolicyResult:
        worth = one.worth[known]
        return PolicyResult(
            name=one.name,
            months={month: float(worth[months == month].mean()) for month in sorted(set(months))},
            value=float(worth.sum()),
            value_per_decision=float(worth.mean()) if worth.size else float("nan"),
            against_never=None if one.name == NEVER else paired_interval(base, worth),
            retrains=one.retrains,
            promoted=one.promoted,
            alarms=one.alarms,
            cost=one.cost,
        )

    return BacktestResult(since, until, int(known.sum()), currency, tuple(result(one) for one in lived))


def _tell(workspace: Workspace, one: _Lived, currency: str) -> None:
    line = f"{one.name}: {np.nansum(one.worth):,.0f} {currency}, {one.retrains} retrains, {one.alarms} alarms"
    workspace.progress(Event("backtest", line, kind="result"))
