"""Columns that are not inputs, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from everloop.problem.columns import ColumnFacts
    from everloop.spec import CleanSpec
    from everloop.spec.frame import Frame

# An identifier names a row: nearly no value comes twice.
IDENTIFIER_SHARE = 0.95
FEWEST_ROWS_TO_JUDGE = 20
# Whole numbers that all differ and lie this close together number the rows.
SPAN_OF_A_ROW_NUMBER = 1.1


TARGET = "the target"
"""Why a target is no input; who counts what was left out does not count it."""


def exclusions(
    facts: dict[str, ColumnFacts], frame: Frame, clean: CleanSpec, stated: Collection[str] = ()
) -> dict[str, str]:
    """Tells which columns may not be learned from.

    Args:
        facts: The columns' counts.
        frame: The frame so far; its target, times and entity are known.
        clean: What the file says of cleaning; a column that it keeps is left out for its role alone.
        stated: Columns that the file leaves out.

    Returns:
        Column to reason, in the table's order.
    """
    roles = {
        frame.target: TARGET,
        frame.label_time: "known only after the outcome",
        frame.time: "when the decision is made",
        frame.entity: "names the entity",
        frame.weight: "says how much a row counts",
    }
    reasons = {
        name: roles.get(name) or _flaw(column, kept=clean.keeps(name)) for name, column in facts.items()
    }
    reasons |= {name: reasons.get(name) or "left out by problem.exclude" for name in stated}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _flaw(column: ColumnFacts, *, kept: bool) -> str | None:
    if column.known == 0:
        return "has no value in any row"
    if kept:
        return None
    if column.distinct == 1 and column.missing == 0:
        return "has one value in every row"
    if _names_a_row(column):
        return f"an identifier: {column.distinct} different values in {column.known} rows"
    return None


def _names_a_row(column: ColumnFacts) -> bool:
    if column.known < FEWEST_ROWS_TO_JUDGE or column.distinct_share < IDENTIFIER_SHARE:
        return False
    if column.type == "text":
        return column.reads_as == "text"
    if column.span is not None and column.span <= SPAN_OF_A_ROW_NUMBER * column.rows:
        return True
    words = column.name.lower().replace("-", "_").split("_")
    return column.type == "integer" and bool(
        {"id", "key", "uuid", "nr", "no", "number", "index"} & set(words)
    )
