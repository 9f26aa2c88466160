"""Alerts as lines of JSON in a file."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from everloop.core.errors import OutsideFault, StorageFull
from everloop.core.values import to_jsonable
from everloop.monitor.alerts.receiver import Alert


@dataclass(frozen=True)
class FileReceiver:
    """Appends one line for each alert; the lines are on disk when `send` returns.

    Attributes:
        path: The file; it and its folder are made when they are not there.
    """

    path: Path
    grouped: bool = True

    def send(self, alerts: Sequence[Alert]) -> None:
        """Appends alerts, all of them or none.

        Raises:
            StorageFull: When the disk has no room for all of them.
            OutsideFault: When the file cannot be written.
        """
        lines = (json.dumps(to_jsonable(alert), ensure_ascii=False) + "\n" for alert in alerts)
        content = "".join(lines).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)  # lines of several threads do not mix
                _append(handle, content)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            fault = StorageFull if error.errno == errno.ENOSPC else OutsideFault
            raise fault(f"The alert cannot be written to {self.path}: {error.strerror}.") from None


def _append(handle: int, content: bytes) -> None:
    """Appends all of it; what a disk that fills up took of it is cut off again."""
    size = os.fstat(handle).st_size
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(handle, left) :]
    except OSError:
        os.ftruncate(handle, size)
        raise
