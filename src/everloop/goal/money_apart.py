"""What lists, and what acting on clusters, are worth before anything is trained: today, and at best."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from everloop.measure.intervals import Interval, mean_interval
from everloop.table import acting, list_worth
from everloop.table.schema import schema_of

if TYPE_CHECKING:
    import polars as pl

    from everloop.spec import GoalSpec
    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable

LATER = 0.2
"""The share of the events that judges lists made of those before them."""


@dataclass(frozen=True, slots=True)
class MoneyApart:
    """The money of a task whose rows have no actual of their own.

    Attributes:
        today: Of what is done without a model.
        perfect: Of the best that one could do who knew what comes.
        constants: Of doing the same for every row, by what is done.
        note: What the reader should know of it.
    """

    today: Interval
    perfect: float
    constants: dict[str, float] = field(default_factory=dict)
    note: str = ""


def money_apart(goal: GoalSpec, table: ColumnTable, frame: Frame) -> MoneyApart | None:
    """Prices what is done without a model; None where nothing is priced.

    Raises:
        SpecFault: When a price or today's rule cannot be evaluated.
        DataFault: When a price is missing on a row.
    """
    if goal.value is None:
        return None
    if frame.task == list_worth.TASK:
        return _of_lists(goal, table.lazy().collect(engine="streaming"), frame)
    if frame.task == acting.TASK:
        return _of_acting(goal, table.lazy().collect(engine="streaming"), frame)
    return None


def _of_lists(goal: GoalSpec, table: pl.DataFrame, frame: Frame) -> MoneyApart | None:
    """Shows everyone what most had before, and holds that against what they had after."""
    events = table.drop_nulls([str(frame.entity), frame.target]).sort(str(frame.time), maintain_order=True)
    start = int(events.height * (1 - LATER))
    worth = list_worth.list_worth_of(goal.value, frame, events[start:])
    if worth is None or not worth.earned:
        return None
    popular = list_worth.popular_items(events[:start], frame)
    values = worth.same_for_all(popular)
    return MoneyApart(
        mean_interval(values),
        float(worth.best_values().mean()),
        {"what most have": float(values.mean()), "nothing": 0.0},
    )


def _of_acting(goal: GoalSpec, table: pl.DataFrame, frame: Frame) -> MoneyApart | None:
    found = acting.acting_of(goal, frame, table)
    if found is None or not table.height:
        return None
    constants = {f"acting on {acting.ALL}": float(found.values([1] * table.height).mean())}
    return MoneyApart(
        mean_interval(found.today_values),
        float(found.best_values.mean()),
        {**constants, f"acting on {acting.NONE}": 0.0},
        _read_twice(goal, frame, table),
    )


def _read_twice(goal: GoalSpec, frame: Frame, table: pl.DataFrame) -> str:
    """Says which columns both the price reads and clusters are made of: these must be known beforehand."""
    if goal.value is None:
        return ""
    read = acting.read_kpi(goal.value, schema_of(table).types).columns
    both = [name for name in read if name in frame.inputs]
    return (
        f"goal.value.kpi reads {', '.join(both)}, of which clusters are made as well: leave out by "
        "problem.exclude what is known only afterwards"
        if both
        else ""
    )
