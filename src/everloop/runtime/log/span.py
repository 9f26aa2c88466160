"""A span of the prediction log, read when it is asked for and in parts.

A part is what one segment holds of the span: segments end at a size, so each fits in memory, however many
there are. What is narrow of the lines (all but the row as served) is joined with the actuals once for all who
ask; rows are read for those lines alone that are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from everloop.core.errors import DataFault
from everloop.runtime.log.damage import Damage
from everloop.runtime.log.joining import LINE, SEGMENT, Joined, join, shared
from everloop.runtime.log.part import ACTUALS, PREDICTIONS, REFUSALS, Part
from everloop.runtime.log.piles import Piles
from everloop.runtime.log.segment import SegmentName
from everloop.runtime.log.tables import empty_table, first_refused, new_actuals, schemas

if TYPE_CHECKING:
    import polars as pl

WIDE = ("row", "scores")
"""The columns of a prediction that are read for the lines alone that are wanted."""
_KNOWN = ("actual", "known_at", "corrections")


@dataclass(frozen=True)
class Times:
    """From a time on, and before another; None where there is no such end."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def bounds(self) -> list[pl.Expr]:
        """The same as conditions on `time`."""
        import polars as pl

        found = [] if self.since is None else [pl.col("time") >= self.since]
        return found if self.until is None else [*found, pl.col("time") < self.until]

    def meets(self, ends: tuple[datetime, datetime] | None) -> bool:
        """Says whether lines between two times, both with them, may be within."""
        if ends is None:
            return False
        after = self.since is None or ends[1] >= self.since
        return after and (self.until is None or ends[0] < self.until)


@dataclass(frozen=True)
class Stored:
    """A segment of the log in its folder.

    Attributes:
        folder: The log.
        name: Which it is.
        part: What was read of it.
        lose: Is told where it cannot be read any more, so that it is looked through anew.
    """

    folder: Path
    name: SegmentName
    part: Part
    lose: Callable[[SegmentName], object]

    def read(self, kind: int, columns: Sequence[Any], times: Times) -> pl.DataFrame:
        """Reads columns of the lines of a kind within some times.

        Raises:
            DataFault: When it was damaged since it was looked through; the next look tells of it.
        """
        import polars as pl

        try:
            return self.part.read(self.folder, self.name, kind, columns, times.bounds)
        except FileNotFoundError:  # retired meanwhile
            return empty_table(kind).with_row_index(LINE).select(*columns)
        except pl.exceptions.PolarsError as error:
            self.lose(self.name)
            path = self.name.sealed(self.folder)[kind]
            raise DataFault(
                f"{path.name} in the prediction log could be read before, and cannot any more: {error}.",
                hint="give the same command again: what cannot be read of the log is left out and told",
                place=str(path),
            ) from None

    def meets(self, kind: int, times: Times) -> bool:
        """Says whether lines of a kind may be within some times."""
        return times.meets(self.part.ends[kind])


class LogSpan:
    """What a log held of a span when it was looked at. Close it, or use it in a ``with``.

    Args:
        folder: Where rows may wait on disk.
        segments: The log's.
        asked: Of when the answers are.
        known: Of when the actuals are.
        damage: What of the log cannot be read.
        most_ids: So many ids are held at once.
    """

    def __init__(
        self,
        folder: Path,
        segments: Sequence[Stored],
        asked: Times,
        known: Times,
        damage: tuple[Damage, ...],
        most_ids: int,
    ) -> None:
        self._folder, self._segments, self._most = folder, segments, most_ids
        self._asked, self._known = asked, known
        self._open = ExitStack()
        self.damage = damage

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of what waits on disk."""
        self._open.close()

    def most_since(self, since: datetime | None) -> int:
        """Gives how many answers since a time there are at most: repeated ones and shadows are counted."""
        return sum(self._lines(PREDICTIONS, Times(since, self._asked.until)).counts())

    def facts(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[pl.DataFrame]:
        """Gives the answers, shadows among them, with their actuals, but not their rows.

        Args:
            since: Of this time and later.
            until: Before this time.

        Yields:
            Parts by time, with the columns of `LogTables.joined` but `row` and `scores`, and where each line
            is; none is empty.
        """
        for part in self._joined.parts():
            found = part.filter(*Times(since, until).bounds)
            if found.height:
                yield found

    def facts_at_once(self, since: datetime | None = None) -> pl.DataFrame:
        """Gives the parts of `facts` in one table: it grows with the traffic."""
        import polars as pl

        found = list(self.facts(since))
        return pl.concat(found) if found else next(self._joined.parts()).clear()

    def lines(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[pl.DataFrame]:
        """Gives the answers with their rows, a segment at a time.

        Together they are the lines of `read_log(...).joined()` of that time.

        Args:
            since: Of this time and later.
            until: Before this time.

        Yields:
            The lines of a segment by time; none is empty.
        """
        times = Times(since, until)
        for place, segment in enumerate(self._segments):
            if not segment.meets(PREDICTIONS, times):
                continue
            found = self._joined.of(place)
            found = None if found is None else found.filter(*times.bounds)
            if found is None or not found.height:
                continue
            rows = segment.read(PREDICTIONS, (LINE, *WIDE), times)
            columns = [*schemas()[PREDICTIONS], *_KNOWN]
            yield found.join(rows, on=LINE, how="inner", maintain_order="left").select(columns)

    def refusals(self) -> pl.DataFrame:
        """Gives the rows that an arm refused or failed on, each once, by time."""
        import polars as pl

        return pl.concat(list(self.told(REFUSALS))).sort("time", maintain_order=True)

    def told(self, kind: int) -> Iterator[pl.DataFrame]:
        """Gives the actuals that say something new, or the refusals, each once.

        Args:
            kind: `ACTUALS` or `REFUSALS`.

        Yields:
            Parts that each have all of an id, by time.
        """
        times, once = (self._known, new_actuals) if kind == ACTUALS else (self._asked, first_refused)
        for part in shared(self._lines(kind, times), self._most, self._piles):
            yield once(part.sort("time", maintain_order=True))

    @cached_property
    def _joined(self) -> Joined:
        asked, actuals = self._lines(PREDICTIONS, self._asked), self._lines(ACTUALS, self._known)
        return join(asked, actuals, self._most, self._piles)

    def _piles(self) -> Piles:
        return self._open.enter_context(Piles(self._folder))

    def _lines(self, kind: int, times: Times) -> _Narrow:
        return _Narrow(self._segments, kind, times)


@dataclass(frozen=True)
class _Narrow:
    """The narrow columns of the lines of a kind within some times, a segment at a time."""

    segments: Sequence[Stored]
    kind: int
    times: Times

    def counts(self) -> list[int]:
        import polars as pl

        return [
            int(one.read(self.kind, (pl.len(),), self.times).item())
            if one.meets(self.kind, self.times)
            else 0
            for one in self.segments
        ]

    def of(self, place: int) -> pl.DataFrame:
        import polars as pl

        columns: list[Any] = [name for name in schemas()[self.kind] if name not in WIDE]
        if self.kind == PREDICTIONS:
            columns += [LINE, pl.lit(place, pl.UInt32).alias(SEGMENT)]
        if place < len(self.segments) and self.segments[place].meets(self.kind, self.times):
            return self.segments[place].read(self.kind, columns, self.times)
        return empty_table(self.kind).with_row_index(LINE).select(*columns).clear()
