"""The writer of the prediction log: appends at once, commits in groups."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from everloop.core.errors import EverloopError, OutsideFault, UsageFault
from everloop.core.files import storage_faults
from everloop.runtime.log.committing import Committing
from everloop.runtime.log.gathering import Gathering
from everloop.runtime.log.holding import LockFile
from everloop.runtime.log.limits import DURABILITIES, LogLimits
from everloop.runtime.log.lines import ActualLine, Written
from everloop.runtime.log.open_segment import OpenSegment
from everloop.runtime.log.segment import WORKER_NAME, Recovery, SegmentName, recover, segment_names


class PredictionLog:
    """Appends lines to a worker's segments. Safe to share between threads; one process a worker.

    A line is in the log's buffer when `append` returns, and on disk when `durable` says so: a thread
    writes what has gathered, at the latest `limits.group_seconds` after the first line of a group or when
    there are `limits.group_lines`, and syncs it at once where somebody waits for it. When the disk is full
    nothing that was appended is lost: it is kept and tried again, and `append` refuses further lines
    meanwhile.

    Args:
        folder: Where the segments are.
        worker: Whose segments; letters, digits, hyphens, dots.
        durability: `buffer` gathers lines for a moment and leaves what was written to the system for
            another, which a killed process does not lose; `fsync` commits as soon as the disk is ready,
            for those who wait for `durable`.
        limits: How long and how many lines are gathered, how large a segment grows.

    Raises:
        RecordBusy: When another process writes this worker's segments.
        StorageFull: When the folder cannot be made for lack of room.

    Attributes:
        append: Takes a line into the log and gives its place, for `durable`. It raises `StorageFull` when
            the disk has no room and `OutsideFault` when it fails or does not keep up; then the line was not
            taken.
        recovery: What was found at the end of the segment before.
    """

    def __init__(
        self,
        folder: str | Path,
        worker: str = "0",
        durability: str = "buffer",
        limits: LogLimits | None = None,
    ) -> None:
        limits = limits or LogLimits()
        if durability not in DURABILITIES:
            raise UsageFault(f"The log's durability is {durability!r}; expected one of {DURABILITIES}.")
        if not WORKER_NAME.fullmatch(worker):
            raise UsageFault(f"The worker's name is {worker!r}; expected letters, digits, '-', '_' and '.'.")
        if durability == "fsync":
            limits = replace(limits, group_seconds=0.0, sync_seconds=0.0)
        self.folder = Path(folder)
        self.worker = worker
        self.durability = durability
        with storage_faults(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock_file = LockFile(self.folder / f"worker-{worker}.lock")
        own = [name for name in segment_names(self.folder) if name.worker == worker]
        self.recovery = _recover_last(self.folder, own)
        self._segment = OpenSegment(self.folder, worker, own[-1].number if own else 0, limits)
        self._gathering = Gathering(self.folder, limits)
        self._committing = Committing(self._gathering, self._segment, self.folder, worker, limits)
        # The one call that each request makes: nothing stands between.
        self.append: Callable[[Written], int] = self._gathering.append
        self._ended = False

    def number_of(self, names: tuple[str, ...]) -> int | None:
        """Gives the number by which `short_lines.ShortLine` names its row's columns, for this log alone.

        None where a row has to say its names itself: there are too many different ones.
        """
        return self._gathering.number_of(names)

    def append_actual(self, line: ActualLine) -> int:
        """Takes an actual into the log, as `append` does."""
        return self.append(line)

    def durable(self, place: int) -> Future[None]:
        """Promises that a line is on disk.

        Args:
            place: What `append` gave.

        Returns:
            Done when the line and all before it are on disk; it fails when the disk does.
        """
        promise: Future[None] = Future()
        gathering, committing = self._gathering, self._committing
        with gathering.lock:
            place = min(place, gathering.appended)  # lines that were framed meanwhile are in it twice
            if place <= committing.durable:
                promise.set_result(None)
            elif gathering.fault is not None:
                promise.set_exception(gathering.fault)
            else:
                committing.promises.add(place, promise)
                if place <= gathering.taken:
                    gathering.changed.notify()
        return promise

    def flush(self, timeout: float = 10.0) -> None:
        """Waits until all that was appended is on disk.

        Raises:
            StorageFull: When the disk has no room.
            OutsideFault: When the disk fails or takes longer than `timeout` seconds.
        """
        with self._gathering.lock:
            place = self._gathering.appended
            self._committing.hurry = place > self._committing.durable
            self._gathering.changed.notify()
        try:
            self.durable(place).result(timeout)
        except TimeoutError:
            raise OutsideFault(
                f"The disk under {self.folder} took longer than {timeout} s to commit."
            ) from None

    @property
    def fault(self) -> EverloopError | None:
        """Why lines are refused at present, or None."""
        return self._gathering.fault

    @property
    def state(self) -> dict[str, int | str | None]:
        """Numbers for health and metrics."""
        fault = self.fault
        return {
            "durability": self.durability,
            "lines_appended": self._gathering.appended,
            "lines_durable": self._committing.durable,
            "bytes_waiting": self._gathering.bytes_waiting,
            "segment": self._segment.number,
            "bytes_dropped_at_start": self.recovery.bytes_dropped,
            "fault": None if fault is None else fault.message,
        }

    def close(self) -> None:
        """Commits what is left and lets go of the segments.

        Raises:
            StorageFull: When what is left cannot be written.
        """
        if self._ended:
            return
        try:
            self.flush()
        finally:
            self._ended = True
            self._gathering.close()
            self._committing.join(10)
            self._segment.close()
            self._lock_file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _recover_last(folder: Path, own: list[SegmentName]) -> Recovery:
    if own and own[-1].segment(folder).exists():
        return recover(own[-1].segment(folder))
    return Recovery(None, 0, 0)
