"""What is decided without a model, on the rows that a model is compared on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import SpecFault

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec import TodayRule
    from everloop.spec.frame import Frame


def decisions_today(rule: TodayRule, table: pl.DataFrame, frame: Frame) -> NDArray[np.bool_]:
    """Gives the decision that the rule makes for each row of a binary problem, (n,).

    Raises:
        SpecFault: When the rule names what is not there.
    """
    import polars as pl

    from everloop.table.expression import parse, to_polars
    from everloop.table.labels import class_indices
    from everloop.table.schema import schema_of

    if rule.always is not None:
        return np.full(table.height, rule.always == frame.positive)
    if rule.rule is not None:
        condition = to_polars(parse(rule.rule, schema_of(table).types))
        decided = table.select(condition.cast(pl.Boolean).fill_null(value=False).alias("decided"))
        return decided["decided"].to_numpy()
    if rule.column not in table.columns:
        raise SpecFault(f"goal.today.column names {rule.column!r}, which is no column of the table.")
    return np.asarray(class_indices(table[str(rule.column)], frame.classes) == 1.0)
