"""What the log says of a line elsewhere: its actual, which comes later, and whether it was asked before.

Both are found by id, in shares of the ids by their hash, none larger than what is held at once: what this
takes does not grow with the traffic, and each line is read once. Where one share is enough nothing is
written; else rows wait on disk.

Source:
    The grace hash join: Kitsuregawa, Tanaka and Moto-oka, New Generation Computing 1 (1983).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from everloop.runtime.log.piles import Piles
from everloop.runtime.log.tables import LogTables, first_asked, new_actuals

if TYPE_CHECKING:
    import polars as pl

SEGMENT, LINE = "segment", "line"
"""Which segment a line is of, and where in it: how its row is found again."""


class Lines(Protocol):
    """Lines of the log that are read a segment at a time."""

    def counts(self) -> Sequence[int]:
        """Gives how many there are in each segment."""
        ...

    def of(self, place: int) -> pl.DataFrame:
        """Gives those of a segment, in the order in which they lie."""
        ...


class Joined(Protocol):
    """Predictions with their actuals, each once."""

    def parts(self) -> Iterator[pl.DataFrame]:
        """Gives all of them, a part at a time, each by time."""
        ...

    def of(self, place: int) -> pl.DataFrame | None:
        """Gives those of a segment by time; None where it has none."""
        ...


def join(asked: Lines, actuals: Lines, most: int, piles: Callable[[], Piles]) -> Joined:
    """Joins predictions with what came true, and leaves out those that were asked for before.

    Args:
        asked: The predictions, each with `SEGMENT` and `LINE`.
        actuals: The actuals.
        most: So many ids are held at once.
        piles: Makes some for what waits on disk, where more are there; whoever gives it closes them.

    Returns:
        The predictions with `actual`, `known_at` and `corrections`.
    """
    import polars as pl

    shares = max(1, *(-(-sum(lines.counts()) // most) for lines in (asked, actuals)))
    if shares == 1:
        return _Held(_joined(*(pl.concat(list(_parts(lines))) for lines in (asked, actuals))))
    found, waiting = piles(), (piles(), piles())
    for lines, aside in zip((asked, actuals), waiting, strict=True):
        _put_aside(lines, aside, shares)
    for share in range(shares):
        own = waiting[0].take(share)
        if own is not None:
            known = waiting[1].take(share)
            joined = _joined(own, actuals.of(0).clear() if known is None else known)
            found.add(joined.with_columns(pl.col(SEGMENT).alias("pile")), "pile")
    for aside in waiting:
        aside.close()
    return _Piled(found)


def shared(lines: Lines, most: int, piles: Callable[[], Piles]) -> Iterator[pl.DataFrame]:
    """Gives lines in shares of their ids: all of an id are in one, and none is larger than what is held.

    Args:
        lines: The lines.
        most: So many ids are held at once.
        piles: Makes some for what waits on disk, where more are there; whoever gives it closes them.
    """
    import polars as pl

    shares = -(-sum(lines.counts()) // most)
    if shares <= 1:
        yield pl.concat(list(_parts(lines)))
        return
    waiting = piles()
    _put_aside(lines, waiting, shares)
    for share in waiting.numbers:
        found = waiting.take(share)
        if found is not None:
            yield found


def _put_aside(lines: Lines, aside: Piles, shares: int) -> None:
    import polars as pl

    for part in _parts(lines):
        aside.add(part.with_columns((pl.col("id").hash() % shares).alias("share")), "share")


def _parts(lines: Lines) -> Iterator[pl.DataFrame]:
    counts = lines.counts()
    yield from (lines.of(place) for place, count in enumerate(counts) if count)
    if not any(counts):
        yield lines.of(0)


def _joined(asked: pl.DataFrame, actuals: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    asked = asked.sort("time", maintain_order=True)
    shadow = pl.col("arm") == "shadow"
    asked = asked.filter(first_asked(pl.struct("id", shadow.alias("shadow"))))
    return LogTables(asked, new_actuals(actuals.sort("time", maintain_order=True))).joined()


@dataclass(frozen=True)
class _Held:
    """So few that they are held."""

    rows: pl.DataFrame

    def parts(self) -> Iterator[pl.DataFrame]:
        yield self.rows

    def of(self, place: int) -> pl.DataFrame | None:
        import polars as pl

        rows = self.rows.filter(pl.col(SEGMENT) == place)
        return rows if rows.height else None


@dataclass(frozen=True)
class _Piled:
    """On disk, a pile for each segment."""

    piles: Piles

    def parts(self) -> Iterator[pl.DataFrame]:
        for place in self.piles.numbers:
            rows = self.of(place)
            if rows is not None:
                yield rows

    def of(self, place: int) -> pl.DataFrame | None:
        rows = self.piles.take(place)
        return None if rows is None else rows.sort("time", LINE)
