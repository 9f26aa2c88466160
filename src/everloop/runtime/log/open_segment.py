"""The segment that a worker writes, and the change to the next."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path

from everloop.core.files import sync_folder
from everloop.runtime.log.limits import LogLimits
from everloop.runtime.log.segment import SegmentName, header


class OpenSegment:
    """Writes to the end of a worker's last segment. Used by one thread.

    Args:
        folder: Where the segments are.
        worker: Whose they are.
        number: Of the last segment that there is; what is written goes to a new one.
        limits: When a segment ends.

    Attributes:
        number: Of the segment that is written.
    """

    def __init__(self, folder: Path, worker: str, number: int, limits: LogLimits) -> None:
        self.number = number
        self._folder, self._worker = folder, worker
        self._limits = limits
        self._descriptor = -1
        self._size = self._synced = 0
        self._opened = 0.0

    @property
    def ends(self) -> bool:
        """Whether the segment ends when it is synced."""
        aged = time.perf_counter() - self._opened >= self._limits.segment_seconds
        return self._size >= self._limits.segment_bytes or aged

    def write(self, content: bytes) -> None:
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
        if self.ends:
            self.close()

    def close(self) -> None:
        """Lets go of the segment; what is written next goes to another."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

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
