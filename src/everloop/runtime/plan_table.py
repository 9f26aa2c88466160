"""The plan for a table: the same vectors as `plan.compile_row`, column by column in Polars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.runtime.encoders import GridEncoder, NumberEncoder, OneHotEncoder, TextEncoder
from everloop.runtime.many.encoded import MISSING, UNKNOWN, EncodedTable
from everloop.runtime.plan import Plan, derived_order
from everloop.runtime.row_fill import not_a_number, text_reader
from everloop.table.content import as_contents
from everloop.table.labels import label_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

_CELLS_TOGETHER = 1 << 17
"""Columns x rows of numbers that are encoded at once: a megabyte, which stays in the cache."""


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
    return encode_columns(plan, table).matrix()


def encode_columns(plan: Plan, table: Any) -> EncodedTable:
    """Encodes every column of a table; the vectors are made of it when they are asked for.

    Args:
        plan: The preparation.
        table: As `encode_table` takes it.

    Raises:
        DataFault: When a column is missing from the table or is of a type that the plan cannot use.
    """
    from everloop.table.tables import as_frame

    frame = as_frame(table)
    present = set(frame.columns)
    absent = [item.name for item in plan.inputs if item.name not in present]
    if absent:
        raise DataFault(
            f"The table lacks the columns {', '.join(absent)}, which the model reads; it has "
            f"{', '.join(frame.columns) or 'none'}.",
            hint="name the columns as they were named when the model was trained",
        )
    frame = _derive(plan, frame.select([item.name for item in plan.inputs]))
    columns = dict(zip(frame.columns, frame.get_columns(), strict=True))
    numbers = dict(_numbers([one for one in plan.encoders if isinstance(one, NumberEncoder)], columns))
    places: dict[int, NDArray[np.int32]] = {}
    for encoder in plan.encoders:
        if isinstance(encoder, NumberEncoder):
            continue
        column = _plain(as_contents(columns[encoder.column]))
        if isinstance(encoder, (TextEncoder, GridEncoder)):
            numbers |= _texts(encoder, column)
        else:
            known = encoder.categories if isinstance(encoder, OneHotEncoder) else encoder.values
            places[encoder.offset] = _places(column, list(known))
    return EncodedTable(plan, frame.height, numbers, places)


def _derive(plan: Plan, frame: pl.DataFrame) -> pl.DataFrame:
    if not plan.derived:
        return frame
    from everloop.table.expression import Expression, to_polars

    trees = {item.name: Expression.from_dict(item.expression) for item in plan.derived}
    for item in derived_order(plan, {name: frozenset(tree.columns) for name, tree in trees.items()}):
        frame = frame.with_columns(to_polars(trees[item.name]).alias(item.name))
    return frame


def _plain(column: pl.Series) -> pl.Series:
    """Brings a column to one of the plan's types: times become microseconds."""
    import polars as pl

    kind = column.dtype
    if kind == pl.Date:
        return column.cast(pl.Datetime("us")).to_physical()
    if isinstance(kind, pl.Datetime):
        return column.dt.cast_time_unit("us").to_physical()
    if kind == pl.Duration:  # a number of its own unit, as files of them are learned from
        return column.to_physical()
    if isinstance(kind, pl.Decimal) or kind == pl.Float32:
        return column.cast(pl.Float64)
    if kind.is_numeric() or kind in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null):
        return column
    raise DataFault(f"Column {column.name!r} is of type {kind}, which a plan cannot encode.")


def _numbers(
    encoders: Sequence[NumberEncoder], columns: Mapping[str, pl.Series]
) -> Iterator[tuple[int, Matrix]]:
    """Encodes numbers, of short tables many columns at once: a call costs more than a hundred rows."""
    rows = max(1, len(next(iter(columns.values()), ())))
    together = max(1, _CELLS_TOGETHER // rows)
    for start in range(0, len(encoders), together):
        some = encoders[start : start + together]
        numbers = _as_numbers([columns[encoder.column] for encoder in some])
        missing = np.isnan(numbers)
        low, high, fill, centre, scale = np.array([_constants(encoder) for encoder in some]).T[:, :, None]
        with np.errstate(over="ignore", invalid="ignore"):
            np.copyto(numbers, low, where=numbers < low)
            np.copyto(numbers, high, where=numbers > high)
            # A NaN may carry other bits; the row form knows one NaN.
            np.copyto(numbers, fill, where=missing)
            if centre.any():
                numbers -= centre
            if (scale != 1.0).any():
                numbers /= scale
            single = [place for place, encoder in enumerate(some) if encoder.float32]
            if single:
                numbers[single] = numbers[single].astype(np.float32)
        for place, encoder in enumerate(some):
            yield encoder.offset, numbers[place]
            if encoder.indicator:
                yield encoder.offset + 1, missing[place].astype(np.float64)


def _constants(encoder: NumberEncoder) -> tuple[float, float, float, float, float]:
    low = -np.inf if encoder.low is None else encoder.low
    high = np.inf if encoder.high is None else encoder.high
    return low, high, np.nan if encoder.fill is None else encoder.fill, encoder.centre, encoder.scale


def _as_numbers(columns: Sequence[pl.Series]) -> Matrix:
    """Gives columns as doubles, NaN for null, (columns, rows); they may be written to."""
    import polars as pl

    plain = [
        column if column.dtype.is_numeric() or column.dtype == pl.Boolean else _plain(as_contents(column))
        for column in columns
    ]
    text = [one.name for one in plain if one.dtype in (pl.String, pl.Categorical, pl.Enum)]
    if text:
        raise not_a_number(text[0], "text")
    named = pl.DataFrame([column.alias(str(place)) for place, column in enumerate(plain)])
    doubles: Matrix = named.cast(pl.Float64).to_numpy(order="fortran", writable=True)
    return doubles.T


def _places(column: pl.Series, categories: list[str]) -> NDArray[np.int32]:
    """Gives each value's place among the categories, or `UNKNOWN` or `MISSING`."""
    import polars as pl
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.dtype in (pl.Categorical, pl.Enum):
        distinct = column.drop_nulls().unique()
        codes, most = (
            one.to_physical().cast(pl.Int64).fill_null(-1).to_numpy() for one in (column, distinct)
        )
        known = np.full(int(most.max(initial=-1)) + 2, np.int32(MISSING))
        known[most] = _places(distinct.cast(pl.String), categories)
        found: NDArray[np.int32] = known[codes]  # the last is where -1 points at
        return found
    texts = label_texts(column)
    given = texts.to_arrow()
    indices = pc.index_in(given, value_set=pa.array(categories, type=given.type))
    places: NDArray[np.int32] = pc.fill_null(indices, UNKNOWN).to_numpy(zero_copy_only=False)
    if texts.null_count():
        places = np.where(texts.is_null().to_numpy(), np.int32(MISSING), places)
    return places


def _texts(encoder: TextEncoder | GridEncoder, column: pl.Series) -> dict[int, Matrix]:
    """Reads each different text once, by the function that a row is read with."""
    import polars as pl

    read = text_reader(encoder)
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    texts = column if column.dtype == pl.String else pl.repeat(None, len(column), dtype=pl.String, eager=True)
    first: dict[str | None, int] = {}
    numbers = np.empty((encoder.width, len(texts)))
    for place, text in enumerate(texts.to_list()):
        same = first.setdefault(text, place)
        numbers[:, place] = read(text) if same == place else numbers[:, same]
    return {encoder.offset + slot: numbers[slot] for slot in range(encoder.width)}
