"""How many rows a day bring, from the times that they carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.table.stored import ColumnTable

SHORTEST_DAYS = 1.0
"""Over a shorter span the rate of a day is not known: hours of one day are unlike each other."""

_SECONDS = 86_400.0


def rows_per_day(table: ColumnTable, time: str | None) -> float | None:
    """Gives the mean number of rows a day between the first and the last time.

    Args:
        table: The rows.
        time: The column of their times.

    Returns:
        None where there is no time, or the rows span less than a day.
    """
    if time is None:
        return None
    times = table[time].drop_nulls()
    if not times.dtype.is_temporal() or len(times) < 2:
        return None
    first, last = times.min(), times.max()
    days = (last - first).total_seconds() / _SECONDS  # type: ignore[operator, union-attr]
    return (len(times) - 1) / days if days >= SHORTEST_DAYS else None
