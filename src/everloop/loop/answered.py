"""The answers in the prediction log as one tick of the loop needs them: read where asked for, and in parts.

Nothing here holds a span of the log. What adds up is counted part by part; where rows are needed, so many
are drawn by the hash of their id that all of them may be held: the same ones whoever draws them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from everloop.measure.maturity import DelayCurve
from everloop.monitor.window import delay_of
from everloop.runtime.routing import SHADOW

if TYPE_CHECKING:
    import polars as pl

    from everloop.runtime.log import LogSpan

SAMPLE_ROWS = 100_000
"""Of so many rows of a window the intervals, estimates and causes are made, where it has more."""


@dataclass(frozen=True)
class Answered:
    """The answers that were given, shadows apart, at the time of a tick.

    Attributes:
        span: What the log holds of them.
        now: The time of the tick.
        most: So many rows are held where rows are needed.
    """

    span: LogSpan
    now: datetime
    most: int = SAMPLE_ROWS

    def facts(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[pl.DataFrame]:
        """Gives the answers with their actuals, without their rows, a part at a time; see `LogSpan.facts`."""
        yield from unshadowed(self.span.facts(since, until))

    def lines(self, since: datetime, until: datetime) -> Iterator[pl.DataFrame]:
        """Gives the answers with their rows, a segment at a time; see `LogSpan.lines`."""
        yield from unshadowed(self.span.lines(since, until))

    def times(self, since: datetime | None) -> Iterator[pl.Series]:
        """Gives when predictions were made since a time, a part at a time."""
        yield from (part["time"] for part in self.facts(since))

    @cached_property
    def delay(self) -> DelayCurve | None:
        """When actuals come, learned from all answers, or from as many as are held; None without any."""
        import polars as pl

        limit = drawn_until(self.facts(), self.most)
        found = [part.select("time", "known_at").filter(drawn(part, limit)) for part in self.facts()]
        return delay_of(pl.concat(found), now=self.now) if found else None


def drawn_until(parts: Iterable[pl.DataFrame], most: int) -> int | None:
    """Draws so many rows by the hash of their id.

    Args:
        parts: The rows, with `id`.
        most: How many.

    Returns:
        Up to which hash a row is drawn, for `drawn`; None where all of them are.
    """
    import polars as pl

    least, rows = pl.Series([], dtype=pl.UInt64), 0
    for part in parts:
        rows += part.height
        least = pl.concat([least, part["id"].hash()]).bottom_k(most + 1)
    return None if rows <= most else int(least.sort()[most - 1])


def drawn(lines: pl.DataFrame, limit: int | None) -> pl.Series:
    """Says of each row whether it was drawn."""
    import polars as pl

    if limit is None:
        return pl.repeat(value=True, n=lines.height, eager=True)
    return lines["id"].hash() <= limit


def unshadowed(parts: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Leaves the answers of shadows out."""
    import polars as pl

    for part in parts:
        found = part.filter(pl.col("arm") != SHADOW)
        if found.height:
            yield found
