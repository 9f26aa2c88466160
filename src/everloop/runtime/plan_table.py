"""The plan for a table: the same vectors as `plan.compile_row`, column by column in Polars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.runtime.encoders import LookupEncoder, NumberEncoder, OneHotEncoder, TextEncoder
from everloop.runtime.plan import Plan, derived_order
from everloop.runtime.row_fill import not_a_number
from everloop.table.labels import label_texts

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


def encode_table(plan: Plan, table: Any) -> Matrix:
    """Encodes every row of a table.

    Args:
        plan: The preparation.
        table: Polars, pandas, Arrow or a path, with every column that the plan reads; others are
            left aside. It is not changed.

    Returns:
        The vectors, (rows, `plan.width`) doubles; equal bit for bit to `compile_row` on each row.

    Raises:
        DataFault: When a column is missing from the table or is of a type that the plan cannot use.
    """
    from everloop.table.tables import as_frame

    frame = as_frame(table)
    present = set(frame.columns)
    absent = [item.name for item in plan.inputs if item.name not in present]
    if absent:
        raise DataFault(f"The table lacks the columns {absent}, which the plan reads.")
    frame = _derive(plan, frame.select([item.name for item in plan.inputs]))
    matrix = np.zeros((frame.height, plan.width))
    for encoder in plan.encoders:
        column = _plain(frame[encoder.column])
        if isinstance(encoder, NumberEncoder):
            _write_number(encoder, column, matrix)
        elif isinstance(encoder, OneHotEncoder):
            _write_one_hot(encoder, column, matrix)
        elif isinstance(encoder, TextEncoder):
            _write_text(encoder, column, matrix)
        else:
            _write_lookup(encoder, column, matrix)
    return matrix


def _derive(plan: Plan, frame: pl.DataFrame) -> pl.DataFrame:
    if not plan.derived:
        return frame
    from everloop.table.expression import Expression, to_polars

    trees = {item.name: Expression.from_dict(item.expression) for item in plan.derived}
    for item in derived_order(plan, {name: frozenset(tree.columns) for name, tree in trees.items()}):
        frame = frame.with_columns(to_polars(trees[item.name]).alias(item.name))
    return frame


def _plain(column: pl.Series) -> pl.Series:
    """Brings a column to one of the plan's types: times become microseconds, enumerations texts."""
    import polars as pl

    kind = column.dtype
    if kind == pl.Date:
        return column.cast(pl.Datetime("us")).to_physical()
    if isinstance(kind, pl.Datetime):
        return column.dt.cast_time_unit("us").to_physical()
    if kind in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if isinstance(kind, pl.Decimal) or kind == pl.Float32:
        return column.cast(pl.Float64)
    if kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Null):
        return column
    raise DataFault(f"Column {column.name!r} is of type {kind}, which a plan cannot encode.")


def _write_number(encoder: NumberEncoder, column: pl.Series, matrix: Matrix) -> None:
    import polars as pl

    if column.dtype == pl.String:
        raise not_a_number(encoder.column, "text")
    numbers = column.cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()
    missing = np.isnan(numbers)
    with np.errstate(over="ignore", invalid="ignore"):
        if encoder.low is not None:
            numbers[numbers < encoder.low] = encoder.low
        if encoder.high is not None:
            numbers[numbers > encoder.high] = encoder.high
        # A NaN may carry other bits; the row form knows one NaN.
        numbers[missing] = np.nan if encoder.fill is None else encoder.fill
        numbers = (numbers - encoder.centre) / encoder.scale
        if encoder.float32:
            numbers = numbers.astype(np.float32).astype(np.float64)
    matrix[:, encoder.offset] = numbers
    if encoder.indicator:
        matrix[:, encoder.offset + 1] = missing


def _positions(column: pl.Series, categories: list[str]) -> NDArray[np.int64]:
    """Gives each value's place among the categories; -1 for no category, -2 for missing."""
    import polars as pl

    texts = label_texts(column)
    places = texts.replace_strict(categories, range(len(categories)), default=-1, return_dtype=pl.Int64)
    return np.where(texts.is_null().to_numpy(), -2, places.fill_null(-2).to_numpy())


def _write_one_hot(encoder: OneHotEncoder, column: pl.Series, matrix: Matrix) -> None:
    places = _positions(column, list(encoder.categories))
    if encoder.other:
        places = np.where(places == -1, len(encoder.categories), places)
    rows = np.flatnonzero(places >= 0)
    matrix[rows, encoder.offset + places[rows]] = 1.0


def _write_text(encoder: TextEncoder, column: pl.Series, matrix: Matrix) -> None:
    """Scores each different text once, by the function that a row is scored with."""
    import polars as pl

    from everloop.runtime.text_terms import text_scorer

    score = text_scorer(encoder)
    texts = column if column.dtype == pl.String else pl.repeat(None, len(column), dtype=pl.String, eager=True)
    known: dict[str | None, NDArray[np.float64]] = {}
    for place, text in enumerate(texts.to_list()):
        if text not in known:
            known[text] = score(text)
        matrix[place, encoder.offset : encoder.offset + encoder.width] = known[text]


def _write_lookup(encoder: LookupEncoder, column: pl.Series, matrix: Matrix) -> None:
    unknown = np.nan if encoder.unknown is None else encoder.unknown
    missing = np.nan if encoder.missing is None else encoder.missing
    # The two at the end are what the places -2 and -1 point at.
    numbers = np.array([*encoder.values.values(), missing, unknown])
    matrix[:, encoder.offset] = numbers[_positions(column, list(encoder.values))]
