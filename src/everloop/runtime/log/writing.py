"""The writer of the prediction log: appends at once, commits in groups."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from everloop.core.errors import EverloopError, OutsideFault, StorageFull, UsageFault
from everloop.core.files import storage_faults, sync_folder
from everloop.runtime.log.holding import LockFile
from everloop.runtime.log.lines import ActualLine, Line, encode_line
from everloop.runtime.log.segment import (
    WORKER_NAME,
    Recovery,
    SegmentName,
    checksum,
    frame_head,
    header,
    recover,
    segment_names,
)

DURABILITIES = ("buffer", "fsync")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RETRY_SECONDS = 0.1
_TOGETHER = 64
"""So many lines are encoded at once. A request's own work leaves little of the encoder in the processor's
caches: encoding line by line costs a request more; with many more the lines are there no longer."""


@dataclass(frozen=True)
class LogLimits:
    """When lines are committed and segments end.

    Attributes:
        group_seconds: The longest that a line stays in the buffer, with durability `buffer`.
        group_lines: As many lines are committed at once without waiting, with durability `buffer`.
        sync_seconds: The longest that the disk is left to itself with what was written, with durability
            `buffer`: what a killed process has written is there, what a machine that loses its power had
            not synced may not be.
        sync_bytes: As many bytes are synced without waiting.
        segment_bytes: A segment that has grown to this is closed and a new one begun.
        segment_seconds: The same by age.
        most_waiting: As many bytes may wait for the disk before more are refused.
    """

    group_seconds: float = 0.05
    group_lines: int = 1000
    sync_seconds: float = 1.0
    sync_bytes: int = 2**20
    segment_bytes: int = 64 * 2**20
    segment_seconds: float = 3600.0
    most_waiting: int = 64 * 2**20


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
        self.folder = Path(folder)
        self.worker = worker
        self.durability = durability
        self._group_seconds = limits.group_seconds if durability == "buffer" else 0.0
        self._group_lines = limits.group_lines
        self._sync_seconds = limits.sync_seconds if durability == "buffer" else 0.0
        self._sync_bytes = min(limits.sync_bytes, limits.most_waiting // 2)
        self._most_waiting = limits.most_waiting
        with storage_faults(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock_file = LockFile(self.folder / f"worker-{worker}.lock")
        own = [name for name in segment_names(self.folder) if name.worker == worker]
        self.recovery = _recover_last(self.folder, own)
        self._segments = _Segments(self.folder, worker, own[-1].number if own else 0, limits)
        # Appending takes the bare lock: a condition's own methods cost as much as encoding a line.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        # Lines gather in one buffer, end to end: objects that are kept until the commit would each take
        # memory that no cache holds any more.
        self._waiting = bytearray()
        self._lines: list[Line] = []  # not encoded yet
        self._committing = 0  # bytes that were taken and are not synced yet
        self._sync_at = math.inf
        self._room = limits.most_waiting  # bytes that may wait beside those; negative where none are taken
        self._appended = self._taken = self._durable = 0
        self._wake_at = 1
        self._promises: deque[tuple[int, Future[None]]] = deque()
        self._fault: EverloopError | None = None
        self._hurry = False
        self._closed = False
        self._thread = threading.Thread(
            target=self._commit_forever, name=f"prediction-log-{worker}", daemon=True
        )
        self._thread.start()

    def append(self, line: Line) -> int:
        """Takes a line into the log.

        Returns:
            The line's place, for `durable`.

        Raises:
            StorageFull: When the disk has no room; the line was not taken.
            OutsideFault: When the disk fails or does not keep up; the line was not taken.
        """
        with self._lock:
            if len(self._waiting) > self._room:
                raise self._refusal()
            lines = self._lines
            lines.append(line)
            if len(lines) == _TOGETHER:
                self._encode()
            self._appended = place = self._appended + 1
            if place == self._wake_at:
                self._wake()
        return place

    def _encode(self) -> None:
        """Encodes the lines that have gathered; the lock is held."""
        waiting = self._waiting
        for line in self._lines:
            payload = encode_line(line)
            waiting += frame_head(len(payload), checksum(payload))
            waiting += payload
        self._lines.clear()

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
        with self._changed:
            if place <= self._durable:
                promise.set_result(None)
            elif self._fault is not None:
                promise.set_exception(self._fault)
            else:
                self._promises.append((place, promise))
                if place <= self._taken:
                    self._changed.notify()
        return promise

    def flush(self, timeout: float = 10.0) -> None:
        """Waits until all that was appended is on disk.

        Raises:
            StorageFull: When the disk has no room.
            OutsideFault: When the disk fails or takes longer than `timeout` seconds.
        """
        with self._changed:
            place = self._appended
            self._hurry = True
            self._changed.notify()
        try:
            self.durable(place).result(timeout)
        except TimeoutError:
            raise OutsideFault(
                f"The disk under {self.folder} took longer than {timeout} s to commit."
            ) from None

    @property
    def fault(self) -> EverloopError | None:
        """Why lines are refused at present, or None."""
        return self._fault

    @property
    def _bytes_waiting(self) -> int:
        return len(self._waiting) + self._committing

    @property
    def _gathered(self) -> bool:
        return bool(self._waiting or self._lines)

    @property
    def state(self) -> dict[str, int | str | None]:
        """Numbers for health and metrics."""
        return {
            "durability": self.durability,
            "lines_appended": self._appended,
            "lines_durable": self._durable,
            "bytes_waiting": self._bytes_waiting,
            "segment": self._segments.number,
            "bytes_dropped_at_start": self.recovery.bytes_dropped,
            "fault": None if self._fault is None else self._fault.message,
        }

    def close(self) -> None:
        """Commits what is left and lets go of the segments.

        Raises:
            StorageFull: When what is left cannot be written.
        """
        if self._closed:
            return
        try:
            self.flush()
        finally:
            with self._changed:
                self._closed = True
                self._bound()
                self._changed.notify()
            self._thread.join(10)
            self._segments.close()
            self._lock_file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _bound(self) -> None:
        """Says how much may wait, whenever something that decides it has changed; the lock is held."""
        refuses = self._closed or self._fault is not None
        self._room = -1 if refuses else self._most_waiting - self._committing

    def _wake(self) -> None:
        """Wakes the thread at the first line of a group, and when a group is large; the lock is held."""
        self._wake_at = self._taken + self._group_lines
        self._changed.notify()

    def _refusal(self) -> EverloopError:
        """Says why no line is taken now."""
        if self._closed:
            return OutsideFault(f"The log of worker {self.worker!r} is closed.")
        return self._fault or OutsideFault(
            f"The disk under {self.folder} does not keep up: {self._bytes_waiting} bytes wait."
        )

    def _commit_forever(self) -> None:
        group = bytearray()  # what could not be written yet
        unsynced = bytearray()  # what was written; whoever cannot sync it writes it again
        while True:
            with self._changed:
                self._rest(group, unsynced)
                self._gather(group)
                self._encode()
                if self._closed and not self._gathered:
                    return
                sync = self._syncs(unsynced)
                group = self._take(group, unsynced)
                place = self._taken
            try:
                self._segments.write(group)
                unsynced += group
                group = bytearray()
                if sync or self._segments.full:
                    self._segments.sync()
                    unsynced = bytearray()
            except OSError as error:
                self._fail(error)
                if self._closed:
                    return
                if not group:
                    group, unsynced = unsynced, bytearray()
                time.sleep(_RETRY_SECONDS)
            else:
                self._fulfil(place, len(unsynced))

    def _rest(self, group: bytearray, unsynced: bytearray) -> None:
        """Waits until there is something to write or to sync; the lock is held, and given up meanwhile."""
        while not (self._gathered or group or self._closed):
            if unsynced and (self._hurry or self._promises):
                return
            left = self._sync_at - time.perf_counter()
            if left <= 0:
                return
            self._changed.wait(None if left == math.inf else left)

    def _syncs(self, unsynced: bytearray) -> bool:
        """Says whether what is written now is synced with all before it; the lock is held."""
        hurry, self._hurry = self._hurry, False
        waited = hurry or self._closed or bool(self._promises) or not self._sync_seconds
        many = len(unsynced) + len(self._waiting) >= self._sync_bytes
        return waited or many or time.perf_counter() >= self._sync_at

    def _gather(self, group: bytearray) -> None:
        """Waits for a group to grow; the lock is held, and given up while waiting."""
        if not (self._gathered or group):
            return
        end = time.perf_counter() + self._group_seconds
        while self._appended - self._taken < self._group_lines and not (
            self._closed or self._hurry or self._fault
        ):
            left = end - time.perf_counter()
            if left <= 0 or not self._changed.wait(left):
                break

    def _take(self, group: bytearray, unsynced: bytearray) -> bytearray:
        """Gives what is to be committed now, behind what could not be before; the lock is held."""
        if group:
            group += self._waiting
        else:
            group = self._waiting
        self._waiting = bytearray()
        self._committing = len(group) + len(unsynced)
        self._bound()
        self._taken = self._appended
        self._wake_at = self._taken + 1
        return group

    def _fulfil(self, place: int, unsynced: int) -> None:
        kept: list[Future[None]] = []
        with self._changed:
            self._fault = None
            self._committing = unsynced
            self._bound()
            if unsynced:
                self._sync_at = min(self._sync_at, time.perf_counter() + self._sync_seconds)
                return
            self._durable, self._sync_at = place, math.inf
            while self._promises and self._promises[0][0] <= place:
                kept.append(self._promises.popleft()[1])
        for promise in kept:
            if promise.set_running_or_notify_cancel():
                promise.set_result(None)

    def _fail(self, error: OSError) -> None:
        if error.errno in _NO_ROOM:
            fault: EverloopError = StorageFull(
                f"No room left on the disk for the prediction log in {self.folder}.",
                hint=f"free some space there: df -h {self.folder}; the server then goes on by itself",
            )
        else:
            fault = OutsideFault(f"The prediction log in {self.folder} cannot be written: {error.strerror}.")
        with self._changed:
            self._fault = fault
            self._bound()
            broken, self._promises = self._promises, deque()
        for _, promise in broken:
            if promise.set_running_or_notify_cancel():
                promise.set_exception(fault)


class _Segments:
    """The segment that is being written, and the change to the next. Used by one thread."""

    def __init__(self, folder: Path, worker: str, number: int, limits: LogLimits) -> None:
        self.number = number
        self._folder, self._worker = folder, worker
        self._limits = limits
        self._descriptor = -1
        self._size = self._synced = 0
        self._opened = 0.0

    @property
    def full(self) -> bool:
        """Whether the segment ends when it is synced."""
        aged = time.perf_counter() - self._opened >= self._limits.segment_seconds
        return self._size >= self._limits.segment_bytes or aged

    def write(self, content: bytearray) -> None:
        """Writes; after an error the segment is as it was before, and the call may be repeated."""
        if self._descriptor < 0:
            self._open_next()
        written = 0
        try:
            with memoryview(content) as whole:
                while written < len(content):
                    written += os.write(self._descriptor, whole[written:])
        except OSError:
            self._cut(self._size)
            raise
        self._size += written

    def sync(self) -> None:
        """Syncs what was written; after an error that is gone, and has to be written again."""
        try:
            os.fsync(self._descriptor)
        except OSError:
            self._cut(self._synced)
            raise
        self._synced = self._size
        if self.full:
            self.close()

    def _cut(self, size: int) -> None:
        self._size = size
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, size)

    def _open_next(self) -> None:
        path = SegmentName(self._worker, self.number + 1).segment(self._folder)
        first = header(self._worker)
        # Through a scratch name, so that a segment's name never stands before its header does.
        scratch = path.with_name(f".scratch-{path.name}")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        try:
            if os.write(descriptor, first) != len(first):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
            scratch.rename(path)
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                scratch.unlink()
            raise
        self._descriptor, self._opened = descriptor, time.perf_counter()
        self._size = self._synced = len(first)
        self.number += 1

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _recover_last(folder: Path, own: list[SegmentName]) -> Recovery:
    if own and own[-1].segment(folder).exists():
        return recover(own[-1].segment(folder))
    return Recovery(None, 0, 0)
