"""A record in memory: for tests and simulations; gone with its process."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from everloop.core.errors import UsageFault
from everloop.record.faults import already_recorded, check_fields, check_time, not_found, too_late
from everloop.record.rows import KINDS, UNIQUE, Link, Row
from everloop.record.values import plain, row_values, searched

R = TypeVar("R", bound=Row)


@dataclass
class _Content:
    """Everything that a transaction can change."""

    rows: dict[type[Row], dict[str, Row]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS.values()}
    )
    links: dict[Link, None] = field(default_factory=dict)
    measurements: dict[str, dict[str, float]] = field(default_factory=dict)
    states: dict[tuple[str, str], tuple[Any, int]] = field(default_factory=dict)
    leases: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def copied(self) -> _Content:
        """Copies the containers; what is in them is never changed, only replaced."""
        return _Content(
            {kind: dict(rows) for kind, rows in self.rows.items()},
            dict(self.links),
            {owner: dict(numbers) for owner, numbers in self.measurements.items()},
            dict(self.states),
            dict(self.leases),
        )


class MemoryRecord:
    """A `Record` that keeps everything in this process, and all its promises but durability.

    Example:
        >>> from everloop.record import RunRow
        >>> record = MemoryRecord()
        >>> record.add(RunRow("run_1", "flights", datetime(2013, 5, 1, tzinfo=UTC)))
        >>> record.get(RunRow, "run_1").status
        'running'
    """

    def __init__(self) -> None:
        self._content = _Content()
        self._lock = threading.RLock()
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits everything inside at once; a transaction inside another joins it."""
        with self._lock:
            before = self._content.copied() if self._depth == 0 else None
            self._depth += 1
            try:
                yield
            except BaseException:
                if before is not None:
                    self._content = before
                raise
            finally:
                self._depth -= 1

    def add(self, row: Row) -> None:
        """Adds a row."""
        with self._lock:
            rows = self._rows(type(row))
            kept = type(row)(**row_values(row))
            if row.id in rows or self._clashes(kept):
                raise already_recorded(row, UNIQUE.get(type(row), ()))
            rows[row.id] = kept

    def put(self, row: Row) -> None:
        """Adds a row, or replaces the one with the same id."""
        with self._lock:
            kept = type(row)(**row_values(row))
            if self._clashes(kept):
                raise already_recorded(row, UNIQUE.get(type(row), ()))
            self._rows(type(row))[row.id] = kept

    def get(self, kind: type[R], identity: str, *, hold: bool = False) -> R:  # noqa: ARG002
        """Gives the row of this kind with this id; a transaction holds everything."""
        with self._lock:
            rows = self._rows(kind)
            if identity not in rows:
                raise not_found(kind, identity, rows)
            return copy.deepcopy(rows[identity])

    def find(self, kind: type[R], /, *, order: str = "at", limit: int | None = None, **equal: Any) -> list[R]:
        """Gives the rows of a kind whose fields equal what is asked for."""
        name, newest_first = order.removeprefix("-"), order.startswith("-")
        with self._lock:
            rows = self._rows(kind)
            check_fields(kind, [name, *equal])
            found = [row for row in rows.values() if all(_matches(row, *item) for item in equal.items())]
            found.sort(key=lambda row: (_sortable(getattr(row, name)), row.id), reverse=newest_first)
            return copy.deepcopy(found[:limit])

    def link(self, cause: str, effect: str, role: str) -> None:
        """Notes that one thing led to another."""
        with self._lock:
            self._content.links.setdefault(Link(cause, effect, role))

    def causes(self, identity: str) -> list[Link]:
        """Gives the links that lead to a thing."""
        with self._lock:
            return [link for link in self._content.links if link.effect == identity]

    def effects(self, identity: str) -> list[Link]:
        """Gives the links that go out from a thing."""
        with self._lock:
            return [link for link in self._content.links if link.cause == identity]

    def measure(self, owner: str, numbers: Mapping[str, float]) -> None:
        """Keeps numbers about a row."""
        with self._lock:
            kept = self._content.measurements.setdefault(owner, {})
            kept.update({name: float(value) for name, value in numbers.items()})

    def measurements(self, owner: str) -> dict[str, float]:
        """Gives the numbers about a row, sorted by name."""
        with self._lock:
            return dict(sorted(self._content.measurements.get(owner, {}).items()))

    def state(self, lifecycle: str, key: str, default: Any = None) -> Any:
        """Gives a value that was kept under a key, or the default."""
        with self._lock:
            value, generation = self._content.states.get((lifecycle, key), (None, 0))
            return copy.deepcopy(value) if generation else default

    def generation(self, lifecycle: str, key: str) -> int:
        """Tells how often a key was set."""
        with self._lock:
            return self._content.states.get((lifecycle, key), (None, 0))[1]

    def set_state(self, lifecycle: str, key: str, value: Any, *, expect: int | None = None) -> int:
        """Keeps a value under a key, if its generation still is the expected one."""
        content = plain(value, f"the state {key!r} of {lifecycle!r}")
        with self._lock:
            found = self.generation(lifecycle, key)
            if expect is not None and expect != found:
                raise too_late(lifecycle, key, expect, found)
            self._content.states[(lifecycle, key)] = (content, found + 1)
            return found + 1

    def lease(self, name: str, holder: str, until: datetime, now: datetime) -> bool:
        """Takes or renews the sole right to a name."""
        end = check_time(until, f"the end of lease {name!r}").astimezone(UTC)
        start = check_time(now, f"the time at which lease {name!r} is asked for").astimezone(UTC)
        with self._lock:
            owner, owned_until = self._content.leases.get(name, (holder, end))
            if owner != holder and owned_until > start:
                return False
            self._content.leases[name] = (holder, end)
            return True

    def release(self, name: str, holder: str) -> None:
        """Gives a lease back."""
        with self._lock:
            if self._content.leases.get(name, ("", None))[0] == holder:
                del self._content.leases[name]

    def close(self) -> None:
        """Does nothing: there is nothing to let go of."""

    def __enter__(self) -> Self:
        """Gives the record itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the record."""
        self.close()

    def _rows(self, kind: type[R]) -> dict[str, R]:
        if kind not in self._content.rows:
            known = ", ".join(row.__name__ for row in self._content.rows)
            raise UsageFault(f"{kind.__name__} is not a kind of row; the record keeps {known}.")
        return self._content.rows[kind]  # type: ignore[return-value]

    def _clashes(self, row: Row) -> bool:
        names = UNIQUE.get(type(row), ())
        return bool(names) and any(
            other.id != row.id and all(getattr(other, name) == getattr(row, name) for name in names)
            for other in self._rows(type(row)).values()
        )


def _matches(row: Row, name: str, asked: Any) -> bool:
    kept = getattr(row, name)
    if isinstance(asked, (tuple, list, set, frozenset)):
        return kept in [searched(item) for item in asked]
    return bool(kept == searched(asked))


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, "" if value is None else value)
