"""What reason codes need: a typical value for each raw column, which a row's own value is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl

    from everloop.runtime.plan import Plan


def reference_row(plan: Plan, table: pl.DataFrame) -> dict[str, Any]:
    """Gives a typical value of each raw column that a plan reads.

    Args:
        plan: The preparation.
        table: Rows, such as the training part.

    Returns:
        Column to value: the lower median of numbers and times (an actual value; times as microseconds
        since 1970), the most frequent text or boolean (the first in order among equals), None for a
        column without a value.
    """
    return {item.name: _typical(table[item.name], item.type) for item in plan.inputs}


def _typical(column: pl.Series, type_name: str) -> Any:
    from everloop.runtime.row_fill import microseconds

    values = column.drop_nulls()
    if values.dtype.is_float():
        values = values.filter(values.is_finite())
    if values.is_empty():
        return None
    if type_name in ("text", "boolean"):
        counts = values.alias("value").value_counts(name="rows")
        return counts.sort(by=["rows", "value"], descending=[True, False])["value"][0]
    middle = values.sort()[(len(values) - 1) // 2]
    if type_name == "time" and not isinstance(middle, (int, float)):
        return microseconds(middle)
    return middle if isinstance(middle, (int, float)) else float(np.float64(middle))
