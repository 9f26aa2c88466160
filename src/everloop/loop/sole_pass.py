"""One pass at a time for a lifecycle, on all machines that share its record."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from everloop.core.clock import SystemClock
from everloop.core.errors import EverloopError, RecordBusy

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace

LEASE = timedelta(minutes=1)
"""A machine that says nothing for so long has given its pass up."""


@contextmanager
def sole_pass(workspace: Workspace) -> Iterator[None]:
    """Holds the right to make a pass: by a lock on this machine, by a lease in the record among machines.

    A process that is killed lets go of the lock at once; its machine's next pass takes the lease over,
    and another machine's may begin when it has run out. While the block lasts the lease is renewed.

    Raises:
        RecordBusy: When another process or machine makes one.
    """
    name, holder, clock = f"run:{workspace.name}", _holder(workspace), SystemClock()
    with workspace.sole("run"):
        if not workspace.record.lease(name, holder, clock.now() + LEASE, clock.now()):
            raise RecordBusy(
                f"Another machine is at work on {workspace.name} (run).",
                hint=f"everloop status; a machine that died is waited for {LEASE.seconds} s",
            )
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE.seconds / 4):
                try:
                    workspace.record.lease(name, holder, clock.now() + LEASE, clock.now())
                except EverloopError:  # a record that is busy is asked again
                    continue

        renewing = threading.Thread(target=renew, name="lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()
            workspace.record.release(name, holder)


def _holder(workspace: Workspace) -> str:
    # One process of a folder holds its lock; the next one of the same folder goes on with its lease.
    return f"{socket.gethostname()}:{workspace.state_folder.resolve()}"
