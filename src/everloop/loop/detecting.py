"""Detectors that answer at each event: read what was logged since the last tick, one event after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from everloop.core.clock import parse_time
from everloop.core.ids import new_id
from everloop.core.values import to_jsonable
from everloop.deploy.versions import deployment
from everloop.loop.notifying import silence_of
from everloop.loop.served import ServedRows, ServedVersion
from everloop.monitor.detectors import Detector
from everloop.monitor.state import ACTUAL, SCORE
from everloop.record.rows import AlertRow, VersionRow

if TYPE_CHECKING:
    import polars as pl

    from everloop.loop.answered import Answered
    from everloop.loop.workspace import Workspace

DETECTORS = "detectors"
LAG = timedelta(seconds=2)
"""So long an event may take to its segment of the log; it is read after that, so that none is passed over."""

_WHEN = ("time", "known_at")
"""When an answer is an event: when it was told, and when its actual was known."""
_SHORTEST = timedelta(milliseconds=1)
_CALLED = {"score": "scores", "actual": "actuals", "error": "errors"}


@dataclass(frozen=True)
class _Stream:
    """Events of one kind in the order in which they came: when, of which prediction, and their numbers."""

    name: str
    times: list[datetime]
    ids: list[str]
    values: NDArray[np.float64]


def detect(workspace: Workspace, log: Answered, now: datetime) -> list[AlertRow]:
    """Has the detectors of the file read the champion's events since the last time.

    Scores come when they are told; actuals, and the errors of what was decided, when they are known. All
    are told in standard deviations of the reference. A new champion is read from its first event on. Where
    many events wait, they are read a stretch of time after another.

    Args:
        workspace: The lifecycle.
        log: The answers with their actuals.
        now: The time of asking.

    Returns:
        An alert for each change that was found; they are in the record, with what the detectors remember.
    """
    kept = _kept(workspace)
    if kept is None:
        return []
    version = workspace.served(workspace.record.get(VersionRow, kept["version"]))
    since, until = parse_time(kept["until"]), now - LAG
    if until <= since:
        return []
    alerts, memory = [], dict(kept["memory"])
    for start, end in _stretches(log, version, since, until):
        for stream in _streams(log, version, start, end):
            alerts += _read(workspace, version, stream, memory, now)
    with workspace.record.transaction():
        for alert in alerts:
            workspace.record.add(alert)
            workspace.record.link(version.row.id, alert.id, "version")
        kept = {**kept, "until": to_jsonable(until), "memory": memory}
        workspace.record.set_state(workspace.name, DETECTORS, kept)
    return alerts


def _read(
    workspace: Workspace, version: ServedVersion, stream: _Stream, memory: dict[str, Any], now: datetime
) -> list[AlertRow]:
    """Has each detector read a stream on from where it was; changes what it remembers."""
    alerts = []
    for choice in workspace.spec.monitor.drift.detectors:
        key = f"{stream.name}:{choice.kind}"
        told = memory.get(key)
        reader = Detector.from_dict(told) if told else Detector(choice.kind, choice.options)
        places = reader.run(stream.values.tolist())
        alerts += [_alert(workspace, version, choice.kind, stream, place, now) for place in places]
        memory[key] = reader.to_dict()
    return alerts


def read_from(workspace: Workspace) -> datetime | None:
    """Gives the time of the first event that the detectors have not read; None where there are none."""
    kept = _kept(workspace)
    return None if kept is None else parse_time(kept["until"])


def _kept(workspace: Workspace) -> dict[str, Any] | None:
    """What the detectors remember of the champion's events; they begin anew with each champion."""
    choices, serving = workspace.spec.monitor.drift.detectors, deployment(workspace.record, workspace.name)
    if not choices or serving is None or serving.champion is None:
        return None
    kept: dict[str, Any] = workspace.record.state(workspace.name, DETECTORS) or {}
    asked = [[choice.kind, choice.options] for choice in choices]
    if kept.get("version") == serving.champion and kept.get("asked") == asked:
        return kept
    return {
        "version": serving.champion,
        "asked": asked,
        "until": to_jsonable(serving.at),
        "memory": {},
    }


def _stretches(
    log: Answered, version: ServedVersion, since: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Cuts a span into stretches that follow each other, each of so few events that they can be held."""
    events = sum(part.height for when in _WHEN for part in _events(log, version, when, since, until))
    if events <= log.most or until - since < 2 * _SHORTEST:
        yield since, until
        return
    middle = since + (until - since) / 2
    yield from _stretches(log, version, since, middle)
    yield from _stretches(log, version, middle, until)


def _events(
    log: Answered, version: ServedVersion, when: str, since: datetime, until: datetime
) -> Iterator[pl.DataFrame]:
    """Gives a version's answers by a time of theirs, a part at a time."""
    import polars as pl

    moment = pl.col(when)
    for part in log.facts():
        mine = (pl.col("version") == version.row.number) & (moment >= since) & (moment < until)
        yield part.filter(mine)


def _streams(log: Answered, version: ServedVersion, since: datetime, until: datetime) -> Iterator[_Stream]:
    import polars as pl

    found = [list(_events(log, version, when, since, until)) for when in _WHEN]
    if not found[0]:
        return
    told, known = (
        pl.concat(parts).sort(when, maintain_order=True) for parts, when in zip(found, _WHEN, strict=True)
    )
    yield _stream("score", told, "time", _scaled(version, SCORE, told["score"].to_numpy()))
    if version.frame.is_labelled and known.height:
        served = ServedRows(known, known, version)
        actuals, decisions = served.actuals, served.decisions
        numbers = version.frame.task == "regression"
        wrong = np.abs(actuals - decisions) if numbers else (actuals != decisions).astype(np.float64)
        errors = _scaled(version, ACTUAL, wrong, about=0.0) if numbers else wrong
        yield _stream("actual", known, "known_at", _scaled(version, ACTUAL, actuals))
        yield _stream("error", known, "known_at", errors)


def _stream(name: str, lines: pl.DataFrame, when: str, values: NDArray[np.float64]) -> _Stream:
    there = np.isfinite(values)
    lines = lines.filter(there)
    return _Stream(name, lines[when].to_list(), lines["id"].to_list(), values[there])


def _scaled(
    version: ServedVersion, name: str, values: NDArray[np.float64], *, about: float | None = None
) -> NDArray[np.float64]:
    """Numbers in standard deviations of the reference, so that options mean the same whatever the unit."""
    before = version.reference.histograms.get(name)
    floats = values.astype(np.float64)
    if before is None or not before.deviation > 0:
        return floats
    return (floats - (before.mean if about is None else about)) / before.deviation


def _alert(
    workspace: Workspace, version: ServedVersion, kind: str, stream: _Stream, place: int, now: datetime
) -> AlertRow:
    at, number = stream.times[place], version.row.number
    return AlertRow(
        id=new_id("alert", now),
        lifecycle=workspace.name,
        at=now,
        kind="drift",
        severity="warning",
        message=f"{kind}: the {_CALLED[stream.name]} of v{number} changed at {at:%Y-%m-%d %H:%M:%S}",
        facts={
            "detector": kind,
            "stream": stream.name,
            "event": stream.ids[place],
            "event_at": to_jsonable(at),
            "version": number,
            **silence_of(workspace, "drift", now),
        },
    )
