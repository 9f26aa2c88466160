"""Columns that name rows."""

from __future__ import annotations

SHARE = 0.95
FEWEST_ROWS = 20
WORDS = frozenset({"id", "key", "uuid", "nr", "no", "number", "index"})


def names_rows(name: str, kind: str, present: int, distinct: int) -> bool:
    """Tells whether a column seems to name rows: nearly no value comes twice.

    Whole numbers that differ may be amounts; they name rows where the column's name says so.

    Args:
        name: The column.
        kind: Its type.
        present: Rows that have a value.
        distinct: Different values.
    """
    if present < FEWEST_ROWS or distinct < SHARE * present:
        return False
    words = set(name.lower().replace("-", "_").split("_"))
    return kind == "text" or (kind == "integer" and bool(WORDS & words))
