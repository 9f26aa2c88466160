"""A profile: what a table holds, column by column, each column read once and sorted once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.data.associations import associations
from everloop.data.identifiers import names_rows
from everloop.data.oddities import find_keys, find_time, oddities
from everloop.data.ordered import distinct, histogram, in_order, quantile
from everloop.data.profiles import ColumnProfile, Profile
from everloop.data.sentinels import means_missing, number_facts, number_sentinels, plain
from everloop.data.spelling import MOST_VALUES, find_spellings
from everloop.data.value_counts import counted_texts
from everloop.table.parsed import parsed_once
from everloop.table.schema import column_type
from everloop.table.stored import VALUES_AT_ONCE, StoredTable, count_distinct
from everloop.table.text_types import SHARE, TextType, text_types

if TYPE_CHECKING:
    import polars as pl

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 20
TOP_VALUES = 10
MOST_CLASSES = 50
"""A whole number of more different values is continuous: it has a histogram and no most frequent values."""

_SAMPLED, _SHARE_OF_SAMPLE = 2_000, 0.9
_MOST_ROWS_TO_PAIR = 20_000


def profile(table: Any) -> Profile:
    """Looks at each column of a table.

    Args:
        table: A Polars, pandas, Arrow or DuckDB table, or a path. It may be larger than memory.

    Returns:
        Types, missing and distinct values (counted exactly), quantiles, histograms, frequent values,
        what columns say about each other, likely keys and the likely time column, and what is odd:
        values that stand for a missing one, numbers and times kept as text, mixed types, spellings of
        one category, constant columns and identifiers.

    Raises:
        DataFault: When the table is none, or a column holds what a table cannot.

    Example:
        >>> import polars as pl
        >>> found = profile(pl.DataFrame({"age": [20, 30, None], "town": ["A", "A", "B"]}))
        >>> found["age"].missing, found["town"].top[0]
        (1, ('A', 2))
    """
    with parsed_once(table) as rows:
        return _profile(StoredTable.of(rows))


def _profile(table: StoredTable) -> Profile:
    import polars as pl

    types = {name: column_type(name, dtype) for name, dtype in table.source.collect_schema().items()}
    texts = {name: _of_texts(table, name) for name, kind in types.items() if kind == "text"}
    others = {column.name: _of_values(column, types[column.name]) for column in _columns(table, types)}
    found = tuple(texts[name][0] if name in texts else others[name] for name in types)
    tells_apart = any(one.distinct == one.rows for one in found)
    duplicates = 0
    if table.height and found and not tells_apart:
        duplicates = table.height - count_distinct(table.lazy(), pl.struct(table.columns), pl.lit(value=True))
    pairs, rows = associations(table, found, _MOST_ROWS_TO_PAIR)
    return Profile(
        rows=table.height,
        duplicates=duplicates,
        columns=found,
        keys=find_keys(table, found),
        time=find_time(found),
        oddities=oddities(found, {name: read for name, (_, read) in texts.items()}, pairs, duplicates),
        associations=pairs,
        associated_rows=rows,
    )


def _columns(table: StoredTable, types: Mapping[str, str]) -> Iterator[pl.Series]:
    """Reads columns of other than text, as many at once as memory takes; NaN is missing."""
    import polars as pl

    names = [name for name, kind in types.items() if kind != "text"]
    step = max(1, VALUES_AT_ONCE // max(1, table.height))
    for start in range(0, len(names), step):
        chosen = [pl.col(name) for name in names[start : start + step]]
        for column in table.select(*chosen):
            yield column.fill_nan(None) if column.dtype.is_float() else column


def _of_values(column: pl.Series, kind: str) -> ColumnProfile:
    if kind in ("integer", "number"):
        facts = _of_numbers(column, kind)
    elif kind == "time":
        facts = _of_times(column)
    else:
        counts = _counts(column)
        facts = {"distinct": len(counts), "top": tuple(counts.items())}
    return _noted(column.name, kind, (len(column), column.null_count()), facts)


def _noted(name: str, kind: str, rows: tuple[int, int], facts: dict[str, Any]) -> ColumnProfile:
    made = ColumnProfile(name, kind, *rows, **facts)
    return replace(made, notes=_notes(made))


def _of_numbers(column: pl.Series, kind: str) -> dict[str, Any]:
    ordered = in_order(column)
    different = distinct(ordered)
    if kind == "number" and len(ordered) < len(column) - column.null_count():
        different += column.filter(column.is_infinite()).n_unique()
    facts: dict[str, Any] = {"distinct": different}
    if different <= (MOST_CLASSES if kind == "integer" else TOP_VALUES):
        facts["top"] = tuple(list(_counts(column).items())[:TOP_VALUES])
    found = number_sentinels(number_facts(ordered))
    facts |= {
        "low": column.min(),
        "high": column.max(),
        "mean": column.mean(),
        "deviation": column.std(),
        "histogram": histogram(ordered, BINS),
        "zeros": int(np.searchsorted(ordered, 0.0, "right") - np.searchsorted(ordered, 0.0)),
        "sentinels": {str(plain(value)): rows for value, rows in found.items()},
    }
    if len(ordered):
        facts["quantiles"] = {f"{share:.0%}": quantile(ordered, share) for share in QUANTILES}
    return facts


def _of_times(column: pl.Series) -> dict[str, Any]:
    import polars as pl

    ordered = in_order(column.cast(pl.Datetime("us")).to_physical())
    return {
        "distinct": distinct(ordered),
        "low": column.min(),
        "high": column.max(),
        "histogram": histogram(ordered, BINS),
    }


def _of_texts(table: StoredTable, name: str) -> tuple[ColumnProfile, TextType]:
    import polars as pl

    with counted_texts(table, name) as counted:
        value, rows = pl.col("value"), pl.col("rows")
        length = value.str.len_chars()
        facts = counted.select(
            pl.len().alias("different"),
            rows.sum().alias("present"),
            length.min().alias("low"),
            (length * rows).sum().alias("total"),
            length.max().alias("high"),
        )
        different, present, low, total, high = facts.collect(engine="streaming").row(0)
        marks = counted.filter(means_missing(value)).sort("value").collect(engine="streaming")
        sentinels = {} if marks.height == different else dict(marks.iter_rows())
        few = different <= MOST_VALUES
        repeated = counted if few else counted.filter(rows > 1)
        most = repeated.sort(["rows", "value"], descending=[True, False]).head(MOST_VALUES)
        counts = dict(most.collect(engine="streaming").iter_rows())
        text = _text_type(counted.filter(~value.is_in(list(sentinels))), different - len(sentinels))
    told = {
        "distinct": different,
        "top": tuple(list(counts.items())[:TOP_VALUES]),
        "lengths": (low, total / present, high) if present else None,
        "sentinels": sentinels,
        "reads_as": text.kind,
        "spellings": find_spellings(counts) if text.kind == "text" and few and different > 1 else {},
    }
    return _noted(name, "text", (table.height, table.height - present), told), text


def _text_type(counted: pl.LazyFrame, different: int) -> TextType:
    """Says what values with their rows can be read as; of many different ones a sample may show text."""
    import polars as pl

    def read(values: pl.LazyFrame, share: float) -> TextType:
        return text_types(values, {"text": pl.col("value")}, share=share, rows=pl.col("rows"))["text"]

    step = different // _SAMPLED
    if step > 1:
        sample = read(counted.filter(pl.col("value").hash(seed=0) % step == 0), _SHARE_OF_SAMPLE)
        if sample.kind == "text" and not sample.mixed:
            return sample
    return read(counted, SHARE)


def _counts(column: pl.Series) -> dict[Any, int]:
    counted = column.drop_nulls().alias("value").value_counts(name="rows")
    return dict(counted.sort(["rows", "value"], descending=[True, False]).iter_rows())


def _notes(column: ColumnProfile) -> tuple[str, ...]:
    present = column.rows - column.missing
    if not present:
        return ("empty",)
    if column.distinct == 1 and not column.missing:
        return ("constant",)
    if column.reads_as in (None, "text") and names_rows(column.name, column.type, present, column.distinct):
        return ("identifier",)
    return ()
