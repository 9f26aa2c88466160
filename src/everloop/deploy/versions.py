"""Versions: packages with a number, and which of them serve."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.core.errors import NotFound
from everloop.core.ids import new_id
from everloop.record.rows import DeploymentRow, RolloutRow, VersionRow

if TYPE_CHECKING:
    from everloop.record import Record


def number_for(record: Record, lifecycle: str, trained: str) -> int:
    """Gives the number of the version that was made from this training, or the next free one.

    Args:
        record: The record.
        lifecycle: The lifecycle's name.
        trained: The key of the training step; the same training is the same version.
    """
    versions = record.find(VersionRow, lifecycle=lifecycle)
    for version in versions:
        if version.facts.get("trained") == trained:
            return version.number
    return max((version.number for version in versions), default=0) + 1


def find_version(record: Record, lifecycle: str, number: int) -> VersionRow | None:
    """Gives the version with this number, or None."""
    found = record.find(VersionRow, lifecycle=lifecycle, number=number)
    return found[0] if found else None


def require_version(record: Record, lifecycle: str, number: int) -> VersionRow:
    """Gives the version with this number.

    Raises:
        NotFound: When there is none.
    """
    version = find_version(record, lifecycle, number)
    if version is None:
        known = [f"v{row.number}" for row in record.find(VersionRow, order="number", lifecycle=lifecycle)]
        raise NotFound(
            f"{lifecycle} has no version {number}; it has {', '.join(known) or 'none'}.",
            hint="everloop status",
        )
    return version


def register(
    record: Record,
    version: VersionRow,
    *,
    causes: dict[str, str],
) -> VersionRow:
    """Adds a version that was just packaged; one that is registered already stays as it is.

    Args:
        record: The record.
        version: The version, without an id's row so far.
        causes: Ids of what it was made from, to their role.
    """
    known = find_version(record, version.lifecycle, version.number)
    if known is not None:
        return known
    with record.transaction():
        record.add(version)
        for cause, role in causes.items():
            record.link(cause, version.id, role)
        numbers = {name: value for name, value in version.metrics.items() if isinstance(value, (int, float))}
        record.measure(version.id, numbers)
    return version


def new_version(lifecycle: str, number: int, at: datetime, **fields: Any) -> VersionRow:
    """Makes the row of a new version."""
    return VersionRow(id=new_id("version", at), lifecycle=lifecycle, at=at, number=number, **fields)


def set_status(record: Record, identity: str | None, status: Any) -> None:
    """Changes what a version is: champion, challenger, retired, refused."""
    if identity is not None:
        record.put(replace(record.get(VersionRow, identity), status=status))


def deployment(record: Record, lifecycle: str) -> DeploymentRow | None:
    """Gives what serves now, or None before the first release."""
    found = record.find(DeploymentRow, order="-generation", limit=1, lifecycle=lifecycle)
    return found[0] if found else None


def champion(record: Record, lifecycle: str) -> VersionRow | None:
    """Gives the version that serves now, or None before the first release."""
    now = deployment(record, lifecycle)
    return record.get(VersionRow, now.champion) if now is not None and now.champion else None


def require_champion(record: Record, lifecycle: str, use: str) -> VersionRow:
    """Gives the version that serves now.

    Args:
        record: The record.
        lifecycle: The lifecycle's name.
        use: What it is for, such as `export`; the message says so.

    Raises:
        NotFound: Before the first release.
    """
    version = champion(record, lifecycle)
    if version is None:
        raise NotFound(
            f"{lifecycle} has no champion yet, so there is nothing to {use}.",
            hint="everloop run; or name a package with --package DIR",
        )
    return version


def open_rollout(record: Record, lifecycle: str) -> RolloutRow | None:
    """Gives the rollout that is under way, or None."""
    found = record.find(
        RolloutRow, order="-at", limit=1, lifecycle=lifecycle, state=("running", "paused", "waiting")
    )
    return found[0] if found else None
