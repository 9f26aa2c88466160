"""When a decision is made and when its actual is known, inferred from time columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.problem.columns import ColumnFacts
    from everloop.table.stored import ColumnTable

# A column of decision times is nearly complete.
MOST_MISSING = 0.01
DELAY_QUANTILE = 0.99


@dataclass(frozen=True, slots=True)
class LabelTime:
    """The column that says when an actual was known.

    Attributes:
        column: Its name.
        delay: Within this time 99 % of the actuals were known.
        reason: Why it was taken for that.
    """

    column: str
    delay: timedelta
    reason: str


def infer_time(table: ColumnTable, facts: dict[str, ColumnFacts]) -> tuple[str, str] | None:
    """Finds the column that says when a decision is made: complete, and the earliest of its kind.

    Returns:
        The column and the reason, or None where no column qualifies.
    """
    import polars as pl

    complete = [
        name
        for name, column in facts.items()
        if column.type == "time" and column.distinct > 1 and column.missing <= MOST_MISSING * column.rows
    ]
    if not complete:
        return None
    if len(complete) == 1:
        return complete[0], "the only complete time column"
    means = table.select(pl.col(complete).cast(pl.Datetime("us", "UTC")).mean()).row(0)
    earliest = min(range(len(complete)), key=lambda i: means[i])
    return complete[earliest], "the earliest of the complete time columns"


def infer_label_time(
    table: ColumnTable, facts: dict[str, ColumnFacts], time: str, stated: str | None, target: str
) -> LabelTime | None:
    """Finds the column that says when an actual was known: never before the decision, there iff a label is.

    Args:
        table: The rows.
        facts: The columns' counts.
        time: The column of decision times.
        stated: The column that the file names, if it does.
        target: The target's column.

    Returns:
        The column with its delay, or None where no column qualifies.
    """
    candidates = [stated] if stated else [n for n, c in facts.items() if c.type == "time" and n != time]
    for name in candidates:
        delay = _delay(table, time, name, target, strict=stated is None)
        if delay is not None:
            return LabelTime(name, delay, "it is known where the target is, and never before the decision")
    return None


def _delay(table: ColumnTable, time: str, name: str, target: str, *, strict: bool) -> timedelta | None:
    import polars as pl

    rows = table.select(
        (pl.col(name).cast(pl.Datetime("us", "UTC")) - pl.col(time).cast(pl.Datetime("us", "UTC"))).alias(
            "delay"
        ),
        pl.col(target).is_not_null().alias("labelled"),
    )
    known = rows.filter(pl.col("delay").is_not_null() & pl.col("labelled"))
    if known.is_empty():
        return None
    if strict:
        alike = rows.select((pl.col("delay").is_not_null() == pl.col("labelled")).all()).item()
        some_missing = rows.select(pl.col("labelled").not_().any()).item()
        if not (alike and some_missing and known.select((pl.col("delay") >= timedelta()).all()).item()):
            return None
    microseconds = known.select(pl.col("delay").dt.total_microseconds().quantile(DELAY_QUANTILE)).item()
    return timedelta(seconds=round(max(0.0, microseconds) / 1e6))
