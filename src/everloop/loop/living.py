"""One policy's life through history: the loop on a simulated clock, with a record and a log of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.clock import SimulatedClock
from everloop.core.digest import digest_bytes
from everloop.core.errors import GateRefused, SpecFault
from everloop.core.progress import Event, Progress, silent
from everloop.deploy.versions import champion
from everloop.loop.answering import Answering
from everloop.loop.compared import Lived
from everloop.loop.hindsight import Hindsight
from everloop.loop.history import History
from everloop.loop.kept_lives import identity_of, keep_life, kept_life
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.record import open_record
from everloop.record.rows import AlertRow, DecisionRow, RunRow, StepRow
from everloop.record.store import ArtifactStore

if TYPE_CHECKING:
    from everloop.core.clock import Clock
    from everloop.spec import LifecycleSpec

FOLDER = "backtest"
_TOLD = timedelta(days=30)


@dataclass(frozen=True)
class Place:
    """Where a policy finds what it shares, and may leave its own.

    Attributes:
        folder: Each policy's record and log lie in a folder of its own in it.
        artifacts: The lifecycle's artifact store.
        cache: Where a remote one keeps its copies.
        tables: Tables handed in from Python.
    """

    folder: Path
    artifacts: str
    cache: Path | None
    tables: dict[str, Any]

    @classmethod
    def of(cls, workspace: Workspace) -> Place:
        """Gives the place beside a lifecycle's own record and log, which stay as they are."""
        store = workspace.store
        return cls(workspace.state_folder / FOLDER, store.url, store.cache, dict(workspace.tables))

    @property
    def joins(self) -> Path:
        """Where the policies keep the query's answer, see `Workspace.joins_folder`."""
        return self.folder / "joins"

    def of_policy(self, name: str) -> Path:
        """Gives the folder of a policy, whose name may be a rule."""
        return self.folder / (name if name.isalnum() else f"rule-{digest_bytes(name.encode())[:12]}")

    @contextmanager
    def workspace(
        self, spec: LifecycleSpec, name: str, clock: Clock, progress: Progress = silent
    ) -> Iterator[Workspace]:
        """Gives a policy's workspace: empty, with the artifacts of the lifecycle."""
        folder = self.of_policy(name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        record = open_record(f"sqlite:///{(folder / 'record.db').resolve()}", durable=False)
        store = ArtifactStore(self.artifacts, cache=self.cache)
        with Workspace(
            spec, record, store, clock, progress, state=folder, tables=self.tables, rehearsal=True
        ) as own:
            yield own


@dataclass(frozen=True)
class Life:
    """A life to be lived.

    Attributes:
        name: The policy.
        spec: The lifecycle under it.
        rows: History.
        since: Where it begins.
        until: Where it ends.
        every: The simulated time between two ticks of the loop.
    """

    name: str
    spec: LifecycleSpec
    rows: History
    since: datetime
    until: datetime
    every: timedelta

    def live(self, place: Place, progress: Progress = silent) -> tuple[Lived, str]:
        """Lives it, or takes it over where it was lived before; gives what it came to, and the currency.

        Raises:
            GateRefused: When the first version does not pass its gate.
            SpecFault: When decisions of the task have no price.
        """
        folder, identity = place.of_policy(self.name), identity_of(self)
        found = kept_life(folder, identity)
        if found is not None:
            progress(Event("backtest", f"{self.name}: taken over from the backtest that was stopped"))
            return found
        found = self._lived(place, progress)
        keep_life(folder, identity, *found)
        return found

    def _lived(self, place: Place, progress: Progress) -> tuple[Lived, str]:
        clock = SimulatedClock(self.since)
        with place.workspace(self.spec, self.name, clock) as own:
            train_first(own, self.since)
            loop, answering, told = Loop(own), Answering(own, self.rows), self.since
            try:
                for start, end in self._spans():
                    answering.span(start, end)
                    clock.advance_to(end)
                    # What is trained or moved when history ends would answer nothing, and cost all the same.
                    loop.tick(act=end < self.until)
                    if end - told >= _TOLD or end == self.until:
                        told = end
                        progress(self._reached(end))
            finally:
                answering.close()
            hindsight = Hindsight.of(own, self.rows)
            if not hindsight.is_priced:
                raise SpecFault("Decisions of this task have no price.", place="goal.value")
            return _account(own, self.name, answering, hindsight), hindsight.currency

    def _spans(self) -> Iterator[tuple[datetime, datetime]]:
        start = self.since
        while start < self.until:
            end = min(start + self.every, self.until)
            yield start, end
            start = end

    def _reached(self, end: datetime) -> Event:
        done = (end - self.since) / (self.until - self.since)
        return Event("backtest", f"{self.name}: lived until {end:%Y-%m-%d}", fraction=done)


def train_first(own: Workspace, since: datetime) -> None:
    """Makes the version that serves when history begins, from what was known then.

    Raises:
        GateRefused: When it does not pass its gate.
    """
    first = run_once(own, as_of=since, reason="backtest")
    if champion(own.record, own.name) is None:
        why = first.gate.reason if first.gate is not None else "it was not judged"
        raise GateRefused(f"The first version does not pass its gate: {why}.", hint="begin later: --since")


def _account(own: Workspace, name: str, answering: Answering, hindsight: Hindsight) -> Lived:
    worth = hindsight.values(np.arange(len(answering.decided)), answering.decided)
    costs, known = own.spec.goal.costs, answering.actuals_known()
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
