"""The record's own errors, and the errors that all implementations raise in the same words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime

from everloop.core.errors import DataFault, NotFound, RecordBusy, UsageFault
from everloop.core.nearness import near_names
from everloop.record.rows import Row


class AlreadyRecorded(UsageFault):
    """A row is in the record already, or another one has what must be unique."""

    code = "already-recorded"


class RecordTooNew(UsageFault):
    """A newer Everloop wrote the record."""

    code = "record-too-new"


def not_found(kind: type[Row], identity: str, known: Iterable[str]) -> NotFound:
    """Builds the error for an id that is not there."""
    name = kind_name(kind)
    nearest = near_names(identity, known, most=3)
    tail = f" The nearest: {', '.join(nearest)}." if nearest else ""
    return NotFound(f"The record has no {name} {identity!r}.{tail}", hint="everloop status")


def already_recorded(row: Row, unique: tuple[str, ...] = ()) -> AlreadyRecorded:
    """Builds the error for a row whose place is taken."""
    taken = ", ".join(f"{field} {getattr(row, field)!r}" for field in ("id", *unique))
    return AlreadyRecorded(f"The record already has a {kind_name(type(row))} with this {taken}.")


def too_late(lifecycle: str, key: str, expected: int, found: int) -> RecordBusy:
    """Builds the error for a compare-and-set that another writer has overtaken."""
    return RecordBusy(
        f"Another process changed {key!r} of {lifecycle!r} in the meantime: "
        f"expected generation {expected}, found {found}."
    )


def check_fields(kind: type[Row], names: Iterable[str]) -> None:
    """Refuses fields that a kind of row does not have, or that hold JSON.

    Raises:
        UsageFault: Naming the field and the nearest one.
    """
    known = [field.name for field in fields(kind) if field.name not in ("facts", "metrics")]
    for name in names:
        if name not in known:
            nearest = near_names(name, known)
            tail = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise UsageFault(
                f"A {kind_name(kind)} cannot be searched by {name!r}; it can by {', '.join(known)}.{tail}"
            )


def check_time(moment: datetime, what: str) -> datetime:
    """Gives the moment back, or refuses one without a zone.

    Raises:
        DataFault: When the moment has no zone.
    """
    if moment.tzinfo is None:
        raise DataFault(
            f"{what} is the time {moment.isoformat()} without a zone; the record keeps aware times only.",
            hint="take times from a Clock, or add tzinfo=UTC",
        )
    return moment


def kind_name(kind: type[Row]) -> str:
    """Gives the word for a kind of row, such as ``run``."""
    return kind.__name__.removesuffix("Row").lower()
