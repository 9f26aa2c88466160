"""Reading the prediction log as tables, while it is being written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from everloop.core.clock import as_utc
from everloop.runtime.log.damage import Damage, found_in_names, tail_told
from everloop.runtime.log.part import Part, read_part
from everloop.runtime.log.sealing import seal
from everloop.runtime.log.segment import SegmentName, segment_names
from everloop.runtime.log.span import LogSpan, Stored, Times
from everloop.runtime.log.tables import (
    LogTables,
    empty_table,
    first_asked,
    first_refused,
    new_actuals,
    schemas,
)

MOST_IDS = 200_000
"""So many predictions are held at once while they are joined with their actuals."""


def read_log(folder: str | Path, since: datetime | None = None, until: datetime | None = None) -> LogTables:
    """Reads a prediction log at once, sealed parts and segments alike; `LogReader` reads one of any size.

    Args:
        folder: Where the segments are; one that is not there is an empty log.
        since: Lines of this time and later.
        until: Lines before this time.

    Returns:
        Predictions by when they were asked for, actuals by when they became known.

    Raises:
        DataFault: When a segment is of another form.
    """
    import polars as pl

    folder, since = Path(folder), as_utc(since) if since else None
    parts = {name: read_part(folder, name, None, since) for name in _names(folder)}
    read = [part.tables.tables for part in parts.values()]
    bounds = Times(since, as_utc(until) if until else None).bounds
    tables = [
        pl.concat([empty_table(index), *(part[index] for part in read if part[index].height)])
        .filter(*bounds)
        .sort("time", maintain_order=True)
        for index in range(len(schemas()))
    ]
    shadow = pl.col("arm") == "shadow"
    return LogTables(
        tables[0].filter(first_asked(pl.struct("id", shadow.alias("shadow")))),
        new_actuals(tables[1]),
        first_refused(tables[2]),
        damage=_damage(folder, parts),
    )


class LogReader:
    """Reads a prediction log again and again: each time only what was added is decoded.

    It holds the lines of the segments that are being written, which end at a size, and of sealed parts what
    they span: those are looked through once, for what cannot be read, and read again where somebody asks for
    their lines.

    Args:
        folder: Where the segments are; one that is not there is an empty log.
        most_ids: So many predictions are held at once while they are joined with their actuals.
    """

    def __init__(self, folder: str | Path, *, most_ids: int = MOST_IDS) -> None:
        self._folder, self._most = Path(folder), most_ids
        self._parts: dict[SegmentName, Part] = {}

    @property
    def lines(self) -> int:
        """How many lines are held."""
        return sum(table.height for part in self._parts.values() for table in part.tables.tables)

    def span(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        known_until: datetime | None = None,
    ) -> LogSpan:
        """Gives what the log holds now of a span.

        Args:
            since: Answers and actuals of this time and later.
            until: Answers before this time.
            known_until: Actuals before this time.

        Raises:
            DataFault: When a segment is of another form.
        """
        since, until, known_until = (
            None if one is None else as_utc(one) for one in (since, until, known_until)
        )
        known, self._parts = self._parts, {}
        for name in _names(self._folder):
            self._parts[name] = read_part(self._folder, name, known.get(name), since).let_go()
        damage = _damage(self._folder, self._parts)
        asked, told = Times(since, until), Times(since, known_until)
        segments = [Stored(self._folder, *one, self._lose) for one in self._parts.items()]
        return LogSpan(self._folder, segments, asked, told, damage, self._most)

    def seal(self) -> list[Path]:
        """Seals what is finished, see `seal`; what is held of it is not decoded again."""
        return seal(self._folder, self._parts)

    def _lose(self, name: SegmentName) -> None:
        self._parts.pop(name, None)


def _names(folder: Path) -> list[SegmentName]:
    return segment_names(folder) if folder.is_dir() else []


def _damage(folder: Path, parts: Mapping[SegmentName, Part]) -> tuple[Damage, ...]:
    """What of the log cannot be read; the end of the segment that is being written is no damage."""
    last = {name.worker: name for name in sorted(parts)}
    found = list(found_in_names(folder, parts)) if folder.is_dir() else []
    for name, part in parts.items():
        found += part.damage
        if not part.sealed and name != last[name.worker]:
            found += tail_told(name, part.end, part.left)
    return tuple(found)
