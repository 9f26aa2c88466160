"""Moments of entities in order, and which decisions each row of a source reaches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

NEVER = np.iinfo(np.int64).max
"""Later than every time."""


@dataclass(frozen=True)
class Timeline:
    """Moments, ordered by entity and then by time.

    Attributes:
        entity: The entity of each, from 0 on, in order.
        at: When, in microseconds since 1970; in order within an entity.
        entities: How many entities there are.
    """

    entity: Indices
    at: Indices
    entities: int

    @cached_property
    def starts(self) -> Indices:
        """The first place of each entity, and one past the last."""
        counts = np.bincount(self.entity, minlength=self.entities)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def place(self, entity: Indices, moment: Indices, *, after: bool = False) -> Indices:
        """Finds the first place of an entity that is not before a moment.

        Args:
            entity: Which entity, for each search.
            moment: The moment, for each search.
            after: Whether places at the moment itself are passed over too.

        Returns:
            For each search a place, one past the entity's last where all are before.
        """
        low, high = self.starts[entity], self.starts[entity + 1]
        longest = int((high - low).max(initial=0))
        for _ in range(longest.bit_length()):
            middle = (low + high) >> 1
            seen = self.at[np.minimum(middle, self.at.size - 1)]
            right = (low < high) & ((seen <= moment) if after else (seen < moment))
            low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
            high = np.maximum(low, high)
        return low


@dataclass(frozen=True)
class Rows:
    """A source's rows that some decision may see.

    Attributes:
        line: Their entities and the times of their events.
        order: The place of each in the source's table.
        since: From when on each is known and has happened.
        until: When each is corrected; `NEVER` where it is not.
        steady: Whether every row is known when it happens and none is corrected.
    """

    line: Timeline
    order: Indices
    since: Indices
    until: Indices
    steady: bool


@dataclass(frozen=True)
class Reach:
    """Which decisions count which rows, for one span.

    A row counts for a run of the entity's decisions, since it counts from one moment to another. Where
    rows are steady, those that a decision counts are a run too.

    Attributes:
        rows: The rows.
        decisions: The decisions.
        span: How far back rows count, in microseconds; None is without end.
    """

    rows: Rows
    decisions: Timeline
    span: int | None

    @cached_property
    def run(self) -> tuple[Indices, Indices]:
        """For each decision the first row that it counts and one past the last, where rows are steady."""
        line, decisions = self.rows.line, self.decisions
        stop = line.place(decisions.entity, decisions.at, after=True)
        if self.span is None:
            return line.starts[decisions.entity], stop
        return line.place(decisions.entity, decisions.at - self.span, after=True), stop

    @cached_property
    def begin(self) -> Indices:
        """For each row the first decision that counts it."""
        if self.rows.steady:
            return _how_many_reached(self.run[1], self.rows.order.size)
        return self.decisions.place(self.rows.line.entity, self.rows.since)

    @cached_property
    def end(self) -> Indices:
        """For each row one past the last decision that counts it; not above `begin` where none does."""
        if self.rows.steady:
            return _how_many_reached(self.run[0], self.rows.order.size)
        until = self.rows.until
        if self.span is not None:
            until = np.minimum(until, self.rows.line.at + self.span)
        return self.decisions.place(self.rows.line.entity, until)

    @cached_property
    def latest(self) -> Indices:
        """For each decision the place of the last row that it counts, -1 where there is none."""
        if self.rows.steady:
            first, stop = self.run
            return np.where(first < stop, stop - 1, -1)
        places = np.arange(self.rows.order.size)
        return spread_greatest(self, places, np.ones(places.size, bool), -1)

    def running(self, amounts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Adds up a whole number of each row that a decision counts.

        Args:
            amounts: A number for each row, 0 where it takes no part.
        """
        if self.rows.steady:
            first, stop = self.run
            so_far = np.concatenate([[0], np.cumsum(amounts)])
            held: Indices = so_far[stop] - so_far[first]
            return held
        live = self.begin < self.end
        change = np.zeros(self.decisions.at.size + 1, np.int64)
        np.add.at(change, self.begin[live], amounts[live])
        np.subtract.at(change, self.end[live], amounts[live])
        return np.cumsum(change)[:-1]

    def counted_by(self, decision: int) -> Indices:
        """Gives the places of the rows that one decision counts, in order."""
        entity = self.decisions.entity[decision]
        first, last = self.rows.line.starts[entity], self.rows.line.starts[entity + 1]
        places = np.arange(first, last)
        return places[(self.begin[first:last] <= decision) & (decision < self.end[first:last])]


def _how_many_reached(bounds: Indices, rows: int) -> Indices:
    """Counts for each row the bounds, which rise, that are not after it."""
    reached: Indices = np.cumsum(np.bincount(bounds, minlength=rows + 1))[:rows]
    return reached


def spread_greatest(
    reach: Reach, amounts: NDArray[Any], counted: NDArray[np.bool_], nothing: float
) -> NDArray[Any]:
    """Gives for each decision the greatest number among the rows that it counts.

    A row's run of decisions is covered by two runs of one power of two; the greatest number of each
    such run is then handed down to its halves.

    Args:
        reach: Who counts whom.
        amounts: A number for each row.
        counted: Which rows take part.
        nothing: What a decision gets that counts none; less than every number.
    """
    live = counted & (reach.begin < reach.end)
    begin, end, amounts = reach.begin[live], reach.end[live], amounts[live]
    level = np.frexp((end - begin).astype(np.float64))[1] - 1
    best = np.full(reach.decisions.at.size, nothing, amounts.dtype)
    for step in range(int(level.max(initial=0)), -1, -1):
        here = level == step
        np.maximum.at(best, begin[here], amounts[here])
        np.maximum.at(best, end[here] - (1 << step), amounts[here])
        if step:
            half = 1 << (step - 1)
            handed = best.copy()
            np.maximum(handed[half:], best[:-half], out=handed[half:])
            best = handed
    return best
