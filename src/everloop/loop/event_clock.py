"""A clock for rehearsals: it is as late as the latest line of the prediction log."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.clock import as_utc, parse_time
from everloop.core.errors import UsageFault
from everloop.deploy.versions import champion
from everloop.runtime.log.segment import SegmentName, read_lines, segment_names

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace

SYSTEM, EVENTS = "system", "events"
CLOCKS = (SYSTEM, EVENTS)
_STATE = "clock"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EventClock:
    """Tells the latest event time in a prediction log; it never goes back. Safe between threads.

    Each call reads only what was appended since the one before.

    Args:
        folder: The prediction log; one that is not there yet is empty.
        start: What the clock tells before the first event.
    """

    def __init__(self, folder: Path, start: datetime = _EPOCH) -> None:
        self._folder = folder
        self._now = as_utc(start)
        self._read: dict[SegmentName, int] = {}
        self._lines: dict[SegmentName, int] = {}
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Tells the time of the latest event."""
        with self._lock:
            for name in segment_names(self._folder) if self._folder.is_dir() else []:
                latest = self._latest(name)
                if latest is not None:
                    self._now = max(self._now, latest)
            return self._now

    @property
    def lines(self) -> int:
        """How many lines there were at the last look."""
        with self._lock:
            return sum(self._lines.values())

    def sleep(self, seconds: float) -> None:
        """Waits for real: events come when they come."""
        time.sleep(max(0.0, seconds))

    def _latest(self, name: SegmentName) -> datetime | None:
        """Gives the latest time among a segment's new lines."""
        begun = self._read.get(name, 0)
        if begun < 0:
            return None
        try:
            found = read_lines(name.segment(self._folder), begun)
        except FileNotFoundError:
            return self._sealed(name)
        lines, self._read[name] = found.lines, found.end
        self._lines[name] = self._lines.get(name, 0) + len(lines)
        return _EPOCH + timedelta(microseconds=max(line.time for line in lines)) if lines else None

    def _sealed(self, name: SegmentName) -> datetime | None:
        import polars as pl

        paths = [name.sealed_predictions(self._folder), name.sealed_actuals(self._folder)]
        if name.sealed_refusals(self._folder).exists():
            paths.append(name.sealed_refusals(self._folder))
        try:
            parts = [pl.scan_parquet(path).select(pl.col("time").max(), pl.len()).collect() for path in paths]
        except (FileNotFoundError, pl.exceptions.PolarsError):  # retired meanwhile, or damaged
            return None
        self._read[name] = -1
        self._lines[name] = sum(int(part["len"][0]) for part in parts)
        return max((as_utc(part["time"][0]) for part in parts if part["time"][0] is not None), default=None)


def claim_clock(workspace: Workspace, clock: str) -> None:
    """Notes on which clock a lifecycle serves, once and for all: one log cannot hold times of both.

    Raises:
        UsageFault: When there is no such clock, or the lifecycle has served on the other one.
    """
    if clock not in CLOCKS:
        raise UsageFault(f"There is no clock {clock!r}; expected one of {', '.join(CLOCKS)}.")
    before = workspace.record.state(workspace.name, _STATE)
    if before is None:
        workspace.record.set_state(workspace.name, _STATE, clock)
    elif before != clock:
        raise UsageFault(
            f"{workspace.name} has served on the clock {before!r}; its log cannot be continued on {clock!r}.",
            hint=f"add --clock {before}, or make another lifecycle in another folder",
        )


def on_its_clock(workspace: Workspace) -> Workspace:
    """Gives the workspace with the clock that its lifecycle serves on: the system's, or that of events."""
    if workspace.record.state(workspace.name, _STATE) != EVENTS:
        return workspace
    version = champion(workspace.record, workspace.name)
    as_of = version.facts.get("as_of") if version is not None else None
    # The champion's data is of that time: no event of a rehearsal is earlier.
    start = parse_time(as_of) if as_of else _EPOCH
    return replace(workspace, clock=EventClock(workspace.log_folder, start))
