"""What each decision is worth, in money, from the columns of its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from everloop.core.errors import DataFault, SpecFault
from everloop.core.nearness import near_names
from everloop.table.expression import Expression, parse, to_number, to_polars

if TYPE_CHECKING:
    import polars as pl

    from everloop.spec.goal import ValueSpec

OUTCOMES = ("true_positive", "false_positive", "false_negative", "true_negative")
"""The order of prices wherever they stand in an array."""


@dataclass(frozen=True)
class Prices:
    """The four prices of a decision, each a number expression over the row, and their currency."""

    true_positive: Expression
    false_positive: Expression
    false_negative: Expression
    true_negative: Expression
    currency: str = ""

    @classmethod
    def of(cls, value: ValueSpec, types: Mapping[str, str]) -> Prices:
        """Reads the prices of a lifecycle file.

        Args:
            value: The part ``goal.value``.
            types: From each column's name to its type (`Schema.types`).

        Raises:
            SpecFault: A price is no expression, names a column that is not there or gives no number.
        """
        won, spent, lost, kept = (read_price(name, str(getattr(value, name)), types) for name in OUTCOMES)
        return cls(won, spent, lost, kept, value.currency)

    @property
    def expressions(self) -> tuple[Expression, Expression, Expression, Expression]:
        """The four expressions in the order of `OUTCOMES`."""
        return self.true_positive, self.false_positive, self.false_negative, self.true_negative

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that prices read, each once."""
        return tuple(dict.fromkeys(name for price in self.expressions for name in price.columns))

    def of_table(self, table: Any) -> npt.NDArray[np.float64]:
        """Prices every row of a table.

        Args:
            table: A Polars, pandas, Arrow or DuckDB table, or a path.

        Returns:
            (n, 4) doubles in the order of `OUTCOMES`; NaN where a price is null.

        Raises:
            DataFault: The table lacks a column that a price reads.
        """
        from everloop.table.tables import as_lazy

        lazy = as_lazy(table)
        names = lazy.collect_schema().names()
        for column in self.columns:
            if column not in names:
                near = near_names(column, names)
                raise DataFault(
                    f"A price reads column {column!r}, which the table does not have.",
                    hint=f"did you mean {near[0]}?" if near else None,
                )
        return prices_of_rows(lazy, self.expressions)

    @cached_property
    def _row_forms(self) -> tuple[Callable[[Mapping[str, Any]], float], ...]:
        return tuple(to_number(price) for price in self.expressions)

    def of_row(self, row: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """Prices one row, as `of_table` prices a row of a table.

        Returns:
            (4,) doubles in the order of `OUTCOMES`; NaN where a price is null.
        """
        return np.array([price(row) for price in self._row_forms], dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Gives the prices as what JSON can carry."""
        prices = {name: price.to_dict() for name, price in zip(OUTCOMES, self.expressions, strict=True)}
        return {**prices, "currency": self.currency}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Prices:
        """Reads what `to_dict` gave; needs no SQL parser."""
        won, spent, lost, kept = (Expression.from_dict(data[name]) for name in OUTCOMES)
        return cls(won, spent, lost, kept, str(data.get("currency", "")))


def read_price(name: str, sql: str, types: Mapping[str, str] | None) -> Expression:
    """Reads one price of `goal.value`: an expression that gives a number.

    Raises:
        SpecFault: When it is no expression, names a column that is not there or gives no number.
    """
    return read_number(sql, types, f"goal.value.{name}", "A price")


def read_number(sql: str, types: Mapping[str, str] | None, place: str, what: str = "A weight") -> Expression:
    """Reads an expression of the lifecycle file that has to give a number.

    Args:
        sql: The expression.
        types: Of the columns; None reads them without looking whether they are there.
        place: The key that says it.
        what: What it is, for the message.

    Raises:
        SpecFault: When it is no expression, names a column that is not there or gives no number.
    """
    try:
        expression = parse(sql, types)
    except SpecFault as fault:
        raise SpecFault(fault.message, hint=fault.hint, place=place) from fault
    if expression.type != "number":
        name = place.rpartition(".")[2]
        raise SpecFault(
            f"{what} is a number; {sql!r} gives {expression.type}.",
            hint=f"{name}: case when {sql} then 1 else 0 end" if expression.type == "boolean" else None,
            place=place,
        )
    return expression


def prices_of_rows(lazy: pl.LazyFrame, prices: tuple[Expression, ...]) -> npt.NDArray[np.float64]:
    """Gives each price of each row, (n, prices); NaN where it is null."""
    import polars as pl

    selected = [to_polars(price).alias(str(index)) for index, price in enumerate(prices)]
    rows = pl.len().alias("rows")
    # A price of literals alone would be one row long; the count makes it as long as the table.
    frame = (
        lazy.with_columns(rows.alias("_rows"))
        .select(
            *(pl.when(pl.col("_rows") >= 0).then(price).alias(price.meta.output_name()) for price in selected)
        )
        .collect()
    )
    return np.column_stack([frame[name].fill_null(float("nan")).to_numpy() for name in frame.columns])
