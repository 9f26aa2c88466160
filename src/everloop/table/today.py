"""What is decided without a model: always a class, a rule, or a column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault, SpecFault
from everloop.table.expression import Expression, parse, to_polars
from everloop.table.labels import class_indices
from everloop.table.schema import schema_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec import TodayRule
    from everloop.spec.frame import Frame

RULE = "goal.today.rule"


def today_decisions(rule: TodayRule, table: pl.DataFrame, frame: Frame) -> NDArray[Any]:
    """Gives the decision that the rule makes for each row.

    Args:
        rule: `always` a class or number; a `rule` in SQL (for two classes a condition: true is the positive
            decision, null is not; else an expression that gives the class or the number); or a `column`
            that holds it.
        table: The rows.
        frame: The problem.

    Returns:
        Booleans where binary, true where the positive class is decided; class positions; or numbers; (rows,).

    Raises:
        SpecFault: When the rule names a class or column that is not there, gives something else than the
            problem asks for, or nothing for some row.
    """
    if rule.rule is not None and frame.task == "binary":
        return rows_where(rule.rule, table)
    if rule.always is not None:
        return _always(rule.always, table.height, frame)
    place = "goal.today.column" if rule.column is not None else RULE
    decided = _column(str(rule.column), table) if rule.column is not None else _given(str(rule.rule), table)
    return _numbers(decided, frame, place) if frame.task == "regression" else _classes(decided, frame, place)


def _always(stated: str, rows: int, frame: Frame) -> NDArray[Any]:
    place = "goal.today.always"
    if frame.task == "regression":
        try:
            return np.full(rows, float(stated))
        except ValueError:
            raise SpecFault(f"{place} is {stated!r}; the target is a number.", place=place) from None
    if stated not in frame.classes:
        raise SpecFault(f"{place} is {stated!r}; the classes are {', '.join(frame.classes)}.", place=place)
    if frame.task == "binary":
        return np.full(rows, stated == frame.positive)
    return np.full(rows, float(frame.classes.index(stated)))


def rows_where(sql: str, table: pl.DataFrame) -> NDArray[np.bool_]:
    """Says for each row whether the condition of `goal.today.rule` holds; where it is null it does not."""
    import polars as pl

    condition = _expression(sql, table)
    if condition.type != "boolean":
        raise SpecFault(f"{RULE} gives a {condition.type}, not true or false: {sql}", place=RULE)
    decided = table.select(to_polars(condition).cast(pl.Boolean).fill_null(value=False).alias("decided"))
    return decided["decided"].to_numpy()


def _expression(sql: str, table: pl.DataFrame) -> Expression:
    try:
        return parse(sql, schema_of(table).types)
    except SpecFault as fault:
        fault.put(place=RULE)
        raise


def _given(sql: str, table: pl.DataFrame) -> pl.Series:
    import polars as pl

    given = to_polars(_expression(sql, table))
    # An expression of literals alone would be one row long; the count makes it as long as the table.
    rows = table.lazy().with_columns(pl.len().alias("_rows"))
    decided = rows.select(pl.when(pl.col("_rows") >= 0).then(given).alias("decided")).collect()
    return decided["decided"]


def _column(name: str, table: pl.DataFrame) -> pl.Series:
    if name not in table.columns:
        place = "goal.today.column"
        raise SpecFault(f"{place} names {name!r}, which is no column of the table.", place=place)
    return table[name]


def _classes(decided: pl.Series, frame: Frame, place: str) -> NDArray[Any]:
    try:
        positions = class_indices(decided, frame.classes)
    except DataFault as error:
        raise SpecFault(f"{place}: {error.message}", place=place) from error
    if frame.task == "binary":
        return np.asarray(positions == 1.0)
    _require_all(np.isnan(positions), place)
    return positions


def _numbers(decided: pl.Series, frame: Frame, place: str) -> NDArray[np.float64]:
    import polars as pl

    if not decided.dtype.is_numeric():
        raise SpecFault(f"{place} gives {decided.dtype}; {frame.target!r} is a number.", place=place)
    numbers = decided.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    _require_all(np.isnan(numbers), place)
    return np.asarray(numbers)


def _require_all(missing: NDArray[np.bool_], place: str) -> None:
    if missing.any():
        raise SpecFault(f"{place} decides nothing on {int(missing.sum())} of {len(missing)} rows.")
