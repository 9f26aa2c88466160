"""One segment of the log, read as tables while it is written, or its sealed form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.runtime.log.damage import Damage, gaps_told, stem
from everloop.runtime.log.segment import SegmentName, read_lines
from everloop.runtime.log.tables import LogTables, empty_table, schemas, tables_of

if TYPE_CHECKING:
    import polars as pl

_TRIES = 20
_BITE = 4 * 2**20
PREDICTIONS, ACTUALS, REFUSALS = range(3)
"""The kinds of lines, in the order of `LogTables.tables`."""
DAMAGE = "everloop.damage"
"""Under this key of a sealed part's metadata stands what of its segment was damaged."""


@dataclass(frozen=True)
class Part:
    """What was read of a segment, up to the position behind its last whole frame; or its sealed form.

    Attributes:
        tables: Its lines. Empty where it is sealed and they were let go: they are read again when they are
            asked for.
        ends: Of each kind the first and the last time of its lines; None where it has none.
        end: Behind which byte the next reading goes on.
        sealed: Whether nothing comes any more.
        since: Where it is sealed, from when on lines were looked at; None for all of them.
        left: How many bytes behind `end` are no whole frame.
        damage: What else of it cannot be read.
    """

    tables: LogTables
    ends: tuple[tuple[datetime, datetime] | None, ...]
    end: int = 0
    sealed: bool = False
    since: datetime | None = None
    left: int = 0
    damage: tuple[Damage, ...] = ()

    @classmethod
    def of(cls, tables: LogTables, **facts: Any) -> Part:
        """Makes the part of some lines."""
        return cls(tables, tuple(_ends(table) for table in tables.tables), **facts)

    def lacks(self, since: datetime | None) -> bool:
        """Whether lines since a time were not looked at."""
        return self.since is not None and (since is None or since < self.since)

    def let_go(self) -> Part:
        """Lets go of the lines of a sealed part."""
        if not self.sealed:
            return self
        return replace(self, tables=LogTables(*(table.clear() for table in self.tables.tables)))

    def read(
        self, folder: Path, name: SegmentName, kind: int, columns: Sequence[Any], bounds: Sequence[pl.Expr]
    ) -> pl.DataFrame:
        """Reads lines of a kind; of a sealed part only the columns and the row groups that are asked for.

        Args:
            folder: The log.
            name: The part's.
            kind: The kind of lines.
            columns: What to read; `line` is where each line lies.
            bounds: Conditions that the lines fulfil.
        """
        import polars as pl

        if self.sealed and self.ends[kind] is not None:
            lines = pl.scan_parquet(name.sealed(folder)[kind], row_index_name="line")
        else:
            lines = self.tables.tables[kind].lazy().with_row_index("line")
        return lines.filter(*bounds).select(*columns).collect()


def _ends(table: pl.DataFrame) -> tuple[datetime, datetime] | None:
    return (table["time"].min(), table["time"].max()) if table.height else None  # type: ignore[return-value]


def read_part(folder: Path, name: SegmentName, known: Part | None, since: datetime | None) -> Part:
    """Reads what is new of one segment, or its sealed form; the one may become the other meanwhile.

    Args:
        folder: The log.
        name: The segment.
        known: What was read of it before.
        since: Of a sealed part, lines of this time and later; of the others, which end at a size, all.

    Raises:
        DataFault: When it is of another form.
    """
    if known is not None and known.lacks(since):
        known = None
    if known is not None and known.sealed:
        return known
    for _ in range(_TRIES):
        try:
            if is_sealed(folder, name) or not name.segment(folder).exists():
                tables = _read_sealed(folder, name, since)
                return Part.of(tables, sealed=True, since=since, damage=tables.damage)
            return read_open(folder, name, known)
        except FileNotFoundError:
            if not (name.sealed_predictions(folder).exists() or name.segment(folder).exists()):
                break
    return Part.of(tables_of((), name.worker), since=since)  # retired meanwhile


def read_open(folder: Path, name: SegmentName, known: Part | None) -> Part:
    """Reads on in a segment that is not sealed, or all of it.

    It is read a bite at a time: lines as objects take many times what they take as a table.

    Raises:
        FileNotFoundError: When it is not there.
        DataFault: When it is of another form.
    """
    part = Part.of(tables_of((), name.worker)) if known is None else known
    fresh = [part.tables]
    end, damage, bite, more = part.end, part.damage, _BITE, True
    while more:
        found = read_lines(name.segment(folder), end, bite)
        bite = _BITE if found.end > end else 2 * bite
        fresh.append(tables_of(found.lines, name.worker))
        end, damage, more = found.end, (*damage, *gaps_told(name, found.gaps)), found.more
    return Part.of(_together(fresh), end=end, left=found.left, damage=damage)


def is_sealed(folder: Path, name: SegmentName) -> bool:
    """Says whether a segment's predictions are there as Parquet that can be read."""
    import polars as pl

    try:
        pl.read_parquet_schema(name.sealed_predictions(folder))
    except (FileNotFoundError, pl.exceptions.PolarsError):
        return False
    return True


def _together(tables: Sequence[LogTables]) -> LogTables:
    import polars as pl

    kinds = zip(*(each.tables for each in tables), strict=True)
    filled = ([first, *(table for table in more if table.height)] for first, *more in kinds)
    return LogTables(*(pl.concat(parts) if len(parts) > 1 else parts[0] for parts in filled))


def _read_sealed(folder: Path, name: SegmentName, since: datetime | None) -> LogTables:
    """Reads a sealed part; the row groups whose statistics say that they are older are left alone.

    Raises:
        FileNotFoundError: When its predictions are not there.
    """
    import polars as pl

    paths = name.sealed(folder)
    damage = [Damage(stem(name), what) for what in _kept_damage(paths[0])]
    tables = []
    for index, path in enumerate(paths):
        try:
            tables.append(_read_parquet(path, index, since))
        except FileNotFoundError:
            if index == 0 or not paths[0].exists():
                raise
            tables.append(empty_table(index))
            damage.append(Damage(path.name, "is not there, though its predictions are"))
        except pl.exceptions.PolarsError as error:
            tables.append(empty_table(index))
            why = str(error).splitlines()[0]
            damage.append(Damage(path.name, f"cannot be read: {why}"))
    return LogTables(*tables, damage=tuple(damage))


def _read_parquet(path: Path, index: int, since: datetime | None) -> pl.DataFrame:
    import polars as pl

    found = pl.scan_parquet(path)
    table = (found if since is None else found.filter(pl.col("time") >= since)).collect()
    return table.select(list(schemas()[index]))


def _kept_damage(path: Path) -> list[str]:
    """What was damaged when a segment was sealed, as its predictions' metadata says it."""
    import polars as pl

    try:
        return list(json.loads(pl.read_parquet_metadata(path).get(DAMAGE, "[]")))
    except pl.exceptions.PolarsError:  # the file itself cannot be read, as is found next
        return []
