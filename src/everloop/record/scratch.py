"""A process's own scratch folder, which others remove when the process is gone.

A session holds a lock on a file as long as its process lives; the operating system lets go of it
even after a kill, so a folder whose lock can be taken has no owner any more.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from everloop.core.files import storage_faults


class Scratch:
    """The scratch folders of one process under a parent; made at their first use."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._guard = threading.Lock()
        self._session: Path | None = None
        self._end: weakref.finalize[..., Scratch] | None = None

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Gives an empty folder; what is left in it at the end is removed."""
        with storage_faults(self._parent):
            folder = self.session() / secrets.token_hex(6)
            folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def session(self) -> Path:
        """Gives this process's folder, after removing those of processes that are gone."""
        with self._guard:
            if self._session is None:
                self._parent.mkdir(parents=True, exist_ok=True)
                with _locked(self._parent / ".lock"):
                    _remove_leftovers(self._parent)
                    session = self._parent / f"{os.getpid()}-{secrets.token_hex(4)}"
                    lock = _take(session.with_suffix(".lock"))
                    session.mkdir()
                self._session = session
                self._end = weakref.finalize(self, _remove, session, lock, os.getpid())
            return self._session

    def holds(self, folder: Path) -> bool:
        """Tells whether a folder was given out here."""
        return self._session is not None and folder.parent == self._session

    def close(self) -> None:
        """Removes this process's folder."""
        with self._guard:
            if self._end is not None:
                self._end()
            self._session = None


@contextmanager
def sole(path: Path) -> Iterator[bool]:
    """Holds a name among the processes of this machine, waiting for it; a killed process lets go of it.

    Args:
        path: The file that stands for the name; it is there only while somebody holds or waits.

    Yields:
        Whether it had to be waited for.
    """
    waited, descriptor = False, None
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        while descriptor is None:
            descriptor, blocked = _take_current(path)
            waited |= blocked
    try:
        yield waited
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _take_current(path: Path) -> tuple[int | None, bool]:
    """Takes a file's lock; gives None where its last holder removed the file meanwhile, and who waited."""
    descriptor, blocked = os.open(path, os.O_RDWR | os.O_CREAT, 0o644), False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        blocked = True
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor, blocked
    os.close(descriptor)
    return None, blocked


def _remove(session: Path, lock: int, owner: int) -> None:
    if os.getpid() != owner:  # a forked child ends: the folder is its parent's
        return
    shutil.rmtree(session, ignore_errors=True)
    session.with_suffix(".lock").unlink(missing_ok=True)
    with suppress(OSError):
        os.close(lock)


def _remove_leftovers(parent: Path) -> None:
    for lock_file in parent.glob("*-*.lock"):
        lock = os.open(lock_file, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        else:
            shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
            lock_file.unlink(missing_ok=True)
        finally:
            os.close(lock)


def _take(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _take(path)
    try:
        yield
    finally:
        os.close(descriptor)
