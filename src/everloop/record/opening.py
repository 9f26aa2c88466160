"""Opening a record by its address."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.errors import OutsideFault, UsageFault
from everloop.core.files import storage_faults

if TYPE_CHECKING:
    import sqlalchemy as sa

    from everloop.record.record import Record

WAIT_SECONDS = 10.0


def open_record(url: str, *, wait: float = WAIT_SECONDS, durable: bool = True) -> Record:
    """Opens a record, makes it where there is none, and brings an older format up to date.

    Args:
        url: ``sqlite:///relative/record.db``, ``sqlite:////absolute/record.db`` or
            ``postgresql://user:password@host:port/database``.
        wait: How long a writer waits for another process before `RecordBusy`, in seconds.
        durable: Whether a commit is on the disk when it returns. Without that a machine that stops may
            leave a SQLite file that cannot be read: for what can be made again.

    Returns:
        The record; close it, or use it in a ``with`` block.

    Raises:
        UsageFault: When the address is none of these.
        RecordTooNew: When a newer Everloop wrote it.
        RecordBusy: When another process holds it.
        RecordUnreachable: When its database does not answer.
        OutsideFault: When it is no record or may not be written.
        MissingExtra: When the database's driver is not installed.
    """
    from everloop.record.database_faults import Address, database_faults
    from everloop.record.format import bring_up_to_date
    from everloop.record.sql import SqlRecord

    engine, place = _engine(url, wait, durable=durable)
    address = Address(place, wait)
    try:
        with database_faults(address):
            bring_up_to_date(engine, address)
    except BaseException:
        engine.dispose()
        raise
    return SqlRecord(engine, address)


def _engine(url: str, wait: float, *, durable: bool) -> tuple[sa.Engine, str]:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    from everloop.record.connections import postgresql_engine, sqlite_engine

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # What cannot be taken apart may hold a password anywhere.
        raise _unknown_address(url if "@" not in url else f"{url.partition('://')[0]}://...") from None
    if parsed.drivername == "sqlite" and parsed.database and parsed.database != ":memory:":
        path = Path(parsed.database)
        _make_folder(path)
        return sqlite_engine(path, wait, durable=durable), str(path)
    if parsed.drivername in ("postgresql", "postgres"):
        return postgresql_engine(parsed, wait), parsed.render_as_string(hide_password=True)
    raise _unknown_address(parsed.render_as_string(hide_password=True))


def _make_folder(path: Path) -> None:
    try:
        with storage_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise OutsideFault(
            f"The record cannot be at {path}: {error.filename} is a file, not a folder."
        ) from None


def _unknown_address(shown: str) -> UsageFault:
    return UsageFault(
        f"{shown!r} is not the address of a record.",
        hint="sqlite:///.everloop/record.db, or postgresql://user@host/database",
    )
