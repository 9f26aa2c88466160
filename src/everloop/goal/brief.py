"""The brief: what the goal is worth at best, what it is worth today, what it requires."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from everloop.core.values import to_jsonable
from everloop.goal.expectation import Expectation, expect
from everloop.goal.feasibility import Evidence, judge
from everloop.goal.money import Priced, cost_per_month
from everloop.measure.intervals import Interval
from everloop.measure.payback import Outlook, outlook

if TYPE_CHECKING:
    from everloop.spec import GoalSpec
    from everloop.spec.frame import Frame
    from everloop.table.quick_look import QuickLook
    from everloop.table.stored import ColumnTable
    from everloop.table.sufficiency import Sufficiency


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
        constants: Value of deciding the same for every row, by what is decided.
        perfect: Value of deciding every row right.
        required: What the goal requires, name to bound.
        decisions_per_month: From `goal.volume`.
        cost_per_month: Of the predictions.
        room_per_month: What perfect decisions would add to today's in a month.
        expected: What a quick model's decisions would be worth.
        outlook: What they would bring in a month, and when that has paid for labels and training.
        signal: What a quick model found of the labels: its score, chance's, the p of a permutation test,
            the best rule on one column, the share of labels that look wrong.
        labels: What the labels there are cost.
        verdict: `go`, `more labels`, `rephrase` or `stop`.
        reasons: Why, the deciding one first.
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
    expected: Expectation | None
    outlook: Outlook | None
    signal: dict[str, Any] | None
    labels: float
    verdict: str
    reasons: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Gives the brief as what JSON can carry."""
        return {name: to_jsonable(getattr(self, name)) for name in self.__dataclass_fields__}


def write_brief(
    goal: GoalSpec,
    table: ColumnTable,
    frame: Frame,
    *,
    look: QuickLook | None = None,
    labels: Sufficiency | None = None,
    training_seconds: float | None = None,
) -> Brief:
    """Prices today's decisions, perfect ones and a quick model's, and holds the goal against them.

    Args:
        goal: The file's `goal` part.
        table: The rows, the target among the columns.
        frame: The problem.
        look: What a quick model said of the rows.
        labels: The label forecast.
        training_seconds: The search's budget, where it is one of time.

    Returns:
        The brief with its verdict.

    Raises:
        SpecFault: When a price or the rule of today cannot be evaluated.
    """
    priced = Priced.of(goal, table, frame)
    money = priced.money(goal, frame)
    expected = None
    part = None if look is None else priced.only(look.rows)
    if look is not None and part is not None and part.worth is not None and len(look.rows):
        expected = expect(look, part.actual, part.worth, part.baseline(), goal.bounds)
    upfront = (training_seconds or 0.0) / 3600 * goal.costs.training_hour
    ahead = None if expected is None else _outlook(goal, expected.gain, upfront)
    verdict, reasons = judge(Evidence(goal, money, look, labels, expected, ahead))
    return Brief(
        statement=goal.statement,
        currency=goal.value.currency if goal.value is not None else "",
        rows=money.rows,
        base_rate=money.base_rate,
        today=money.today,
        constants=money.constants,
        perfect=money.perfect,
        required={name: str(bound) for name, bound in goal.bounds.items()},
        decisions_per_month=goal.volume.per_month if goal.volume is not None else None,
        cost_per_month=money.cost,
        room_per_month=money.room,
        expected=expected,
        outlook=ahead,
        signal=look.to_dict() if look is not None else None,
        labels=money.rows * goal.costs.label,
        verdict=verdict,
        reasons=reasons,
    )


def _outlook(goal: GoalSpec, gain: Interval, upfront: float) -> Outlook:
    monthly = goal.volume.per_month if goal.volume is not None else None
    return outlook(gain, per_month=monthly, cost_per_month=cost_per_month(goal) or 0.0, upfront=upfront)
