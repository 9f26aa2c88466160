"""A clock for rehearsals: it is as late as the latest line of the prediction log."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from everloop.core.clock import as_utc
from everloop.runtime.log.lines import decode_line
from everloop.runtime.log.segment import MAGIC, SegmentName, payloads, segment_names

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
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Tells the time of the latest event."""
        with self._lock:
            for name in segment_names(self._folder) if self._folder.is_dir() else []:
                latest = self._latest(name)
                if latest is not None:
                    self._now = max(self._now, latest)
            return self._now

    def sleep(self, seconds: float) -> None:
        """Waits for real: events come when they come."""
        time.sleep(max(0.0, seconds))

    def _latest(self, name: SegmentName) -> datetime | None:
        """Gives the latest time among a segment's new lines."""
        begun = self._read.get(name, 0)
        if begun < 0:
            return None
        try:
            with name.segment(self._folder).open("rb") as file:
                file.seek(begun)
                content = file.read()
        except FileNotFoundError:
            return self._sealed(name)
        if begun == 0:
            whole = list(payloads(content))
            lines, end = whole[1:], whole[-1][1] if whole else 0
        else:
            lines = list(payloads(MAGIC + content))
            end = begun + (lines[-1][1] - len(MAGIC) if lines else 0)
        self._read[name] = end
        times = [decode_line(payload).time for payload, _ in lines]
        return _EPOCH + timedelta(microseconds=max(times)) if times else None

    def _sealed(self, name: SegmentName) -> datetime | None:
        import polars as pl

        paths = (name.sealed_predictions(self._folder), name.sealed_actuals(self._folder))
        try:
            times = [pl.scan_parquet(path).select(pl.col("time").max()).collect().item() for path in paths]
        except FileNotFoundError:
            return None
        self._read[name] = -1
        return max((as_utc(moment) for moment in times if moment is not None), default=None)
