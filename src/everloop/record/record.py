"""The record's contract."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from everloop.record.rows import Link, Row

R = TypeVar("R", bound=Row)


@runtime_checkable
class Record(Protocol):
    """The database of everything a lifecycle did.

    What every implementation promises (`everloop.testing.record_suite` checks it):

    - **Values.** Rows go in and come out as values: changing a `facts` dictionary afterwards changes
      nothing in the record. Facts come back as JSON carries them (tuples as lists, times as text,
      NaN as None). Times come back aware, in UTC, to the microsecond; a time without a zone is
      refused with `DataFault`.
    - **Durability.** Each call commits on its own, or together with the others of the
      `transaction()` that it is inside of. When a call or the transaction has returned, what it
      wrote survives a killed process and a power cut.
    - **Threads and processes.** A record may be shared by threads; a transaction belongs to the
      thread that opened it, and other threads do not see its writes before it ends. Processes open
      the same record by its address. Writers wait for each other, up to a limit, then `RecordBusy`.
    - **Missing and double.** An id that is not there is `NotFound`, which names the nearest; a row
      that is there already is `AlreadyRecorded`. After either inside a transaction, leave it.
    - **Order.** `find` sorts by the field that is asked for, then by id; `-` before the field turns
      both round. Links come in the order in which they were made.
    """

    def transaction(self) -> AbstractContextManager[None]:
        """Commits everything inside at once; after an exception nothing of it remains.

        A transaction inside another joins the outer one.
        """
        ...

    def add(self, row: Row) -> None:
        """Adds a row.

        Raises:
            AlreadyRecorded: When its id, or what must be unique of it, is taken.
            DataFault: When a time has no zone or a fact has no JSON form.
        """
        ...

    def put(self, row: Row) -> None:
        """Adds a row, or replaces the one with the same id."""
        ...

    def get(self, kind: type[R], identity: str, *, hold: bool = False) -> R:
        """Gives the row of this kind with this id.

        Args:
            kind: The kind of row.
            identity: Its id.
            hold: Whether others that hold it wait until this transaction ends, so that what is decided
                on the row is written before anybody else decides on it.

        Raises:
            NotFound: When there is none; the nearest ids are named.
        """
        ...

    def find(self, kind: type[R], /, *, order: str = "at", limit: int | None = None, **equal: Any) -> list[R]:
        """Gives the rows of a kind whose fields equal what is asked for.

        Args:
            kind: The kind of row.
            order: The field to sort by; ``-at`` for the newest first.
            limit: At most so many rows.
            **equal: Fields and their values; a tuple or list means any of its values.

        Raises:
            UsageFault: When a field is not one of the kind's, or cannot be searched by.
        """
        ...

    def link(self, cause: str, effect: str, role: str) -> None:
        """Notes that one thing led to another; the same link twice is one link.

        The ids need not be rows: a prediction, a snapshot's digest are things outside.
        """
        ...

    def causes(self, identity: str) -> list[Link]:
        """Gives the links that lead to a thing."""
        ...

    def effects(self, identity: str) -> list[Link]:
        """Gives the links that go out from a thing."""
        ...

    def measure(self, owner: str, numbers: Mapping[str, float]) -> None:
        """Keeps numbers about a row; a name that is measured again takes the new value."""
        ...

    def measurements(self, owner: str) -> dict[str, float]:
        """Gives the numbers about a row, sorted by name."""
        ...

    def state(self, lifecycle: str, key: str, default: Any = None) -> Any:
        """Gives a value that was kept under a key, or the default."""
        ...

    def generation(self, lifecycle: str, key: str) -> int:
        """Tells how often a key was set; 0 where it never was."""
        ...

    def set_state(self, lifecycle: str, key: str, value: Any, *, expect: int | None = None) -> int:
        """Keeps a value under a key.

        Args:
            lifecycle: Whose value it is.
            key: Its name.
            value: Anything with a JSON form.
            expect: Write only if the key's generation still is this one: compare and set.

        Returns:
            The key's new generation.

        Raises:
            RecordBusy: When another writer was faster than `expect` allows.
        """
        ...

    def lease(self, name: str, holder: str, until: datetime, now: datetime) -> bool:
        """Takes or renews the sole right to a name, across threads and processes.

        Args:
            name: What is held, such as ``rollout:loan-default``.
            holder: Who wants to hold it; must be different for each holder.
            until: When the right ends by itself if it is not renewed.
            now: The time by the caller's clock.

        Returns:
            Whether the holder has it now; False where another one has it beyond `now`.
        """
        ...

    def release(self, name: str, holder: str) -> None:
        """Gives a lease back; nothing happens where the holder does not have it."""
        ...

    def close(self) -> None:
        """Lets go of files and connections; closing twice is fine."""
        ...

    def __enter__(self) -> Self:
        """Gives the record itself, to be closed at the end of the block."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the record."""
        ...
