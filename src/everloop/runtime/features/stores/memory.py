"""A store in this process's memory: for tests, and for a look at history that keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import RLock
from typing import ClassVar

from everloop.runtime.features.stores.closing import Closing
from everloop.runtime.features.stores.store import Capabilities, Change


class MemoryStore(Closing):
    """A dictionary behind a lock."""

    capabilities: ClassVar[Capabilities] = Capabilities("memory", keeps=False, shared_by="process")

    def __init__(self, address: str = "memory:") -> None:
        self.address = address
        self._values: dict[bytes, bytes] = {}
        self._lock = RLock()

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Gives the values of keys."""
        with self._lock:
            return [self._values.get(key) for key in keys]

    def update(self, keys: Sequence[bytes], change: Change) -> None:
        """Changes values together."""
        with self._lock:
            new = change(self.read(keys))
            for key, value in zip(keys, new, strict=True):
                if value is None:
                    self._values.pop(key, None)
                else:
                    self._values[key] = bytes(value)

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """Gives the keys that begin with a prefix."""
        with self._lock:
            found = sorted(key for key in self._values if key.startswith(prefix))
        yield from found

    def close(self) -> None:
        """Forgets everything."""
        self._values.clear()
