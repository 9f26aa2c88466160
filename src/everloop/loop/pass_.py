"""A pass while it is made: its run's row, its steps, and what it came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from everloop.core.errors import EverloopError, UsageFault
from everloop.core.ids import new_id
from everloop.core.progress import Event
from everloop.core.values import to_jsonable
from everloop.deploy.release import PACKAGE_FOLDER, project, release, released_by
from everloop.deploy.versions import champion, find_version, new_version, open_rollout, register, set_status
from everloop.engine import Done, Engine, Step
from everloop.loop.ruling import contract_digest
from everloop.loop.sole_pass import sole_pass
from everloop.loop.support import refuse_unsupported
from everloop.loop.telling import result_line
from everloop.record.rows import DecisionRow, RunRow, VersionRow
from everloop.runtime.manifest import manifest_bytes

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace

PHASES = ("goal", "problem", "data", "model", "deploy")
# Goal and problem are looked at together: the one cannot be priced without the other.
_ENDS = {"goal": "problem"}
LATEST = "latest_run"
"""Under this key of the record lies what the last whole run was made on."""


class _Stopped(Exception):
    pass


@dataclass(frozen=True)
class RunResult:
    """What a pass came to.

    Attributes:
        run: The run's row.
        steps: Each step that was reached, by name.
        version: The version that was made, if the pass came so far.
        gate: The gate's decision.
        release: The decision to release, where the gate let it pass.
    """

    run: RunRow
    steps: dict[str, Done] = field(default_factory=dict)
    version: VersionRow | None = None
    gate: DecisionRow | None = None
    release: DecisionRow | None = None

    @property
    def executed(self) -> list[str]:
        """The steps that had to be executed."""
        return [name for name, done in self.steps.items() if not done.cached]

    def facts(self, step: str) -> dict[str, Any]:
        """Gives what a step found; empty where the pass did not come so far."""
        return self.steps[step].facts if step in self.steps else {}

    def to_dict(self) -> dict[str, Any]:
        """Gives the result as what JSON can carry."""
        return {
            "run": self.run.id,
            "status": self.run.status,
            "as_of": to_jsonable(self.run.as_of),
            "executed": self.executed,
            "steps": {name: {"key": done.key, "facts": done.facts} for name, done in self.steps.items()},
            "version": self.version.number if self.version else None,
            "gate": {"answer": self.gate.answer, "reason": self.gate.reason} if self.gate else None,
            "release": {"answer": self.release.answer, "reason": self.release.reason}
            if self.release
            else None,
        }


@dataclass
class Pass:
    """A pass under way.

    Attributes:
        workspace: The lifecycle.
        run: The run's row.
        engine: What executes its steps.
        as_of: The time that was asked for, or None for now.
        until: The phase to stop after.
        since: The phase from which on everything is done again.
        steps: What was reached.
    """

    workspace: Workspace
    run: RunRow
    engine: Engine
    as_of: datetime | None
    until: str | None
    since: str | None
    steps: dict[str, Done] = field(default_factory=dict)
    version: VersionRow | None = None
    gate: DecisionRow | None = None
    released: DecisionRow | None = None

    @classmethod
    @contextmanager
    def begin(
        cls,
        workspace: Workspace,
        *,
        as_of: datetime | None,
        until: str | None,
        since: str | None,
        reason: str,
    ) -> Iterator[Pass]:
        """Opens a run, and closes it as done, failed or interrupted, whatever happens inside."""
        for phase in (until, since):
            if phase is not None and phase not in PHASES:
                raise UsageFault(f"{phase!r} is no phase of a run; there are {', '.join(PHASES)}.")
        refuse_unsupported(workspace.spec)
        with sole_pass(workspace):
            _close_abandoned(workspace)
            now = workspace.clock.now()
            run = RunRow(id=new_id("run", now), lifecycle=workspace.name, at=now, as_of=as_of, reason=reason)
            workspace.record.add(run)
            engine = Engine(workspace.record, workspace.store, workspace.clock, workspace.progress, run.id)
            this = cls(workspace, run, engine, as_of, _ENDS.get(until or "", until), since)
            try:
                yield this
            except _Stopped:
                this._close("done")
            except KeyboardInterrupt:
                this._close("interrupted")
                raise
            except EverloopError as error:
                workspace.spec.place(error)
                this._close("failed", error=error.to_dict())
                raise
            except BaseException as error:
                this._close("failed", error={"code": type(error).__name__, "message": str(error)})
                raise
            else:
                this._close("done")

    def do(self, step: Step, *, told: bool = True) -> Done:
        """Runs a step, again where that was asked for, and tells its line of result."""
        if self.since is not None and _rank(step.phase) >= _rank(self.since) and step.name not in self.steps:
            self.engine.forget(step)
        if self.run.phase != step.phase:
            self.run = replace(self.run, phase=step.phase)
            self.workspace.record.put(self.run)
        done = self.engine.run(step)
        self.steps[step.name] = done
        line = result_line(step.name, done.facts)
        if line and told:
            facts = {"step": step.name, "cached": done.cached, "result": done.facts}
            self.workspace.progress(Event(step.phase, line, fraction=1.0, kind="result", facts=facts))
        return done

    def watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Gives a step's function that tells this pass's watcher how far it is."""
        return partial(function, progress=self.workspace.progress)

    def stop_after(self, phase: str) -> None:
        """Ends the pass here if it was asked to stop after this phase."""
        if self.until == phase:
            raise _Stopped

    def register(self, trained: Done, packaged: Done) -> VersionRow:
        """Registers the version that was packaged, once."""
        created = packaged.facts["created"]
        workspace = self.workspace
        number = packaged.facts["version"]
        known = self._signed_anew(find_version(workspace.record, workspace.name, number), packaged)
        serving = champion(workspace.record, workspace.name)
        metrics = {name: value["estimate"] for name, value in trained.facts.get("metrics", {}).items()}
        row = known or new_version(
            workspace.name,
            number,
            workspace.clock.now(),
            run=self.run.id,
            package=packaged.key,
            digest=packaged.digest,
            metrics=metrics,
            facts={
                "trained": trained.key,
                "rival": serving.id if serving else None,
                "created": created,
                "learner": trained.facts["learner"],
                "threshold": trained.facts["threshold"],
                "as_of": to_jsonable(self.as_of),
            },
        )
        made = {trained.id: "trained", packaged.id: "packaged"}
        goal = {self.steps["brief"].id: "goal"} if "brief" in self.steps else {}
        self.version = register(workspace.record, row, causes=made | goal)
        return self.version

    def _signed_anew(self, known: VersionRow | None, packaged: Done) -> VersionRow | None:
        """Gives a known version with the package that was just made, if nothing but its signature is new."""
        if known is None or known.package == packaged.key:
            return known
        store = self.workspace.store
        was, now = (store.open(key) / PACKAGE_FOLDER for key in (known.package, packaged.key))
        if manifest_bytes(was) != manifest_bytes(now):
            return known
        row = replace(known, package=packaged.key, digest=packaged.digest)
        self.workspace.record.put(row)
        return row

    def release(self, version: VersionRow, judged: Done) -> None:
        """Writes down what the gate said and, where it let the version pass, releases it."""
        workspace = self.workspace
        record, now = workspace.record, workspace.clock.now()
        self.gate = self._gate_decision(version, judged, now)
        if self.gate.answer == "passed":
            self.released = self._released(version, now)
        elif version.status == "candidate":
            set_status(record, version.id, "refused")
        project(record, workspace.store, workspace.name, workspace.routing_path)

    def _released(self, version: VersionRow, now: datetime) -> DecisionRow | None:
        """Releases a candidate; a version that was out before, or was taken back, is left to a person."""
        workspace = self.workspace
        if version.status != "candidate":
            return released_by(workspace.record, version.id)
        under_way = open_rollout(workspace.record, workspace.name)
        if under_way is not None:
            waits = f"v{version.number} passed its gate and waits: the rollout {under_way.id} is under way"
            workspace.progress(Event("deploy", waits, kind="notice"))
            return None
        gate = self.gate.id if self.gate else None
        return release(workspace.record, version, workspace.spec.deploy, now, gate=gate)

    def result(self) -> RunResult:
        """Gives what the pass came to."""
        version = self.version
        if version is not None:
            version = self.workspace.record.get(VersionRow, version.id)
        return RunResult(self.run, dict(self.steps), version, self.gate, self.released)

    def _gate_decision(self, version: VersionRow, judged: Done, now: datetime) -> DecisionRow:
        record = self.workspace.record
        for link in record.effects(judged.id):
            if link.role == "judged":
                return record.get(DecisionRow, link.effect)
        decision = DecisionRow(
            id=new_id("decision", now),
            lifecycle=self.workspace.name,
            at=now,
            kind="gate",
            answer="passed" if judged.facts["passed"] else "refused",
            reason=judged.facts["reason"],
            facts={"version": version.id, "number": version.number, **judged.facts},
        )
        with record.transaction():
            record.add(decision)
            record.link(judged.id, decision.id, "judged")
            record.link(version.id, decision.id, "version")
        return decision

    def _close(self, status: Any, **facts: Any) -> None:
        done = replace(
            self.run,
            status=status,
            finished_at=self.workspace.clock.now(),
            facts=facts | {"steps": {name: step.key for name, step in self.steps.items()}},
        )
        self.run = done
        self.workspace.record.put(done)
        if status == "done" and "gate" in self.steps:
            # What a schedule, new labels and a new contract are counted from, whatever the gate said.
            of = to_jsonable(self.as_of or done.finished_at)
            seen = {"at": of, "contract": contract_digest(self.workspace)}
            self.workspace.record.set_state(self.workspace.name, LATEST, seen)
        if status == "done" and "train" in self.steps:
            trained = self.steps["train"].facts
            numbers = {name: value["estimate"] for name, value in trained.get("metrics", {}).items()}
            self.workspace.record.measure(done.id, {k: v for k, v in numbers.items() if v is not None})


def _close_abandoned(workspace: Workspace) -> None:
    """Marks runs whose process was killed: this process holds the lock, so none of them can be alive."""
    for run in workspace.record.find(RunRow, lifecycle=workspace.name, status="running"):
        workspace.record.put(replace(run, status="interrupted", finished_at=workspace.clock.now()))


def _rank(phase: str) -> int:
    # The reference is made for the package, between training and packaging.
    return PHASES.index("model" if phase == "monitor" else phase)
