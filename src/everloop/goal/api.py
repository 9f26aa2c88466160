"""What users call: the brief of a goal on a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.goal.brief import Brief, write_brief
from everloop.table.tables import as_frame

if TYPE_CHECKING:
    from everloop.spec import GoalSpec
    from everloop.spec.frame import Frame
    from everloop.table.quick_look import QuickLook
    from everloop.table.sufficiency import Sufficiency


def brief(
    goal: GoalSpec,
    table: Any,
    frame: Frame,
    *,
    look: QuickLook | None = None,
    labels: Sufficiency | None = None,
) -> Brief:
    """Holds a goal against the rows there are: today's value, the best possible, what is required.

    Args:
        goal: The `goal` part of a lifecycle file.
        table: Polars, pandas, Arrow, DuckDB or a path; the target among its columns.
        frame: The problem, as `everloop.problem.frame` gives it.
        look: What a quick model says of the rows, as `everloop.problem.quick_look` gives it.
        labels: The label forecast, as `everloop.problem.sufficiency` gives it.

    Returns:
        The brief, with the verdict that this evidence allows.
    """
    return write_brief(goal, as_frame(table), frame, look=look, labels=labels)
