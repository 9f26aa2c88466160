"""The thread that commits the prediction log: writes groups, and syncs what it wrote when that is due."""

from __future__ import annotations

import errno
import math
import threading
import time
from pathlib import Path

from everloop.core.errors import EverloopError, OutsideFault, StorageFull
from everloop.runtime.log.gathering import Gathering
from everloop.runtime.log.limits import LogLimits
from everloop.runtime.log.open_segment import OpenSegment
from everloop.runtime.log.promises import Promises, keep

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RETRY_SECONDS = 0.1


class Committing:
    """Commits what gathers until it is closed. Nothing that was appended is lost to a disk that fails.

    Under traffic the thread wakes once a group: no line wakes it that comes within `group_seconds` of the
    commit before, since it comes by itself then. Each time that it wakes it takes the interpreter from
    whoever answers requests.

    Args:
        gathering: What gathers; its lock is held while anything here is read or changed.
        segment: Where it is written.
        folder: Where the log is, for messages.
        worker: Whose log it is, for the thread's name.
        limits: When a group ends and when it is synced, already those of the log's durability.

    Attributes:
        promises: Who waits for lines to be durable.
        durable: The place of the last line that is on disk.
        hurry: Whether what there is is committed now.
    """

    def __init__(
        self, gathering: Gathering, segment: OpenSegment, folder: Path, worker: str, limits: LogLimits
    ) -> None:
        self.promises = Promises()
        self.durable = 0
        self.hurry = False
        self._gathering, self._segment, self._folder = gathering, segment, folder
        self._group_seconds, self._sync_seconds = limits.group_seconds, limits.sync_seconds
        self._sync_bytes = min(limits.sync_bytes, limits.most_waiting // 2)
        self._sync_at = math.inf
        self._unwritten = b""  # what could not be written yet
        self._unsynced: list[bytes] = []  # what was written; whoever cannot sync it writes it again
        self._unsynced_bytes = 0
        self._thread = threading.Thread(target=self._commit, name=f"prediction-log-{worker}", daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Waits until the thread has ended, which it does once the gathering is closed."""
        self._thread.join(seconds)

    def _commit(self) -> None:
        gathering = self._gathering
        while True:
            with gathering.lock:
                self._rest()
                if gathering.closed and not (gathering.waits or self._unwritten):
                    return
                group, self._unwritten = self._unwritten + gathering.take(), b""
                sync = self._syncs(len(group))
                gathering.bound(len(group) + self._unsynced_bytes)
                place = gathering.taken
            try:
                self._write(group, sync)
            except OSError as error:
                self._fail(error)
                if gathering.closed:
                    return
                time.sleep(_RETRY_SECONDS)
            else:
                self._fulfil(place)

    def _rest(self) -> None:
        """Waits until there is something to write or to sync; the lock is given up meanwhile."""
        if self._unwritten:
            return
        gathering = self._gathering
        self._grow()
        while not (gathering.waits or gathering.closed or self._awaited):
            left = self._sync_at - time.perf_counter()
            if left <= 0:
                return
            gathering.wake_at_once()
            if not gathering.waits:
                gathering.changed.wait(None if left == math.inf else left)
            self._grow()

    def _grow(self) -> None:
        """Gives a group its time."""
        end = time.perf_counter() + self._group_seconds
        gathering = self._gathering
        while not (gathering.full or gathering.closed or self.hurry or self._awaited):
            left = end - time.perf_counter()
            if left <= 0:
                return
            gathering.changed.wait(left)

    @property
    def _awaited(self) -> bool:
        """Whether somebody waits for what is written to be synced."""
        return bool(self._unsynced) and (self.hurry or bool(self.promises))

    def _syncs(self, more: int) -> bool:
        """Says whether what is written now is synced with all before it."""
        hurry, self.hurry = self.hurry, False
        waited = hurry or self._gathering.closed or bool(self.promises) or not self._sync_seconds
        many = self._unsynced_bytes + more >= self._sync_bytes
        return waited or many or time.perf_counter() >= self._sync_at

    def _write(self, group: bytes, sync: bool) -> None:
        if group:
            try:
                self._segment.write(group)
            except OSError:
                self._unwritten = group
                raise
            self._unsynced.append(group)
            self._unsynced_bytes += len(group)
        if sync or self._segment.ends:
            try:
                self._segment.sync()
            except OSError:
                self._unwritten = b"".join(self._unsynced)
                raise
            finally:
                self._unsynced, self._unsynced_bytes = [], 0

    def _fulfil(self, place: int) -> None:
        gathering, kept = self._gathering, []
        with gathering.lock:
            gathering.fault = None
            gathering.bound(self._unsynced_bytes)
            if self._unsynced:
                self._sync_at = min(self._sync_at, time.perf_counter() + self._sync_seconds)
            else:
                self.durable, self._sync_at = place, math.inf
                kept = self.promises.due(place)
        keep(kept)

    def _fail(self, error: OSError) -> None:
        if error.errno in _NO_ROOM:
            fault: EverloopError = StorageFull(
                f"No room left on the disk for the prediction log in {self._folder}.",
                hint=f"free some space there: df -h {self._folder}; the server then goes on by itself",
            )
        else:
            fault = OutsideFault(f"The prediction log in {self._folder} cannot be written: {error.strerror}.")
        gathering = self._gathering
        with gathering.lock:
            gathering.fault = fault
            gathering.bound(len(self._unwritten) + self._unsynced_bytes)
            broken = self.promises.all()
        keep(broken, fault)
