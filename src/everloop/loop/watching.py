"""Windows of the prediction log: judged when they are over, and once more when their actuals are in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from everloop.core.clock import parse_time
from everloop.core.ids import kind_of, new_id
from everloop.core.values import to_jsonable
from everloop.loop.explaining import Explanation, explain
from everloop.loop.notifying import silence_of
from everloop.loop.referring import reference_rows
from everloop.loop.served import ServedVersion, facts_of
from everloop.loop.truth import silenced
from everloop.loop.window_rows import read_window
from everloop.monitor.finding import WindowFinding
from everloop.monitor.judging import judge
from everloop.monitor.rules import Rules
from everloop.monitor.triggers import MANY_VIOLATIONS
from everloop.monitor.window import windows_due
from everloop.record.rows import AlertRow, WindowRow

if TYPE_CHECKING:
    from everloop.loop.answered import Answered
    from everloop.loop.workspace import Workspace
    from everloop.spec.frame import Frame

# Until this share of a window's actuals can be known, it is judged once more later.
SETTLED = 0.99
JUDGED_UNTIL = "windows_judged_until"
"""Under this key of the record lies where the last window that was judged ended."""


@dataclass(frozen=True)
class Judged:
    """A window that was judged now.

    Attributes:
        row: Its row.
        finding: What was found.
        version: The version that answered most of it.
        alerts: What deserves attention.
        explained: Why its decisions are expected to be worth more or less, where it drifted.
    """

    row: WindowRow
    finding: WindowFinding
    version: ServedVersion
    alerts: tuple[AlertRow, ...] = ()
    explained: Explanation | None = None


def judge_due(workspace: Workspace, log: Answered, now: datetime) -> list[Judged]:
    """Judges the windows that are over and not judged yet.

    Args:
        workspace: The lifecycle.
        log: The answers with their actuals.
        now: The time of asking.

    Returns:
        What was found, oldest first; rows and alerts are in the record.
    """
    record = workspace.record
    judged = []
    for start, end in _due(workspace, log, now):
        found = _judge(workspace, log, start, end)
        if found is None:
            continue
        row = _row(workspace, found, new_id("window", now), now)
        alerts = _alerts(workspace, row, found, now)
        with record.transaction():
            record.add(row)
            record.link(found.version.row.id, row.id, "version")
            for alert in alerts:
                record.add(alert)
                record.link(row.id, alert.id, "window")
            record.set_state(workspace.name, JUDGED_UNTIL, to_jsonable(end))
        judged.append(replace(found, row=row, alerts=alerts))
    return judged


def _due(workspace: Workspace, log: Answered, now: datetime) -> list[tuple[datetime, datetime]]:
    """The windows that are due; where none can be, no line of the log is read for it."""
    kept, spec = workspace.record.state(workspace.name, JUDGED_UNTIL), workspace.spec.monitor.window
    since = parse_time(kept) if kept else None
    if spec.predictions is not None and log.span.most_since(since) <= spec.predictions:
        return []
    if spec.predictions is None and since is not None and now < since + spec.length:
        return []
    return windows_due(partial(log.times, since), spec, now=now, since=since)


def settle(workspace: Workspace, log: Answered, now: datetime) -> list[Judged]:
    """Judges windows once more whose actuals are in by now; gives those that more is known of."""
    record = workspace.record
    settled = []
    for row in record.find(WindowRow, lifecycle=workspace.name, status="open"):
        if row.since is None or row.until is None:
            continue
        delay = timedelta(seconds=float(row.facts.get("delay_seconds") or 0))
        if now < row.until + delay:
            continue
        found = _judge(workspace, log, row.since, row.until)
        if found is None:  # retired meanwhile
            record.put(replace(row, status="settled"))
            continue
        again = replace(row, status="settled", actuals=found.finding.actuals, facts=_facts(workspace, found))
        record.put(again)
        if again.actuals > row.actuals:
            settled.append(replace(found, row=again))
    return settled


def undecided(workspace: Workspace, log: Answered) -> list[Judged]:
    """Gives the last window that was judged where nothing was decided on it yet: its process was killed."""
    record = workspace.record
    last = record.find(WindowRow, lifecycle=workspace.name, order="-until", limit=1)
    if not last or last[0].since is None or last[0].until is None:
        return []
    effects = record.effects(last[0].id)
    if any(kind_of(link.effect) == "decision" for link in effects):
        return []
    found = _judge(workspace, log, last[0].since, last[0].until)
    if found is None:  # retired meanwhile
        return []
    raised = [record.get(AlertRow, link.effect) for link in effects if kind_of(link.effect) == "alert"]
    return [replace(found, row=last[0], alerts=tuple(raised))]


def _judge(workspace: Workspace, log: Answered, start: datetime, end: datetime) -> Judged | None:
    """Judges a window; None where the log has no row of it."""
    read = read_window(workspace, log, start, end)
    if read is None:
        return None
    version = read.served.by
    frame, manifest, spec = version.frame, version.package.manifest, workspace.spec.monitor
    rules = Rules(
        metrics=_metrics(frame),
        threshold=0.5 if manifest.threshold is None else manifest.threshold,
        task=frame.task,
        seed=workspace.spec.model.seed,
        silenced=silenced(workspace, version.row.id),
        weighted=spec.estimate == "pape",
        apart=spec.drift.budget if spec.drift.multivariate else None,
    )
    rows = reference_rows(workspace, version) if rules.weighted or rules.apart else None
    finding = judge(read.window, version.reference, rules, delay=log.delay, rows=rows, whole=read.whole)
    told = finding.drifted and not workspace.rehearsal
    explained = explain(workspace, read.served, finding) if told else None
    return Judged(WindowRow("", workspace.name, log.now), finding, version, explained=explained)


_BESIDE = {
    "binary": ("precision", "recall", "positive_rate"),
    "anomaly": ("precision", "recall", "positive_rate"),
    "regression": ("mae",),
    "multiclass": ("accuracy",),
}


def _metrics(frame: Frame) -> tuple[str, ...]:
    """The frame's metric and what people ask for; those of one score or decision a row."""
    if not frame.is_labelled or frame.task not in _BESIDE:
        return ()
    chosen = () if frame.task == "multiclass" else (frame.metric,)
    return tuple(dict.fromkeys((*chosen, *_BESIDE[frame.task])))


def _row(workspace: Workspace, found: Judged, identity: str, now: datetime) -> WindowRow:
    finding = found.finding
    return WindowRow(
        id=identity,
        lifecycle=workspace.name,
        at=now,
        since=finding.since,
        until=finding.until,
        version=found.version.row.id,
        status="settled" if finding.maturity >= SETTLED else "open",
        predictions=finding.predictions,
        actuals=finding.actuals,
        facts=_facts(workspace, found),
    )


def _facts(workspace: Workspace, found: Judged) -> dict[str, Any]:
    stated = workspace.spec.problem.label_delay
    delay = stated.total_seconds() if stated else found.version.frame.label_delay_seconds
    return facts_of(found.finding) | {
        "number": found.version.row.number,
        "delay_seconds": delay,
        "causes": found.explained.causes.to_dict() if found.explained and found.explained.causes else None,
        "ranking": found.explained.ranking.to_dict() if found.explained else None,
    }


def _alerts(workspace: Workspace, row: WindowRow, found: Judged, now: datetime) -> tuple[AlertRow, ...]:
    finding, number = found.finding, found.version.row.number
    told = []
    if finding.drifted:
        told.append(("drift", "; ".join(_said(found))))
    if finding.violation_share is not None and finding.violation_share > MANY_VIOLATIONS:
        told.append(("contract", _violations(finding)))
    gain, before = finding.against_today, found.version.reference.facts.get("gain")
    if before is not None and gain is not None and gain.status == "known" and gain.interval.high < before:
        text = f"v{number} adds {gain.interval} to today's decisions; {before:.2f} on its reference"
        told.append(("value", text))
    return tuple(
        AlertRow(
            id=new_id("alert", now),
            lifecycle=workspace.name,
            at=now,
            window=row.id,
            kind=kind,
            severity="warning",
            message=text,
            facts={
                "since": to_jsonable(row.since),
                "until": to_jsonable(row.until),
                "version": number,
                "loss": _loss(found) if kind == "drift" else None,
                **silence_of(workspace, kind, now),
            },
        )
        for kind, text in told
    )


def _said(found: Judged) -> list[str]:
    """Says what drifted, what of it costs most, and what explains most of the change that is expected."""
    said = [found.finding.said_of_drift()]
    if found.explained is None:
        return said
    causes = found.explained.causes
    said += [text] if (text := found.explained.ranking.sentence()) else []
    if causes is not None and causes.columns and causes.columns[0].amount:
        most = causes.columns[0]
        said.append(
            f"{most.column} explains {most.amount:+.3g} of {causes.change:+.3g} expected of a decision"
        )
    return said


def _loss(found: Judged) -> float | None:
    """The estimated loss of what moved, over the window, in the goal's money."""
    return None if found.explained is None else found.explained.ranking.loss


def _violations(finding: WindowFinding) -> str:
    """Says what a window broke most of its contract."""
    found = max(finding.contract.findings, key=lambda one: one.failing) if finding.contract else None
    most = f"; most of them: {found.sentence()}" if found else ""
    return f"{finding.violation_share:.1%} of the requests broke the contract{most}"
