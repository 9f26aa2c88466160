"""A problem from a table and a target alone, for the model phase used by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.errors import DataFault
from everloop.spec.frame import Frame

if TYPE_CHECKING:
    import polars as pl

MOST_NUMBERED_CLASSES = 20
_POSITIVE = frozenset("1 true yes y t positive bad malignant default fraud churned late spam".split())
_METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def quick_frame(
    table: pl.DataFrame, target: str, *, metric: str | None = None, time: str | None = None
) -> Frame:
    """Says what is to be learned: the task from the target, every other column an input.

    The problem phase does this with more care; here a table and a target are enough.

    Args:
        table: The rows.
        target: The column to predict.
        metric: What to optimise; by default ``roc_auc``, ``log_loss`` or ``rmse``.
        time: The column that orders the rows, where there is one.

    Raises:
        DataFault: When the target is missing or cannot be learned.
    """
    from everloop.table.labels import label_counts
    from everloop.table.schema import schema_of

    for name in filter(None, (target, time)):
        if name not in table.columns:
            raise DataFault(f"The table has no column {name!r}; it has {', '.join(table.columns[:12])}.")
    type_name = schema_of(table.select(target)).types[target]
    rows = label_counts(table[target])
    if len(rows) < 2:
        raise DataFault(
            f"The target {target!r} has {'one value' if rows else 'no value'} in {table.height} rows: "
            "there is nothing to learn."
        )
    task = _task(type_name, len(rows))
    classes = _classes(rows, task)
    return Frame(
        task=task,
        target=target,
        classes=classes,
        positive=classes[1] if task == "binary" else None,
        metric=metric or _METRICS[task],
        entity=None,
        time=time,
        label_time=None,
        label_delay_seconds=None,
        sensitive=(),
        excluded={},
        inputs=tuple(name for name in table.columns if name != target),
        reasons={"task": f"the target is {type_name} with {len(rows)} different values"},
    )


def _task(type_name: str, distinct: int) -> str:
    if distinct == 2:
        return "binary"
    if type_name == "number" or (type_name == "integer" and distinct > MOST_NUMBERED_CLASSES):
        return "regression"
    if type_name == "time":
        raise DataFault("The target is a time; a class or a number is expected.")
    return "multiclass"


def _classes(rows: dict[str, int], task: str) -> tuple[str, ...]:
    """Gives the classes in order; of two the positive one, by its word or else the rarer, is the last."""
    if task == "regression":
        return ()
    if task == "multiclass":
        return tuple(sorted(rows))
    words = [text for text in rows if text.strip().lower() in _POSITIVE]
    positive = words[0] if len(words) == 1 else min(sorted(rows), key=lambda text: rows[text])
    return (next(text for text in sorted(rows) if text != positive), positive)
