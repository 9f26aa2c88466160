"""Values that stand for a missing one, such as ``?`` and ``-999``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.stored import ColumnTable

TEXTS = frozenset({"", "?", "n/a", "na", "nan", "null", "#n/a", "missing", "<na>"})
NUMBERS = (-9.0, -99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, 999999.0)
# A number is a sentinel where it lies further from all others than they lie from each other.
FEWEST = 2


def find_sentinels(table: ColumnTable, columns: list[str]) -> dict[str, dict[Any, int]]:
    """Finds the values that stand for a missing one.

    Args:
        table: The training rows.
        columns: The columns to look at; those that are neither text nor numbers have none.

    Returns:
        Column -> value -> how many rows have it; columns without any are left out.
    """
    import polars as pl

    found: dict[str, dict[Any, int]] = {}
    for name in columns:
        column = table[name]
        if column.dtype == pl.String:
            values = _texts(column)
        elif column.dtype.is_numeric():
            values = _numbers(column)
        else:
            continue
        if values and sum(values.values()) < column.count():
            found[name] = values
    return found


def _texts(column: pl.Series) -> dict[Any, int]:
    import polars as pl

    candidates = column.filter(column.str.strip_chars().str.to_lowercase().is_in(list(TEXTS)))
    counts = candidates.alias("value").value_counts(sort=True, name="rows")
    return dict(zip(counts["value"].to_list(), counts["rows"].cast(pl.Int64).to_list(), strict=True))


def _numbers(column: pl.Series) -> dict[Any, int]:
    rest = column.drop_nulls()
    found: dict[Any, int] = {}
    for value in (rest.min(), rest.max()):
        if not isinstance(value, (int, float)) or float(value) not in NUMBERS:
            continue
        others = rest.filter(rest != value)
        low, high = others.min(), others.max()
        if not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
            continue
        gap = min(abs(value - low), abs(value - high))
        count = rest.len() - others.len()
        if count >= FEWEST and gap > high - low:
            found[value] = count
    return found
