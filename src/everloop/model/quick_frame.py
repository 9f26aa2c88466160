"""A problem from a table and a target alone, for the model phase used by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.errors import DataFault, UsageFault
from everloop.core.tasks import TASKS, UNTARGETED
from everloop.spec.frame import Frame

if TYPE_CHECKING:
    import polars as pl

MOST_NUMBERED_CLASSES = 20
_POSITIVE = frozenset("1 true yes y t positive bad malignant default fraud churned late spam".split())
_METRICS = {
    "binary": "roc_auc",
    "multiclass": "log_loss",
    "regression": "rmse",
    "anomaly": "average_precision",
}


def quick_frame(
    table: pl.DataFrame,
    target: str | None = None,
    *,
    task: str | None = None,
    metric: str | None = None,
    time: str | None = None,
) -> Frame:
    """Says what is to be learned: the task from the target, every other column an input.

    The problem phase does this with more care; here a table and a target are enough.

    Args:
        table: The rows.
        target: The column to predict; None where the task has none.
        task: The task, where it does not follow from the target.
        metric: What to optimise; by default the task's usual one.
        time: The column that orders the rows, where there is one.

    Raises:
        DataFault: When the target is missing or cannot be learned.
        UsageFault: When there is neither a target nor a task that has none.
    """
    from everloop.table.labels import label_counts
    from everloop.table.schema import schema_of

    for name in filter(None, (target, time)):
        if name not in table.columns:
            raise DataFault(f"The table has no column {name!r}; it has {', '.join(table.columns[:12])}.")
    if target is None:
        return _untargeted(table, task, metric, time)
    type_name = schema_of(table.select(target)).types[target]
    rows = label_counts(table[target])
    if len(rows) < 2:
        raise DataFault(
            f"The target {target!r} has {'one value' if rows else 'no value'} in {table.height} rows: "
            "there is nothing to learn."
        )
    task = task or _task(type_name, len(rows))
    _require_fitting(task, target, len(rows))
    classes = _classes(rows, task)
    return Frame(
        task=task,
        target=target,
        classes=classes,
        positive=classes[1] if task in ("binary", "anomaly") else None,
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


def _untargeted(table: pl.DataFrame, task: str | None, metric: str | None, time: str | None) -> Frame:
    facts = TASKS.get(task or "")
    if task is None or facts is None or facts.needs_target:
        raise UsageFault(
            f"Without a target the task has to be one of {', '.join(UNTARGETED)}; it is {task!r}.",
            hint='such as search(table, target="churned"), or search(table, task="clustering")',
        )
    return Frame(
        task=task,
        target="",
        classes=facts.classes,
        positive=facts.positive,
        metric=metric or facts.metric,
        time=time,
        inputs=tuple(name for name in table.columns if name != time),
    )


def _require_fitting(task: str, target: str, classes: int) -> None:
    if task not in TASKS or task == "clustering":
        raise UsageFault(f"A target, {target!r}, is no part of the task {task!r}.")
    if task in ("binary", "anomaly") and classes != 2:
        raise DataFault(f"The target of a task of the kind {task} has two classes; {target!r} has {classes}.")


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
