"""The target as numbers, and whether it can be learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.core.tasks import TASKS
from everloop.table.labels import require_few_classes

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec.frame import Frame


def labelled(table: pl.DataFrame, frame: Frame) -> tuple[pl.DataFrame, NDArray[Any]]:
    """Gives the rows whose actual is known, and their actuals.

    Args:
        table: Rows with the target among the columns.
        frame: The problem.

    Returns:
        The rows, and class indices (int64) or numbers (float64), (n,).

    Raises:
        DataFault: When the target is missing, is no number where one is to be predicted, or holds
            something that is none of the classes.
    """
    if frame.target not in table.columns:
        raise DataFault(f"The table has no column {frame.target!r}, which is the target.")
    numbers = _numbers(table[frame.target], frame)
    known = np.isfinite(numbers)
    rows = table if known.all() else table.filter(known)
    actual = numbers[known]
    return rows, actual if frame.task == "regression" else actual.astype(np.int64)


def judged_by(table: pl.DataFrame, frame: Frame) -> tuple[pl.DataFrame, NDArray[Any]]:
    """Gives the rows that a model is looked at on, and their actuals.

    They are `labelled`; where the task is learned without a target and no label is known, they are all
    rows, with NaN for each.
    """
    if TASKS[frame.task].supervised:
        return labelled(table, frame)
    if (
        TASKS[frame.task].names_classes
        and frame.target in table.columns
        and table[frame.target].null_count() < table.height
    ):
        return labelled(table, frame)
    return table, np.full(table.height, np.nan)


def _numbers(column: pl.Series, frame: Frame) -> NDArray[np.float64]:
    import polars as pl

    from everloop.table.labels import class_indices

    if frame.task != "regression":
        return np.asarray(class_indices(column, frame.classes))
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise DataFault(
            f"The target {frame.target!r} holds {column.dtype}, and a number is to be predicted.",
            hint="problem: {task: multiclass}",
        )
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def require_learnable(actual: NDArray[Any], frame: Frame) -> None:
    """Refuses training rows from which nothing can be learned.

    Raises:
        DataFault: When there are fewer than four labelled rows, all have the same actual, or there are
            more classes than can be told apart.
    """
    require_few_classes(frame.target, len(frame.classes), len(actual))
    if len(actual) < 4:
        raise DataFault(f"{len(actual)} training rows have a target; at least 4 are needed.")
    if actual.min() != actual.max():
        return
    only = f"{actual[0]:g}" if frame.task == "regression" else repr(frame.classes[int(actual[0])])
    raise DataFault(
        f"The target {frame.target!r} is {only} in all {len(actual)} training rows: nothing to learn.",
        hint="look at problem.target and the split: a split by time may have put one class into one part",
    )
