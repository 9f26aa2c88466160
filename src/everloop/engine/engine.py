"""The engine: executes a step once, keeps its result, and takes it from there the next time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from everloop.core.errors import EverloopError, NotFound, OutsideFault
from everloop.core.ids import new_id
from everloop.core.progress import Event, Progress, silent
from everloop.engine.executors.executor import Executor
from everloop.engine.executors.local import LocalExecutor
from everloop.engine.retry import attempt
from everloop.engine.step import Done, Step
from everloop.record.rows import RunRow, StepRow
from everloop.record.values import plain

if TYPE_CHECKING:
    from everloop.core.clock import Clock
    from everloop.record.record import Record
    from everloop.record.store import Artifact, ArtifactStore


@dataclass(frozen=True, slots=True)
class _Executed:
    """What an execution left in the store, and how long it took."""

    artifact: Artifact
    seconds: float


class Engine:
    """Runs steps so that a finished one is never executed again.

    A step's files are published under its key, then its row is committed, in this order: a process
    killed between the two leaves whole files, which the next run takes over. Killed earlier, it
    leaves nothing. An engine belongs to one thread; several processes may share record and store:
    what two of them need at once is made by one, and the other waits for it.

    Args:
        record: Where steps are committed.
        store: Where their files are kept.
        clock: Tells when a step was done, and waits between attempts.
        progress: Is told what is executed, what is unchanged and what is wrong.
        run_id: The run that the steps belong to; without one, nothing is noted of unchanged steps.
        executor: Where functions are executed; by default in this process.
    """

    def __init__(
        self,
        record: Record,
        store: ArtifactStore,
        clock: Clock,
        progress: Progress = silent,
        run_id: str = "",
        *,
        executor: Executor | None = None,
    ) -> None:
        self.record = record
        self.store = store
        self.clock = clock
        self.progress = progress
        self.run_id = run_id
        self._executor = executor or LocalExecutor()
        self._steps: dict[str, Step] = {}
        self._verified: set[str] = set()
        self._forgotten: set[str] = set()

    def run(self, step: Step) -> Done:
        """Gives the step's result, executing it only where there is none yet.

        Whether files are there in their sizes is looked at each time; their digests are compared
        before another step reads them. What is missing or damaged is made again.

        Raises:
            EverloopError: What the step's function raised, after its retries.
            DataFault: When its facts have no JSON form.
        """
        self._steps[step.key] = step
        committed = self._committed(step)
        if committed is not None:
            return self._unchanged(step, committed)
        with self.store.making(step.key) as waited:
            committed = self._committed(step) if waited else None
            if committed is not None:
                return self._unchanged(step, committed)
            adopted = self._adopted(step)
            return self._commit(step, self._execute(step) if adopted is None else adopted)

    def _unchanged(self, step: Step, committed: Done) -> Done:
        self._note_unchanged(step, committed)
        self._tell(step, f"{step.name}: unchanged", state="cached")
        return committed

    def forget(self, step: Step) -> None:
        """Lets the next `run` execute a step anew, whatever there is of it; the record keeps its rows."""
        self._verified.discard(step.key)
        self._forgotten.add(step.key)
        self.store.discard(step.key)

    def _committed(self, step: Step) -> Done | None:
        """Gives the earlier result if it is committed and its files are there."""
        rows = self.record.find(StepRow, key=step.key, status="done", order="-at")
        if not rows or step.key in self._forgotten:
            self._forgotten.discard(step.key)
            return None
        artifact = self.store.find(step.key)
        for row in rows:
            if artifact is not None and row.facts.get("artifact") == artifact.digest:
                return Done(step.key, row.facts["result"], True, row.id, artifact.digest, self.store)
        self._redo(step, "its files are missing or damaged")
        return None

    def _adopted(self, step: Step) -> _Executed | None:
        """Takes over whole files that another record knows, or that a killed process did not commit."""
        artifact = self.store.find(step.key)
        if artifact is None or "result" not in artifact.facts:
            return None
        problem = self.store.verify(step.key)
        if problem:
            self._redo(step, problem)
            return None
        self._tell(step, f"{step.name}: taken over from another run", state="adopted")
        return _Executed(artifact, float(artifact.facts.get("seconds", 0.0)))

    def _execute(self, step: Step) -> _Executed:
        for name, done in step.inputs.items():
            self._assure(step, name, done)
        self._tell(step, f"{step.name}: started", state="started")
        start = time.perf_counter()
        try:
            artifact = attempt(
                lambda: self._publish(step, start),
                retries=step.retries,
                clock=self.clock,
                on_retry=lambda error, wait: self._notice(step, f"{error.message} Again in {wait:.0f} s."),
            )
        except Exception as error:
            self._note_failed(step, error, time.perf_counter() - start)
            raise
        # As whoever takes it over will have it.
        seconds = float(artifact.facts["seconds"])
        self._tell(step, f"{step.name}: done in {seconds:.1f} s", state="done", seconds=seconds)
        return _Executed(artifact, seconds)

    def _publish(self, step: Step, start: float) -> Artifact:
        inputs = {name: done.path for name, done in step.inputs.items()}
        with self.store.scratch() as folder:
            facts = self._executor.execute(step.function, folder, _settings(step), inputs)
            result = plain(dict(facts or {}), f"what the step {step.name!r} of {step.phase} returned")
            seconds = time.perf_counter() - start
            return self.store.publish(step.key, folder, facts={"result": result, "seconds": seconds})

    def _commit(self, step: Step, executed: _Executed) -> Done:
        artifact = executed.artifact
        facts = {
            "result": artifact.facts["result"],
            "artifact": artifact.digest,
            "bytes": artifact.size,
            "settings": _settings(step),
            "inputs": {name: done.key for name, done in step.inputs.items()},
        }
        row = replace(self._row(step), seconds=executed.seconds, facts=facts)
        with self.record.transaction():
            self.record.add(row)
            for name, done in step.inputs.items():
                self.record.link(done.id, row.id, name)
        self._verified.add(step.key)
        result = plain(facts["result"], "a result")
        return Done(step.key, result, False, row.id, artifact.digest, self.store)

    def _assure(self, step: Step, name: str, done: Done) -> None:
        """Makes sure that an input is what was published, or makes it again."""
        if done.key in self._verified:
            return
        try:
            problem = self.store.verify(done.key)
        except NotFound:
            problem = "its files are missing"
        if problem:
            maker = self._steps.get(done.key)
            if maker is None:
                raise OutsideFault(
                    f"The step {step.name!r} of {step.phase} cannot read its input {name!r} "
                    f"({done.key}): {problem}.",
                    hint="everloop run",
                )
            self._redo(maker, problem)
            self._commit(maker, self._execute(maker))
        self._verified.add(done.key)

    def _redo(self, step: Step, problem: str) -> None:
        self._notice(step, f"{step.name}: {problem}; it is done again")
        self._verified.discard(step.key)
        self.store.discard(step.key)

    def _note_unchanged(self, step: Step, done: Done) -> None:
        """Notes once in a run that the step was taken from an earlier one."""
        kept = ("done", "cached")
        if not self.run_id or self.record.find(StepRow, run=self.run_id, key=step.key, status=kept, limit=1):
            return
        row = replace(self._row(step), status="cached", facts={"result": done.facts, "artifact": done.digest})
        with self.record.transaction():
            self.record.add(row)
            self.record.link(done.id, row.id, "executed")

    def _note_failed(self, step: Step, error: Exception, seconds: float) -> None:
        told = error.to_dict() if isinstance(error, EverloopError) else {"code": type(error).__name__}
        row = replace(
            self._row(step),
            status="failed",
            seconds=seconds,
            facts={"error": {**told, "message": str(error)}, "settings": _settings(step)},
        )
        try:
            self.record.add(row)
        except EverloopError as second:  # the first error is the one to tell
            self._notice(step, f"The failure could not be recorded: {second.message}")

    def _row(self, step: Step) -> StepRow:
        now = self.clock.now()
        try:
            lifecycle = self.record.get(RunRow, self.run_id).lifecycle if self.run_id else ""
        except NotFound:
            lifecycle = ""
        return StepRow(new_id("step", now), lifecycle, now, self.run_id, step.name, step.phase, step.key)

    def _tell(self, step: Step, message: str, **facts: Any) -> None:
        self.progress(Event(step.phase, message, facts={"step": step.name, **facts}))

    def _notice(self, step: Step, message: str) -> None:
        self.progress(Event(step.phase, message, kind="notice", facts={"step": step.name}))


def _settings(step: Step) -> dict[str, Any]:
    settings: Mapping[str, Any] = plain(
        dict(step.settings), f"the settings of step {step.name!r} of {step.phase}"
    )
    return dict(settings)
