"""Rows that repeat another: in every column, in some, or nearly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import SpecFault
from everloop.data.spelling import edit_distance, is_slip, normal_form
from everloop.table.twins import firsts, mixed, repeated, row_keys, twin_keys

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec.cleaning import RepeatedRows
    from everloop.table.stored import ColumnTable

_SHORTEST = 5
_TEXTS_AT_ONCE = 1_000_000
_MOST_TOGETHER = 50
"""Rows that share all but one column; where there are more, the column tells them apart and is no slip."""


def repeats(table: ColumnTable) -> NDArray[np.bool_]:
    """Marks rows that repeat an earlier one in every column, and not by chance, (n,)."""
    repeated: NDArray[np.bool_] = twin_keys(table, table.columns) != np.arange(table.height)
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

    A typing error is one slip in one text of five letters or more; all other columns are equal. Rows are
    told apart by numbers that their columns' hashes add up to; one column is held at a time.
    """
    import polars as pl

    schema = table.lazy().collect_schema()
    whole = np.zeros(table.height, dtype=np.uint64)
    for place, name in enumerate(schema):
        whole += _hashes(_normal(table[name]), place)
    found: NDArray[np.bool_] = firsts(whole) != np.arange(table.height)
    for place, (name, dtype) in enumerate(schema.items()):
        if dtype == pl.String and len(schema) > 1:
            text = _normal(table[name])
            found |= _slips(whole - _hashes(text, place), text, found)
    return found


def _hashes(column: pl.Series, place: int) -> NDArray[np.uint64]:
    return mixed(column.hash(seed=0).to_numpy(), place)


def _normal(column: pl.Series) -> pl.Series:
    """Gives texts without case, accents and spaces that mean nothing; other columns as they are."""
    import polars as pl

    if column.dtype != pl.String:
        return column
    return pl.concat(
        _normal_block(column[start : start + _TEXTS_AT_ONCE])
        for start in range(0, max(len(column), 1), _TEXTS_AT_ONCE)
    )


def _normal_block(column: pl.Series) -> pl.Series:
    import polars as pl

    distinct = column.drop_nulls().unique()
    forms = pl.Series([normal_form(text) for text in distinct.to_list()], dtype=pl.String)
    return column.replace_strict(distinct, forms, default=None, return_dtype=pl.String)


def _slips(keys: NDArray[np.uint64], text: pl.Series, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Marks texts that are one slip from an earlier one of the same key, which is of all other columns."""
    import polars as pl

    found = np.zeros(len(keys), dtype=np.bool_)
    long = (text.str.len_chars() >= _SHORTEST).fill_null(value=False).to_numpy()
    rows = np.flatnonzero(long & ~marked)
    rows = rows[repeated(keys[rows])]
    together = pl.DataFrame({"key": keys[rows], "text": text.gather(rows), "row": rows})
    groups = together.group_by("key").agg("row", "text")
    groups = groups.filter(pl.col("row").list.len().is_between(2, _MOST_TOGETHER))
    for rows, values in groups.select("row", "text").iter_rows():
        kept: list[str] = []
        for row, value in zip(rows, values, strict=True):
            if any(edit_distance(value, other, 1) == 1 and is_slip(value, other) for other in kept):
                found[row] = True
            else:
                kept.append(value)
    return found
