"""What is looked at for leaks: the parts of a split table, and views of them that kinds share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from everloop.data.leaks.values import Target, target_of

if TYPE_CHECKING:
    import polars as pl

    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable

JUDGED_ROWS = 20_000
"""Statistics of a column are judged on so many rows at most; a share is then known to 0.7 points."""

LATER = (("train", "validation"), ("train", "test"), ("validation", "test"))


@dataclass(frozen=True)
class Parts:
    """A split table; it need not fit in memory.

    Attributes:
        tables: ``train`` and, where there are, ``validation`` and ``test`` rows.
        inputs: The columns that a model may read, features included.
        frame: The problem.
        split_by: How the parts were made: ``time``, ``random``, ``stratified``, ``group``, or ``given``.
        group: The column whose values were kept together, where there is one.
        whole: The rows before any was left out, where one was and they are at hand.
        by_chance: Whether rows have the same inputs by chance; None where whoever made the parts did not ask.
    """

    tables: Mapping[str, ColumnTable]
    inputs: Sequence[str]
    frame: Frame
    split_by: str
    group: str | None = None
    whole: ColumnTable | None = None
    by_chance: bool | None = None

    @property
    def train(self) -> ColumnTable:
        """The training rows."""
        return self.tables["train"]

    @cached_property
    def judged(self) -> pl.DataFrame:
        """Training rows with their target known, at most `JUDGED_ROWS` of them, drawn by chance."""
        if not self.frame.is_labelled:
            return drawn(self.train, JUDGED_ROWS, np.ones(self.train.height, dtype=np.bool_))
        return drawn(self.train, JUDGED_ROWS, self.train[self.frame.target].is_not_null().to_numpy())

    @cached_property
    def target(self) -> Target:
        """The target of the judged rows."""
        return target_of(self.judged[self.frame.target], self.frame.task)

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """The inputs that are neither the target nor known by their role to come after it."""
        roles = (self.frame.target, self.frame.label_time)
        columns = set(self.train.columns)
        return tuple(name for name in self.inputs if name in columns and name not in roles)

    @cached_property
    def schema(self) -> Mapping[str, pl.DataType]:
        """The types of the training part's columns."""
        return self.train.lazy().collect_schema()

    def pairs(self) -> list[tuple[str, str]]:
        """Gives each two parts that have rows, the earlier first."""
        return [(a, b) for a, b in LATER if self.rows(a) and self.rows(b)]

    def rows(self, part: str) -> int:
        """Counts the rows of a part."""
        return self.tables[part].height if part in self.tables else 0

    def column(self, name: str) -> dict[str, pl.Series]:
        """Gives a column's series by part, of the parts that have it."""
        return {part: table[name] for part, table in self.tables.items() if name in table.columns}

    def with_target(self, name: str, part: str) -> pl.DataFrame:
        """Gives a column of a part beside the target, where both are known."""
        import polars as pl

        columns = [self.tables[part][one].alias(one) for one in (name, self.frame.target)]
        return pl.DataFrame(columns).drop_nulls()


def drawn(table: ColumnTable, most: int, among: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pl.DataFrame:
    """Draws rows by chance, in their order; the same ones each time.

    Args:
        table: The rows, (n,).
        most: How many at most.
        among: Which may be drawn, (n,).
    """
    import polars as pl

    places = np.flatnonzero(among)
    if len(places) > most:
        places = np.random.default_rng(0).choice(places, most, replace=False)
    mask = np.zeros(len(among), dtype=bool)
    mask[places] = True
    rows = pl.concat([table.lazy(), pl.LazyFrame({_DRAWN: mask})], how="horizontal")
    return rows.filter(_DRAWN).drop(_DRAWN).collect(engine="streaming")


_DRAWN = "\u0000drawn"
