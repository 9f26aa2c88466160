"""What an online store is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Protocol, Self, runtime_checkable

Values = Sequence[bytes | None]
Change = Callable[[list[bytes | None]], Values]

# LMDB's own bound is 511; what is longer is named by its digest.
MOST_KEY_BYTES = 500


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a kind of store can do, as data.

    Attributes:
        kind: The scheme of its address, such as ``redis``.
        keeps: Whether what was written is there after the process, or the machine, has gone.
        shared_by: Who may use it at once: ``process``, ``machine`` or ``network``.
    """

    kind: str
    keeps: bool
    shared_by: str


@runtime_checkable
class OnlineStore(Protocol):
    """Values of bytes by keys of bytes, read fast and changed together.

    - A key has 1 to `MOST_KEY_BYTES` bytes, a value any number of them, none included.
    - `read` gives values in the order of the keys, None where there is none. They are of one moment:
      a change by `update` is seen whole or not at all.
    - `update` reads the keys, calls `change` with their values and writes what it gives, in the same
      order; None removes a key. It is one transaction: of two at once that share a key, the second
      sees what the first has written, in this process or another (`change` may be called again). An
      error in `change` leaves everything as it was and is raised.
    - `keys` gives the keys that begin with a prefix, sorted by bytes, each once.
    - When `update` returns, other users of the store see the change; where the store `keeps`, a
      process that is killed then does not lose it.
    - `read` may be called by several threads at once, `update` too. After `close` nothing may be
      called but `close`.
    - Errors: `OnlineStoreUnreachable` (retryable) when it does not answer, `StorageFull` when it has no
      room. No message carries a password.
    """

    capabilities: ClassVar[Capabilities]

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Gives the values of keys."""
        ...

    def update(self, keys: Sequence[bytes], change: Change) -> None:
        """Changes values together."""
        ...

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """Gives the keys that begin with a prefix."""
        ...

    def close(self) -> None:
        """Lets go of the store."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
