"""The loop: what happens as time passes.

`Loop.tick` does all that is due at the clock's time and returns. In production `everloop up` calls it
every second or so on the system clock; in a rehearsal the clock follows the requests; in a backtest it is
simulated. Everything it decides is in the record before the next thing begins, so a loop that was killed
goes on where it was.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from everloop.core.values import to_jsonable
from everloop.deploy.release import project
from everloop.deploy.versions import champion
from everloop.loop.after_release import watch_release
from everloop.loop.answered import SAMPLE_ROWS, Answered
from everloop.loop.collecting import collect
from everloop.loop.damage_alerts import raise_damage
from everloop.loop.deciding import Asking, decide, retrain, unfinished
from everloop.loop.detecting import detect
from everloop.loop.notifying import tell
from everloop.loop.observing import observe
from everloop.loop.remembering import Memory, needed_since
from everloop.loop.rolling import advance
from everloop.loop.watching import Judged, judge_due, settle, undecided
from everloop.record.rows import DecisionRow
from everloop.runtime.log import LogReader, retire

if TYPE_CHECKING:
    from everloop.loop.pass_ import RunResult
    from everloop.loop.workspace import Workspace
    from everloop.runtime.log import LogSpan

TICKED = "ticked"
# An outside system that is down is left alone for this long, so that the loop does not wait for it each time.
OUTSIDE_PAUSE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a tick did.

    Attributes:
        kind: `window`, `settled`, `alert`, `retrain`, `run` or `rollout`.
        text: It in a line.
        id: The row that it is in the record.
    """

    kind: str
    text: str
    id: str


@dataclass(frozen=True, slots=True)
class Tick:
    """All that was done at a time."""

    at: datetime
    happenings: tuple[Happening, ...]


class Loop:
    """The loop of one lifecycle. One process at a time may tick; others get `RecordBusy`.

    Args:
        workspace: The lifecycle, with the clock that the loop lives on.
        sample: So many rows of a window are held; of a larger one all is counted, and what needs rows rests
            on as many of them.
    """

    def __init__(self, workspace: Workspace, *, sample: int = SAMPLE_ROWS) -> None:
        self.workspace = workspace
        self._sample = sample
        self._log = LogReader(workspace.log_folder, most_ids=2 * sample)

    def tick(self, *, act: bool = True) -> Tick:
        """Does what is due now.

        Args:
            act: Whether to carry decisions out: to retrain, and to move the rollout. Without it windows
                are judged, alerts sent and decisions written down.

        Returns:
            What was done, in order.

        Raises:
            RecordBusy: When another process is at it.
        """
        workspace = self.workspace
        with workspace.sole("loop"):
            now = workspace.clock.now()
            happenings = tuple(self._do(now, act=act))
            tell(workspace, now)
            workspace.record.set_state(workspace.name, TICKED, to_jsonable(now))
            observe(workspace, pause=OUTSIDE_PAUSE)
        return Tick(now, happenings)

    def _do(self, now: datetime, *, act: bool) -> Iterator[Happening]:
        workspace = self.workspace
        project(workspace.record, workspace.store, workspace.name, workspace.routing_path)
        if champion(workspace.record, workspace.name) is None:
            return
        collect(workspace)
        self._tidy_log(now)
        memory, needed = Memory.of(workspace), needed_since(workspace)
        with self._log.span(memory.read_from(needed), now, known_until=now) as span:
            if (damaged := raise_damage(workspace, span.damage, now)) is not None:
                yield Happening("alert", damaged.message, damaged.id)
            log = Answered(span, now, self._sample)
            judged = yield from self._look(log, now)
            if act:
                yield from self._roll(span, now)
            labels = partial(memory.labels_since, answered=log.facts)
            if act and (waiting := unfinished(workspace)) is not None:
                yield from self._retrain(waiting, now)
            elif (judged := judged or undecided(workspace, log)) or act:
                yield from self._decide(Asking(judged, labels, now), act=act)
            if (moved := memory.moved(needed, log.facts)) is not memory:
                moved.keep(workspace)

    def _look(self, log: Answered, now: datetime) -> Generator[Happening, None, list[Judged]]:
        """Judges what is due; gives the windows that were judged for the first time."""
        workspace = self.workspace
        for found in settle(workspace, log, now):
            yield Happening("settled", _window_line(found), found.row.id)
        judged = judge_due(workspace, log, now)
        for found in judged:
            yield Happening("window", _window_line(found), found.row.id)
            yield from (Happening("alert", alert.message, alert.id) for alert in found.alerts)
        for alert in detect(workspace, log, now):
            yield Happening("alert", alert.message, alert.id)
        return judged

    def _tidy_log(self, now: datetime) -> None:
        """Seals what is finished, and retires what the file says is kept no longer."""
        kept, folder = self.workspace.spec.deploy.log, self.workspace.log_folder
        self._log.seal()
        if kept.keep is not None or kept.most_gb is not None:
            most = None if kept.most_gb is None else int(kept.most_gb * 1e9)
            retire(folder, before=None if kept.keep is None else now - kept.keep, most_bytes=most)

    def _roll(self, span: LogSpan, now: datetime) -> Iterator[Happening]:
        moved = advance(self.workspace, span, now) or watch_release(self.workspace, span, now)
        if moved is not None:
            self._project()
            yield Happening("rollout", f"{moved.answer}: {moved.reason}", moved.id)

    def _decide(self, asking: Asking, *, act: bool) -> Iterator[Happening]:
        decision = decide(self.workspace, asking)
        if decision is None:
            return
        yield Happening("retrain", f"{decision.answer}: {decision.reason}", decision.id)
        if decision.answer == "retrain" and act:
            yield from self._retrain(decision, asking.now)

    def _retrain(self, decision: DecisionRow, now: datetime) -> Iterator[Happening]:
        done = retrain(self.workspace, decision, now)
        yield _failed(done) if isinstance(done, DecisionRow) else _ran(done)

    def _project(self) -> None:
        workspace = self.workspace
        project(workspace.record, workspace.store, workspace.name, workspace.routing_path)


def _window_line(found: Judged) -> str:
    finding = found.finding
    span = f"{finding.since:%Y-%m-%d} to {finding.until:%Y-%m-%d}"
    line = f"{span}: {finding.predictions:,} predictions of v{found.version.row.number}"
    if finding.value is not None and finding.value.status == "known":
        line += f", a decision is worth {finding.value.interval}"
    if finding.against_today is not None and finding.against_today.status == "known":
        line += f", {finding.against_today.interval.estimate:+.2f} against today"
    if finding.sampled is not None:
        line += f"; intervals and estimates from {finding.sampled:,} of them"
    return f"{line}; drift {finding.drift.statistic:.1f} of {finding.drift.threshold:.1f} allowed"


def _failed(decision: DecisionRow) -> Happening:
    return Happening("retrain", f"{decision.answer}: {decision.reason}", decision.id)


def _ran(result: RunResult) -> Happening:
    text = f"v{result.version.number}" if result.version else "a run"
    if result.gate is not None:
        text += f": gate {result.gate.answer}; {result.gate.reason}"
    if result.release is not None:
        text += f"; {result.release.answer}"
    return Happening("run", text, result.run.id)
