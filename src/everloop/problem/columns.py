"""What a column is: the few facts that the inferences of the problem phase rest on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from everloop.table.content import content_of
from everloop.table.labels import label_texts
from everloop.table.prose import is_prose
from everloop.table.stored import aggregate, count_distinct
from everloop.table.text_types import text_types

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.schema import Schema
    from everloop.table.stored import ColumnTable

MOSTLY_DIFFERENT = 0.5
"""Text whose values repeat less may be numbers or times, and is looked at."""


NARROW_ROWS = 100_000
"""So many values of a column may lie in memory while they are counted."""

LOOKED_AT = 1_000
"""What a text carries is told by so many rows."""


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """Counts of one column.

    Attributes:
        name: The column's name.
        type: `boolean`, `integer`, `number`, `text` or `time`.
        rows: Rows of the table.
        missing: Rows without a value.
        distinct: Different values, a missing one not counted.
        span: Of whole numbers how far the greatest is from the least.
        reads_as: What text that hardly repeats can be read as: ``number``, ``time``, ``prose`` (it is
            written in words) or ``text``; ``image`` or ``sound`` where it carries one.
    """

    name: str
    type: str
    rows: int
    missing: int
    distinct: int
    span: int | None = None
    reads_as: str = "text"

    @property
    def known(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

    @property
    def distinct_share(self) -> float:
        """Different values for each known one; 1.0 where no value comes twice."""
        return self.distinct / self.known if self.known else 0.0


def column_facts(table: ColumnTable, schema: Schema) -> dict[str, ColumnFacts]:
    """Counts missing and different values of every column."""
    import polars as pl

    lazy, types = table.lazy(), table.lazy().collect_schema()
    values = {
        name: pl.col(name).fill_nan(None) if kind.is_float() else pl.col(name) for name, kind in types.items()
    }
    aggregates = [value.null_count().alias(f"{name}\0missing") for name, value in values.items()]
    aggregates += [
        (value.max().cast(pl.Int128) - value.min().cast(pl.Int128)).alias(f"{name}\0span")
        for name, value in values.items()
        if types[name].is_integer()
    ]
    counts = aggregate(lazy, aggregates)
    facts = {
        column.name: ColumnFacts(
            name=column.name,
            type=column.type,
            rows=table.height,
            missing=counts[f"{column.name}\0missing"],
            distinct=count_distinct(
                _narrow(table, column.name), values[column.name], values[column.name].is_not_null()
            ),
            span=counts.get(f"{column.name}\0span"),
        )
        for column in schema.columns
    }
    varied = (one for one in facts.values() if one.distinct_share > MOSTLY_DIFFERENT)
    carried: dict[str, str] = {
        one.name: found
        for one in facts.values()
        if one.type == "text"
        and (found := content_of(lazy.select(one.name).head(LOOKED_AT).collect()[one.name]))
    }
    texts = [one.name for one in varied if one.type == "text" and one.name not in carried]
    read = text_types(table.lazy(), {name: pl.col(name).cast(pl.String) for name in texts})
    kinds: dict[str, str] = {name: found.kind for name, found in read.items()}
    kinds |= {name: "prose" for name, kind in kinds.items() if kind == "text" and is_prose(table[name])}
    kinds |= carried
    return facts | {name: replace(facts[name], reads_as=kind) for name, kind in kinds.items()}


def _narrow(table: ColumnTable, name: str) -> pl.LazyFrame:
    """Gives what one column is queried of: itself where it is short; a query of many columns takes longer."""
    return table[name].to_frame().lazy() if table.height <= NARROW_ROWS else table.lazy()


def label_counts(column: pl.Series) -> dict[str, int]:
    """Counts the rows of each label, missing ones left out, the most frequent first."""
    texts = label_texts(column).drop_nulls()
    counts = texts.value_counts(sort=True)
    pairs = zip(counts[column.name].to_list(), counts["count"].to_list(), strict=True)
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
