"""A worker's name in the prediction log: held by one process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from everloop.core.errors import RecordBusy
from everloop.core.files import storage_faults


class LockFile:
    """Holds a worker's name for as long as this process lives; the file's content says who.

    Raises:
        RecordBusy: When another process holds it.
    """

    def __init__(self, path: Path) -> None:
        with storage_faults(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise RecordBusy(
                f"Process {holder} already writes the prediction log {path.parent} for this worker.",
                hint=f"stop it, or give this server another worker name: ps {holder}",
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def close(self) -> None:
        """Lets go of the name."""
        os.close(self._descriptor)
