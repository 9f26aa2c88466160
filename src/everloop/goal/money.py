"""What decisions are worth on the labelled rows: today's, constant ones, perfect ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from everloop.goal.money_apart import MoneyApart, money_apart
from everloop.measure.intervals import Interval, mean_interval
from everloop.table.expression import parse
from everloop.table.labels import actuals_of
from everloop.table.schema import schema_of
from everloop.table.today import today_decisions
from everloop.table.worth import PRICED_TASKS, columns_read, worth_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.measure.worth import Worth
    from everloop.spec import GoalSpec
    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable

MOST_CONSTANTS = 20


@dataclass(frozen=True, slots=True)
class Money:
    """Worth of a decision, and what a month of them comes to.

    Attributes:
        rows: Labelled rows that the numbers rest on.
        base_rate: Share of positives; None where the task is not binary.
        today: Of today's decisions.
        constants: Of deciding the same for every row, by what is decided.
        perfect: Of deciding every row right; None where decisions have no price.
        room: What perfect decisions would add to today's in a month.
        cost: What a month's predictions cost.
        note: What else the reader should know.
    """

    rows: int
    base_rate: float | None = None
    today: Interval | None = None
    constants: dict[str, float] = field(default_factory=dict)
    perfect: float | None = None
    room: float | None = None
    cost: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Priced:
    """The labelled rows with what is known of their decisions.

    Attributes:
        rows: The rows, of all columns those that a price or today's rule reads.
        places: Their positions in the table.
        actual: Class positions or numbers.
        worth: What decisions are worth, or None.
        today: What is decided today, or None.
        constants: Decisions that are the same for every row, by their names.
        apart: The money of a task whose rows have no actual of their own.
    """

    rows: pl.DataFrame
    places: NDArray[np.int64]
    actual: NDArray[np.float64]
    worth: Worth | None
    today: NDArray[np.float64] | None
    constants: dict[str, float]
    apart: MoneyApart | None = None

    @classmethod
    def of(cls, goal: GoalSpec, table: ColumnTable, frame: Frame) -> Priced:
        """Reads and prices the labelled rows of a table.

        Raises:
            SpecFault: When a price or the rule of today cannot be evaluated.
        """
        import polars as pl

        if frame.task not in PRICED_TASKS:
            rows = table.lazy().select(pl.first().is_null()).collect()
            apart = money_apart(goal, table, frame)
            return cls(rows, np.arange(rows.height), np.empty(0), None, None, {}, apart)
        places = np.flatnonzero(table[frame.target].is_not_null().to_numpy())
        rows = _labelled(goal, table, frame)
        actual = actuals_of(rows[frame.target], frame)
        worth = worth_of(goal.value, frame, rows)
        decided = None
        if worth is not None and goal.today is not None:
            decided = np.asarray(today_decisions(goal.today, rows, frame), dtype=np.float64)
        return cls(rows, places, actual, worth, decided, _constants(frame, actual))

    def money(self, goal: GoalSpec, frame: Frame) -> Money:
        """Says what decisions on the rows are worth."""
        base_rate = float(self.actual.mean()) if frame.task == "binary" else None
        cost = cost_per_month(goal)
        if self.apart is not None:
            return self._apart(self.apart, goal, cost)
        if self.worth is None:
            return Money(self.rows.height, base_rate, cost=cost)
        constants = {name: self._constant(decided) for name, decided in self.constants.items()}
        today = None
        if self.today is not None:
            today = mean_interval(self.worth.values(self.actual, self.today))
        perfect = float(self.worth.best_values(self.actual).mean())
        room = _room(goal, today, perfect)
        return Money(self.rows.height, base_rate, today, constants, perfect, room, cost)

    def _apart(self, found: MoneyApart, goal: GoalSpec, cost: float | None) -> Money:
        room = _room(goal, found.today, found.perfect)
        return Money(
            self.rows.height,
            today=found.today,
            constants=found.constants,
            perfect=found.perfect,
            room=room,
            cost=cost,
            note=found.note,
        )

    def _constant(self, decided: float) -> float:
        if self.worth is None:
            return float("nan")
        return float(self.worth.values(self.actual, np.full(len(self.actual), decided)).mean())

    def baseline(self) -> tuple[str, NDArray[np.float64]]:
        """Gives what a gain is over, in words, with its decisions: today's, else the best constant one."""
        if self.today is not None:
            return "today's decisions", self.today
        best = max(self.constants, key=lambda name: self._constant(self.constants[name]))
        return f"always {best}", np.full(len(self.actual), self.constants[best])

    def only(self, places: NDArray[np.int64]) -> Priced:
        """The same for some of the labelled rows, by their positions in the table."""
        at = np.searchsorted(self.places, places)
        return Priced(
            self.rows[at],
            places,
            self.actual[at],
            None if self.worth is None else self.worth.only(at),
            None if self.today is None else self.today[at],
            self.constants,
        )


def _room(goal: GoalSpec, today: Interval | None, perfect: float) -> float | None:
    if today is None or goal.volume is None:
        return None
    return (perfect - today.estimate) * goal.volume.per_month


def cost_per_month(goal: GoalSpec) -> float | None:
    """What a month's predictions cost; None where their number is not stated."""
    return None if goal.volume is None else goal.volume.per_month / 1000 * goal.costs.per_1000_predictions


def _constants(frame: Frame, actual: NDArray[np.float64]) -> dict[str, float]:
    """Gives the decisions that are the same for every row: each class; of a number its median and mean."""
    if frame.task != "regression":
        return {label: float(place) for place, label in enumerate(frame.classes[:MOST_CONSTANTS])}
    middles = {"the median": float(np.median(actual)), "the mean": float(actual.mean())}
    return {f"{name} ({value:.4g})": value for name, value in middles.items()}


def _labelled(goal: GoalSpec, table: ColumnTable, frame: Frame) -> pl.DataFrame:
    """Reads the labelled rows: of all columns those that a price or today's decision reads."""
    import polars as pl

    lazy: pl.LazyFrame = table.lazy()
    types = schema_of(lazy).types
    read = {frame.target, *columns_read(goal.value, frame, types)}
    if goal.today is not None and goal.today.rule is not None:
        read |= set(parse(goal.today.rule, types).columns)
    if goal.today is not None and goal.today.column in types:
        read.add(str(goal.today.column))
    chosen = [name for name in types if name in read]
    return lazy.select(chosen).filter(pl.col(frame.target).is_not_null()).collect(engine="streaming")
