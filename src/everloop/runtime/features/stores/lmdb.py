"""The embedded store: LMDB, a file that every process of the machine maps into its memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from everloop.core.errors import EverloopError, OnlineStoreUnreachable, StorageFull
from everloop.core.extras import require
from everloop.core.files import storage_faults
from everloop.runtime.features.stores.closing import Closing
from everloop.runtime.features.stores.store import Capabilities, Change

# Room in the address space; the file grows as it is filled.
MAP_BYTES = 64 * 2**30
_MOST_READERS = 1024

# LMDB forbids one process to open a folder twice, so those who ask for the same one share it.
_open: dict[Path, tuple[Any, int]] = {}
_lock = Lock()


class LmdbStore(Closing):
    """A folder with LMDB's file and its lock.

    A commit is on the disk before `update` returns; after a crash of the machine the newest one may
    be missing, never half of one (`metasync=False`).

    Args:
        address: ``lmdb:FOLDER``; the folder is made where it is not there.

    Raises:
        MissingExtra: When the package lmdb is not installed.
        OnlineStoreUnreachable: When the folder cannot be opened.
    """

    capabilities: ClassVar[Capabilities] = Capabilities("lmdb", keeps=True, shared_by="machine")

    def __init__(self, address: str) -> None:
        self.address = address
        self._folder = Path(address.partition(":")[2])
        with storage_faults(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._folder = self._folder.resolve()
        self._lmdb = require("lmdb", extra="online")
        self._closed = False
        self._environment = _acquire(self._folder, self._lmdb)

    def __repr__(self) -> str:
        return f"LmdbStore({self.address!r})"

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Gives the values of keys."""
        try:  # the hot path: without the generator of a `with` block of ours
            with self._environment.begin() as transaction:
                return [transaction.get(key) for key in keys]
        except self._lmdb.Error as error:
            raise self._fault(error) from error

    def update(self, keys: Sequence[bytes], change: Change) -> None:
        """Changes values together."""
        with self._faults(), self._environment.begin(write=True) as transaction:
            new = change([transaction.get(key) for key in keys])
            for key, value in zip(keys, new, strict=True):
                if value is None:
                    transaction.delete(key)
                else:
                    transaction.put(key, value)

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """Gives the keys that begin with a prefix."""
        with self._faults(), self._environment.begin() as transaction:
            cursor = transaction.cursor()
            found = cursor.iternext(values=False) if cursor.set_range(prefix) else ()
            # A list: an open reading would keep LMDB from using its pages again.
            taken = list(takewhile(lambda key: key.startswith(prefix), found))
        yield from taken

    def close(self) -> None:
        """Lets go of the folder."""
        if not self._closed:
            self._closed = True
            _release(self._folder)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except self._lmdb.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> EverloopError:
        if isinstance(error, (self._lmdb.MapFullError, self._lmdb.DiskError)):
            return StorageFull(
                f"The online store {self._folder} has no room: {error}.", hint=f"df -h {self._folder}"
            )
        return OnlineStoreUnreachable(f"The online store {self._folder} fails: {error}.")


def _acquire(folder: Path, lmdb: Any) -> Any:
    with _lock:
        environment, users = _open.get(folder, (None, 0))
        if environment is None:
            try:
                environment = lmdb.open(
                    str(folder), map_size=MAP_BYTES, metasync=False, max_readers=_MOST_READERS
                )
                environment.reader_check()  # slots of readers that were killed
            except lmdb.Error as error:
                raise OnlineStoreUnreachable(
                    f"The online store {folder} cannot be opened: {error}.",
                    hint="it is made anew from the sources: everloop features materialize",
                ) from error
        _open[folder] = (environment, users + 1)
        return environment


def _release(folder: Path) -> None:
    with _lock:
        environment, users = _open.pop(folder)
        if users > 1:
            _open[folder] = (environment, users - 1)
        else:
            environment.close()
