"""From the price of acting on a row to what acting on clusters of a table's rows is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import DataFault, SpecFault
from everloop.measure.acting import Acting
from everloop.measure.pricing import unpriced
from everloop.measure.worth import Worth
from everloop.table.prices import prices_of_rows, read_price
from everloop.table.schema import schema_of
from everloop.table.today import rows_where
from everloop.table.weights import row_counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec import GoalSpec, ProblemSpec, TodayRule
    from everloop.spec.frame import Frame
    from everloop.spec.goal import ValueSpec
    from everloop.table.expression import Expression

TASK = "clustering"
ALL, NONE = "all", "none"
_HINT = "goal.value: {kpi: 0.1 * spend - 2}    # SQL over the row: its money when its cluster is acted on"


def acting_of(goal: GoalSpec, frame: Frame, table: pl.DataFrame) -> Acting | None:
    """Prices acting on each row of a table, and what is acted on without a model.

    Args:
        goal: The file's `goal` part.
        frame: The problem.
        table: The rows, with every column that `kpi` and today's rule read.

    Returns:
        None where the task is another or nothing is priced.

    Raises:
        SpecFault: When the price is no number, names what is not there, or prices another task; or today's
            rule does not say what is acted on.
        DataFault: When the price is missing on a row.
    """
    value = goal.value
    if value is None or frame.task != TASK:
        return None
    money = prices_of_rows(table.lazy(), (read_kpi(value, schema_of(table).types),))[:, 0]
    missing = int(unpriced(money).sum())
    if missing:
        raise DataFault(
            f"The price of {missing} of {len(money)} rows is missing, infinite or beyond 1e100; "
            "a number was expected.",
            hint=f"goal.value.kpi: coalesce({value.kpi}, 0)",
            place="goal.value.kpi",
        )
    over, today = acted_today(goal.today, table, money, row_counts(table, frame))
    return Acting(money, today, over, value.currency)


def acting_worth(currency: str, size: int) -> Worth:
    """Prices acting on rows by what came of each: acting is worth that money, not acting nothing.

    Args:
        currency: The money's name.
        size: How many rows there are.
    """
    return Worth(
        TASK,
        errors=lambda _, money, acted: np.where(acted > 0, money, 0.0),
        size=size,
        currency=currency,
    )


def kpi_columns(goal: GoalSpec) -> tuple[str, ...]:
    """Names the columns that the price of acting reads; none where clusters have no price.

    Raises:
        SpecFault: When it cannot be read.
    """
    priced = goal.value is not None and goal.value.kind == TASK
    return read_kpi(goal.value, None).columns if goal.value is not None and priced else ()


def known_later(goal: GoalSpec, problem: ProblemSpec) -> tuple[str, ...]:
    """Names the columns that tell what came of acting: the price reads them, and they are left out as inputs.

    What the price reads of the inputs is known when the row is asked for.

    Raises:
        SpecFault: When the price cannot be read.
    """
    read = kpi_columns(goal) if problem.task == TASK else ()
    return tuple(name for name in read if name in problem.exclude)


def read_kpi(value: ValueSpec, types: Mapping[str, str] | None) -> Expression:
    """Reads the price of acting on a row.

    Args:
        value: `goal.value` of the lifecycle file.
        types: Of the columns; None reads it without looking whether they are there.

    Raises:
        SpecFault: When it is no number, names what is not there, or another task is priced.
    """
    if value.kind != TASK:
        raise SpecFault(
            f"goal.value prices a {value.kind} decision, and the problem is a clustering.",
            hint=_HINT,
            place="goal.value",
        )
    return read_price("kpi", str(value.kpi), types)


def acted_today(
    rule: TodayRule | None,
    table: pl.DataFrame,
    money: NDArray[np.float64],
    counts: NDArray[np.float64] | None = None,
) -> tuple[str, NDArray[np.float64]]:
    """Says what is acted on without a model: as the file says, else all rows or none, whichever pays more.

    Args:
        rule: `goal.today`: `always` *all* or *none*, or a `rule`, a condition over the row.
        table: The rows.
        money: What acting on each is worth, (n,).
        counts: What each row counts, (n,); None where all count alike.

    Returns:
        In words, and 1 where a row is acted on, (n,).

    Raises:
        SpecFault: When the rule says something else.
    """
    if rule is None:
        pays = float((money if counts is None else money * counts).sum()) > 0
        return f"acting on {ALL if pays else NONE}", np.full(len(money), float(pays))
    if rule.rule is not None:
        return "today's decisions", rows_where(rule.rule, table).astype(np.float64)
    if rule.always not in (ALL, NONE):
        said = f"always: {rule.always}" if rule.always is not None else f"column: {rule.column}"
        raise SpecFault(
            f"goal.today is {{{said}}}; without a model all rows of a clustering are acted on, or none, or "
            "those that a rule tells.",
            hint="goal.today: {always: none}, or {rule: spend > 100}",
            place="goal.today",
        )
    return "today's decisions", np.full(len(money), float(rule.always == ALL))
