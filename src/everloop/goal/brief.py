"""The brief: what the goal is worth at best, what it is worth today, what it requires."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.values import to_jsonable
from everloop.measure.intervals import Interval, mean_interval
from everloop.table.expression import parse
from everloop.table.labels import actuals_of
from everloop.table.schema import schema_of
from everloop.table.today import today_decisions
from everloop.table.worth import columns_read, worth_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec import GoalSpec
    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable


MOST_CONSTANTS = 20


@dataclass(frozen=True, slots=True)
class Brief:
    """The business goal in numbers, before anything is trained.

    Money is per decision unless its name says a month.

    Attributes:
        statement: The goal in words.
        currency: Of all money below; empty where decisions have no price.
        rows: Labelled rows that the numbers rest on.
        base_rate: Share of positives among them; None where the task is not binary.
        today: Value of today's decisions, with its interval.
        constants: Value of always deciding each class.
        perfect: Value of deciding every row right.
        required: What the goal requires, name to bound.
        decisions_per_month: From `goal.volume`.
        cost_per_month: Of the predictions.
        room_per_month: What perfect decisions would add to today's in a month.
        verdict: `go`, `stop` or `unknown`.
        reasons: Why.
    """

    statement: str
    currency: str
    rows: int
    base_rate: float | None
    today: Interval | None
    constants: dict[str, float]
    perfect: float | None
    required: dict[str, str]
    decisions_per_month: float | None
    cost_per_month: float | None
    room_per_month: float | None
    verdict: str
    reasons: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Gives the brief as what JSON can carry."""
        return {
            name: to_jsonable(getattr(self, name)) for name in self.__dataclass_fields__ if name != "today"
        } | {"today": self.today.to_dict() if self.today else None}


def write_brief(goal: GoalSpec, table: ColumnTable, frame: Frame) -> Brief:
    """Prices today's decisions and perfect ones on the labelled rows, and holds the goal against them.

    Args:
        goal: The file's `goal` part.
        table: The rows, the target among the columns.
        frame: The problem.

    Returns:
        The brief; its verdict is `stop` where even perfect decisions miss what is required.

    Raises:
        SpecFault: When a price or the rule of today cannot be evaluated.
    """
    monthly = goal.volume.per_month if goal.volume is not None else None
    cost = None if monthly is None else monthly / 1000 * goal.costs.per_1000_predictions
    facts = _Money.of(goal, table, frame)
    room = None
    if facts.perfect is not None and facts.today is not None and monthly is not None:
        room = (facts.perfect - facts.today.estimate) * monthly
    verdict, reasons = _verdict(goal, facts, room, cost)
    return Brief(
        statement=goal.statement,
        currency=goal.value.currency if goal.value is not None else "",
        rows=facts.rows,
        base_rate=facts.base_rate,
        today=facts.today,
        constants=facts.constants,
        perfect=facts.perfect,
        required={name: str(bound) for name, bound in goal.bounds.items()},
        decisions_per_month=monthly,
        cost_per_month=cost,
        room_per_month=room,
        verdict=verdict,
        reasons=reasons,
    )


@dataclass(frozen=True, slots=True)
class _Money:
    rows: int
    base_rate: float | None = None
    today: Interval | None = None
    constants: dict[str, float] = field(default_factory=dict)
    perfect: float | None = None

    @classmethod
    def of(cls, goal: GoalSpec, table: ColumnTable, frame: Frame) -> _Money:
        if not frame.is_labelled:
            return cls(rows=table.height)
        labelled = _labelled(goal, table, frame)
        actual = actuals_of(labelled[frame.target], frame)
        base_rate = float(actual.mean()) if frame.task == "binary" else None
        worth = worth_of(goal.value, frame, labelled)
        if worth is None:
            return cls(rows=labelled.height, base_rate=base_rate)
        constants = {
            label: float(worth.values(actual, np.full(len(actual), decided)).mean())
            for label, decided in _constants(frame, actual).items()
        }
        today = None
        if goal.today is not None:
            today = mean_interval(worth.values(actual, today_decisions(goal.today, labelled, frame)))
        return cls(labelled.height, base_rate, today, constants, float(worth.best_values(actual).mean()))


def _constants(frame: Frame, actual: NDArray[np.float64]) -> dict[str, float]:
    """Gives the decisions that are the same for every row: each class; of a number its median and mean."""
    if frame.task != "regression":
        return {label: float(place) for place, label in enumerate(frame.classes[:MOST_CONSTANTS])}
    return {
        f"{name} ({value:.4g})": value
        for name, value in (("the median", float(np.median(actual))), ("the mean", float(actual.mean())))
    }


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


def _verdict(
    goal: GoalSpec, money: _Money, room: float | None, cost: float | None
) -> tuple[str, tuple[str, ...]]:
    required = goal.require.get("value_per_decision")
    if money.perfect is None:
        return "unknown", ("decisions have no price: goal.value is not stated",)
    if required is not None and not required.holds(money.perfect):
        return "stop", (
            f"even perfect decisions are worth {money.perfect:.2f} each; the goal requires {required}",
        )
    if room is not None and cost is not None and room <= cost:
        return "stop", (f"perfect decisions would add {room:.0f} a month, predictions cost {cost:.0f}",)
    if money.today is None:
        return "go", ("perfect decisions meet what is required; what is decided today is not stated",)
    gap = money.perfect - money.today.estimate
    if gap <= 0:
        return "stop", ("today's decisions are already worth what perfect ones are",)
    reasons = [f"between today and perfect lie {gap:.2f} a decision"]
    if required is not None and not required.holds(money.today.estimate):
        share = (required.limit - money.today.estimate) / gap
        reasons.append(f"the goal requires {share:.0%} of that")
    return "go", tuple(reasons)
