"""What a database's errors mean to a user."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from everloop.core.errors import (
    DataFault,
    EverloopError,
    OutsideFault,
    RecordBusy,
    RecordUnreachable,
    StorageFull,
)

_SQLITE_FAULTS: dict[str, type[EverloopError]] = {
    "SQLITE_BUSY": RecordBusy,
    "SQLITE_LOCKED": RecordBusy,
    "SQLITE_FULL": StorageFull,
    "SQLITE_IOERR_WRITE": StorageFull,
    "SQLITE_IOERR_FSYNC": StorageFull,
    "SQLITE_IOERR_SHMSIZE": StorageFull,
}
_POSTGRESQL_FAULTS: dict[str, type[EverloopError]] = {
    "55P03": RecordBusy,  # lock_not_available
    "40001": RecordBusy,  # serialization_failure
    "40P01": RecordBusy,  # deadlock_detected
    "53300": RecordBusy,  # too_many_connections
    "53100": StorageFull,  # disk_full
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a record is.

    Attributes:
        place: What a user calls it: the file's path, or the URL without its password.
        wait: How long a writer waits for another one, in seconds.
    """

    place: str
    wait: float


@contextmanager
def database_faults(address: Address) -> Iterator[None]:
    """Turns the database's errors into ours; errors about a row's uniqueness pass.

    Raises:
        DataFault: When a value cannot be kept, such as a text with a NUL in PostgreSQL.
        RecordBusy: When another process holds the record longer than we wait.
        RecordUnreachable: When the database does not answer or is no record.
        StorageFull: When the disk has no room.
    """
    start = time.perf_counter()
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise
    except DataError as error:
        raise DataFault(f"The record {address.place} cannot keep this: {error.orig}.") from error
    except PoolTimeout as error:
        raise RecordBusy(f"All connections to the record {address.place} are in use.") from error
    except DBAPIError as error:
        raise _translated(error.orig, address, time.perf_counter() - start) from error


def _translated(error: Any, address: Address, seconds: float) -> EverloopError:
    name = str(getattr(error, "sqlite_errorname", None) or "")
    state = str(getattr(error, "sqlstate", None) or "")
    primary = "_".join(name.split("_")[:2])
    family = (
        _SQLITE_FAULTS.get(name)
        or _SQLITE_FAULTS.get(primary)
        or _POSTGRESQL_FAULTS.get(state)
        or (
            OutsideFault
            if name or (state and state[:2] not in ("08", "57", "3D", "28"))
            else RecordUnreachable
        )
    )
    reason = str(error).strip().split("\n")[0].rstrip(".")
    if family is RecordBusy:
        return RecordBusy(
            f"Another process holds the record {address.place}; waited {seconds:.1f} s ({reason}).",
            hint="stop the other everloop command, or give this one again when it is done",
        )
    if family is StorageFull:
        return StorageFull(
            f"No room left on the disk of the record {address.place} ({reason}); nothing was changed.",
            hint="free some space and give the same command again: it continues where it was",
        )
    if primary in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
        return OutsideFault(
            f"{address.place} is not a record, or is damaged ({reason}).",
            hint="restore it from a copy, or move it away to begin a new record",
        )
    if primary in ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"):
        return OutsideFault(
            f"The record {address.place} cannot be opened for writing ({reason}).",
            hint="check the permissions of the file and of its folder",
        )
    if family is RecordUnreachable:
        return RecordUnreachable(
            f"The record {address.place} does not answer ({reason}).", hint="everloop doctor"
        )
    return OutsideFault(f"The record {address.place} failed ({reason}).")
