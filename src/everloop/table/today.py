"""What is decided without a model: always a class, a rule, or a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import DataFault, SpecFault
from everloop.table.expression import parse, to_polars
from everloop.table.labels import class_indices
from everloop.table.schema import schema_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec import TodayRule
    from everloop.spec.frame import Frame


def today_decisions(rule: TodayRule, table: pl.DataFrame, frame: Frame) -> NDArray[np.bool_]:
    """Gives the decision that the rule makes for each row of a binary problem.

    Args:
        rule: `always` a class, a `rule` in SQL (true is the positive decision; null is not), or a
            `column` that holds the class.
        table: The rows.
        frame: The problem.

    Returns:
        True where the positive class is decided, (rows,).

    Raises:
        SpecFault: When the rule names a class or column that is not there, or is no condition.
    """
    if rule.always is not None:
        if rule.always not in frame.classes:
            raise SpecFault(
                f"goal.today.always is {rule.always!r}; the classes are {', '.join(frame.classes)}."
            )
        return np.full(table.height, rule.always == frame.positive)
    if rule.rule is not None:
        return _by_rule(rule.rule, table)
    return _by_column(str(rule.column), table, frame)


def _by_rule(sql: str, table: pl.DataFrame) -> NDArray[np.bool_]:
    import polars as pl

    types = {column.name: column.type for column in schema_of(table).columns}
    condition = parse(sql, types)
    if condition.type != "boolean":
        raise SpecFault(f"goal.today.rule gives a {condition.type}, not true or false: {sql}")
    decided = table.select(to_polars(condition).cast(pl.Boolean).fill_null(value=False).alias("decided"))
    return decided["decided"].to_numpy()


def _by_column(name: str, table: pl.DataFrame, frame: Frame) -> NDArray[np.bool_]:
    if name not in table.columns:
        raise SpecFault(f"goal.today.column names {name!r}, which is no column of the table.")
    try:
        decided: NDArray[np.bool_] = class_indices(table[name], frame.classes) == 1.0
    except DataFault as error:
        raise SpecFault(f"goal.today.column: {error.message}") from error
    return decided
