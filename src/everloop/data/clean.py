"""Cleaning: rows that are dropped and columns that are left out, each thing with its count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.errors import DataFault, SpecFault
from everloop.core.tasks import TASKS
from everloop.data.cleaning_log import CleaningEntry
from everloop.data.duplicates import near_repeats, repeats, repeats_by

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Literal

    import numpy as np
    from numpy.typing import NDArray

    from everloop.spec.cleaning import CleanSpec, RepeatedRows
    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable, StoredTable

    DuplicatesRule = Literal["drop", "near", "keep"] | RepeatedRows


def recent_rows(
    table: StoredTable, frame: Frame, last: timedelta | None
) -> tuple[StoredTable, tuple[CleaningEntry, ...]]:
    """Leaves out the rows that are older than the latest by more than a time; None leaves out none.

    Raises:
        SpecFault: When rows have no time.
    """
    if last is None:
        return table, ()
    if frame.time is None:
        raise SpecFault(
            "monitor.retrain.history says how old rows may be, but they have no time.",
            hint="problem: {time: COLUMN}",
            place="monitor.retrain.history",
        )
    times = table[frame.time]
    latest: Any = times.max()
    kept = table if latest is None else table.where(times >= latest - last)
    left_out = table.height - kept.height
    told = f"rows older than {last.days} days before the latest"
    return kept, (CleaningEntry("old", left_out, told),) if left_out else ()


def drop_rows(
    table: StoredTable, frame: Frame, rule: DuplicatesRule
) -> tuple[StoredTable, tuple[CleaningEntry, ...]]:
    """Drops rows that cannot be learned from: without a target, and repeated.

    Args:
        table: The snapshot's rows.
        frame: The problem.
        rule: Which rows are repeated: the file's `data.clean.duplicates`.

    Returns:
        The rows that stay, in their order, and what was done.

    Raises:
        DataFault: When no row stays.
        SpecFault: When the rule names a column that is not there.
    """
    entries = []
    # Without labels to learn from, a row that has none is as good as another.
    kept = table.where(table[frame.target].is_not_null()) if TASKS[frame.task].needs_target else table
    if kept.height < table.height:
        entries.append(
            CleaningEntry(
                "without target", table.height - kept.height, f"rows whose {frame.target} is not known"
            )
        )
    if not kept.height:
        raise DataFault(
            f"None of the {table.height:,} rows has its {frame.target}."
            if frame.target
            else "The table has no rows.",
            hint="give a later time with --as-of, or look at problem.label_delay",
        )
    if rule != "keep":
        repeated, which = _repeated(kept, rule)
        if repeated.any():
            kept = kept.where(~repeated)
            undo = "data.clean.duplicates: keep"
            entries.append(CleaningEntry("duplicates", int(repeated.sum()), which, undo=undo))
    return kept, tuple(entries)


def _repeated(table: ColumnTable, rule: DuplicatesRule) -> tuple[NDArray[np.bool_], str]:
    if rule == "drop":
        return repeats(table), "rows that repeat another in every column"
    if not isinstance(rule, str):
        which = f"rows that repeat another in {', '.join(rule.by)}; the {rule.keep} of each stays"
        return repeats_by(table, rule), which
    return near_repeats(table), "rows that repeat another but for case, spaces or one typing error"


def exclude_columns(
    train: ColumnTable, frame: Frame, clean: CleanSpec
) -> tuple[tuple[str, ...], tuple[CleaningEntry, ...]]:
    """Finds the inputs that say nothing in the training part, and lists what the frame excludes.

    Args:
        train: The training rows.
        frame: The problem.
        clean: What the file says.

    Returns:
        The inputs that stay, and what was excluded with the reason.
    """
    reasons = dict(frame.excluded)
    for name in frame.inputs:
        present = train[name].drop_nulls()
        if present.is_empty():
            reasons[name] = "has no value in any training row"
        elif len(present) == train.height and present.n_unique() == 1 and not clean.keeps(name):
            reasons[name] = "has one value in every training row"
    entries = tuple(
        CleaningEntry("excluded", 0, reason, column=name, undo=_undo(reason, name))
        for name, reason in reasons.items()
    )
    return tuple(name for name in frame.inputs if name not in reasons), entries


def _undo(reason: str, name: str) -> str | None:
    """Gives what makes a column an input again; a column with a role, or without values, cannot be one."""
    undone = reason.startswith(("has one value", "an identifier"))
    return f"data.clean.columns.{name}.exclude: keep" if undone else None
