"""A profile: what a table holds, column by column, each column read once and sorted once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.data.associations import associations
from everloop.data.identifiers import names_rows
from everloop.data.oddities import find_keys, find_time, oddities
from everloop.data.ordered import distinct, histogram, in_order, quantile
from everloop.data.profiles import ColumnProfile, Profile
from everloop.data.sentinels import number_facts, number_sentinels, plain, sentinels_of
from everloop.data.spelling import MOST_VALUES, find_spellings
from everloop.table.schema import column_type
from everloop.table.stored import VALUES_AT_ONCE, StoredTable
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
    stored = StoredTable.of(table)
    types = {name: column_type(name, dtype) for name, dtype in stored.source.collect_schema().items()}
    columns: list[ColumnProfile] = []
    read: dict[str, TextType] = {}
    for series in _columns(stored):
        column, text = _profiled(series, types[series.name])
        columns.append(column)
        if text is not None:
            read[series.name] = text
    found = tuple(columns)
    tells_apart = any(one.distinct == one.rows for one in found)
    duplicates = stored.height - _distinct_rows(stored) if stored.height and found and not tells_apart else 0
    pairs, rows = associations(stored, found, _MOST_ROWS_TO_PAIR)
    return Profile(
        rows=stored.height,
        duplicates=duplicates,
        columns=found,
        keys=find_keys(stored, found),
        time=find_time(found),
        oddities=oddities(found, read, pairs, duplicates),
        associations=pairs,
        associated_rows=rows,
    )


def _columns(table: StoredTable) -> Iterator[pl.Series]:
    """Reads columns, as many at once as memory takes; NaN is missing."""
    import polars as pl

    names = table.columns
    step = max(1, VALUES_AT_ONCE // max(1, table.height))
    for start in range(0, len(names), step):
        chosen = [pl.col(name) for name in names[start : start + step]]
        for column in table.select(*chosen):
            yield column.fill_nan(None) if column.dtype.is_float() else column


def _distinct_rows(table: StoredTable) -> int:
    import polars as pl

    hashes = table.select(pl.struct(table.columns).hash(seed=0)).to_series()
    return int(hashes.n_unique())


def _profiled(column: pl.Series, kind: str) -> tuple[ColumnProfile, TextType | None]:
    import polars as pl

    plain_facts: dict[str, Any] = {
        "name": column.name,
        "type": kind,
        "rows": len(column),
        "missing": column.null_count(),
    }
    text = None
    if kind in ("integer", "number"):
        facts = _of_numbers(column, kind)
    elif kind == "time":
        facts = _of_times(column)
    elif kind == "text":
        facts, text = _of_texts(column.cast(pl.String))
    else:
        counts = _counts(column)
        facts = {"distinct": len(counts), "top": tuple(counts.items())}
    made = ColumnProfile(**plain_facts, **facts)
    return ColumnProfile(**{**vars(made), "notes": _notes(made)}), text


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


def _of_texts(column: pl.Series) -> tuple[dict[str, Any], TextType]:
    import polars as pl

    counted = column.drop_nulls().alias("value").value_counts(name="rows")
    repeated = counted if counted.height <= MOST_VALUES else counted.filter(pl.col("rows") > 1)
    most = repeated.sort(["rows", "value"], descending=[True, False]).head(MOST_VALUES)
    counts = dict(most.iter_rows())
    few, present = counted.height <= MOST_VALUES, len(column) - column.null_count()
    found = sentinels_of(counted["value"])
    sentinels = dict(counted.filter(pl.col("value").is_in(list(found))).sort("value").iter_rows())
    lengths = counted.select(
        low=pl.col("value").str.len_chars().min(),
        mean=(pl.col("value").str.len_chars() * pl.col("rows")).sum() / max(1, present),
        high=pl.col("value").str.len_chars().max(),
    ).row(0)
    text = _text_type(counted.filter(~pl.col("value").is_in(list(found))))
    categories = text.kind == "text" and few and counted.height > 1
    facts = {
        "distinct": counted.height,
        "top": tuple(list(counts.items())[:TOP_VALUES]),
        "lengths": lengths if present else None,
        "sentinels": sentinels,
        "reads_as": text.kind,
        "spellings": find_spellings(counts) if categories else {},
    }
    return facts, text


def _text_type(counted: pl.DataFrame) -> TextType:
    """Says what values with their rows can be read as; of many different ones a sample may show text."""
    import polars as pl

    def read(values: pl.DataFrame, share: float) -> TextType:
        return text_types(values.lazy(), {"text": pl.col("value")}, share=share, rows=pl.col("rows"))["text"]

    step = counted.height // _SAMPLED
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
