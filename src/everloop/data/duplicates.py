"""Rows that repeat another: in every column, in some, or nearly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import SpecFault
from everloop.data.spelling import edit_distance, is_slip, normal_form
from everloop.table.twins import row_keys

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec.cleaning import RepeatedRows
    from everloop.table.stored import ColumnTable

_SHORTEST = 5
_MOST_TOGETHER = 50
"""Rows that share all but one column; where there are more, the column tells them apart and is no slip."""


def repeats(table: ColumnTable) -> NDArray[np.bool_]:
    """Marks rows that repeat an earlier one in every column, (n,)."""
    repeated: NDArray[np.bool_] = row_keys(table, table.columns) != np.arange(table.height)
    return repeated


def repeats_by(table: ColumnTable, rule: RepeatedRows) -> NDArray[np.bool_]:
    """Marks all rows but one of those that are the same in some columns, (n,).

    A row in which one of the columns is missing repeats none.

    Raises:
        SpecFault: When a column is not there.
    """
    import polars as pl

    absent = [name for name in rule.by if name not in table.columns]
    if absent:
        raise SpecFault(
            f"data.clean.duplicates names {absent[0]}, which is no column of the table.",
            hint=f"the columns are {', '.join(table.columns)}",
            place="data.clean.duplicates.by",
        )
    known = table.select(pl.all_horizontal(pl.col(rule.by).is_not_null()).alias("known"))["known"].to_numpy()
    keys, places = row_keys(table, rule.by), np.arange(table.height)
    stays = np.zeros(table.height, dtype=np.int64)
    ordered = places if rule.keep == "last" else places[::-1]
    stays[keys[ordered]] = ordered  # of several, the one that is written last
    marked: NDArray[np.bool_] = (stays[keys] != places) & known
    return marked


def near_repeats(table: ColumnTable) -> NDArray[np.bool_]:
    """Marks rows that repeat an earlier one but for case, spaces, accents, or one typing error, (n,).

    A typing error is one slip in one text of five letters or more; all other columns are equal.
    """
    import polars as pl

    rows = table.lazy().collect()
    texts = [name for name, dtype in rows.schema.items() if dtype == pl.String]
    plain = rows.with_columns(_normal(rows[name]) for name in texts)
    repeated = repeats(plain)
    for name in texts:
        others = [other for other in plain.columns if other != name]
        if others:
            repeated |= _slips(plain, name, others, repeated)
    return repeated


def _normal(column: pl.Series) -> pl.Series:
    import polars as pl

    distinct = column.drop_nulls().unique()
    forms = pl.Series([normal_form(text) for text in distinct.to_list()], dtype=pl.String)
    return column.replace_strict(distinct, forms, default=None, return_dtype=pl.String)


def _slips(
    table: pl.DataFrame, name: str, others: Sequence[str], repeated: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    import polars as pl

    found = np.zeros(table.height, dtype=np.bool_)
    keyed = pl.DataFrame({"key": row_keys(table, others), "text": table[name]}).with_row_index("row")
    long = pl.col("text").str.len_chars() >= _SHORTEST
    together = keyed.filter(~pl.Series(repeated)).drop_nulls().filter(long)
    groups = together.group_by("key").agg("row", "text")
    groups = groups.filter(pl.col("row").list.len().is_between(2, _MOST_TOGETHER))
    for rows, values in groups.select("row", "text").iter_rows():
        kept: list[str] = []
        for row, text in zip(rows, values, strict=True):
            if any(edit_distance(text, other, 1) == 1 and is_slip(text, other) for other in kept):
                found[row] = True
            else:
                kept.append(text)
    return found
