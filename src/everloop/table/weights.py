"""What rows count: `problem.weight`, SQL over the row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import DataFault
from everloop.core.tasks import TASKS
from everloop.table.prices import prices_of_rows, read_number
from everloop.table.schema import schema_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec.frame import Frame

PLACE = "problem.weight"


def weights_of(table: pl.DataFrame, weight: str) -> NDArray[np.float64]:
    """Gives how much each row (of a recommendation each event) counts, (n,), as the file says.

    Raises:
        SpecFault: When the expression cannot be read, or gives no number.
        DataFault: When a weight is negative, missing or infinite.
    """
    expression = read_number(weight, schema_of(table).types, PLACE)
    found = prices_of_rows(table.lazy(), (expression,))[:, 0]
    wrong = int((~(found >= 0) | np.isinf(found)).sum())
    if wrong:
        raise DataFault(
            f"The weight of {wrong} of {len(found)} rows is negative, missing or infinite; a number from 0 "
            "on was expected.",
            hint=f"problem: {{weight: greatest(coalesce({weight}, 0), 0)}}",
            place=PLACE,
        )
    return np.asarray(found)


def counted_rows(table: pl.DataFrame, frame: Frame) -> pl.DataFrame:
    """Leaves out the rows that count nothing: a row of weight 0 is as good as absent.

    Events of a recommendation stay: what judges lists is what was had.
    """
    import polars as pl

    if frame.weight is None or not table.height or not TASKS[frame.task].alone:
        return table
    return table.filter(pl.Series(weights_of(table, frame.weight) > 0))


def row_counts(table: pl.DataFrame, frame: Frame) -> NDArray[np.float64] | None:
    """Gives what each row counts beside the others, with the mean 1, (n,); None where all count alike."""
    if frame.weight is None or not table.height or not TASKS[frame.task].alone:
        return None
    found = weights_of(table, frame.weight)
    total = found.sum()
    return found * (len(found) / total) if total > 0 else found
