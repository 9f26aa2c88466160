"""Inputs that name rows: a model can only learn them by heart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.data.identifiers import WORDS
from everloop.data.leaks.finding import LeakFinding
from everloop.data.leaks.parts import JUDGED_ROWS
from everloop.data.leaks.values import numbers_of
from everloop.table.content import content_of

if TYPE_CHECKING:
    import polars as pl

    from everloop.data.leaks.parts import Parts

KIND = "identifier"
FEWEST_ROWS = 50
NAMES_ROWS = 0.95
"""Text whose values differ in this share of the rows, or whole numbers that do and look like names."""

NAMES_FEW_ROWS = 0.4
"""Text whose values differ in this share of the rows names two or three rows each."""

UNSEEN, FEW_REPEATS = 0.5, 0.05
"""Or text of which this share of later rows has a value that training never saw."""

MOST_WORDS = 3
"""Text of more words is a description, which can be read."""

DIGITS = 5


def find(parts: Parts) -> Iterator[LeakFinding]:
    """Finds inputs of which nearly every row has its own value."""
    for name in parts.candidates:
        if content_of(parts.judged[name]) is not None or not _may_name_rows(parts.judged[name]):
            continue
        column = parts.train[name].drop_nulls()
        if len(column) < FEWEST_ROWS or column.dtype.is_temporal():
            continue
        distinct = column.n_unique()
        unseen = _unseen(parts, name)
        why = _why(name, column, distinct / len(column), unseen)
        if why is not None:
            yield LeakFinding(
                KIND,
                name,
                "error",
                f"{name} {why}: {distinct:,} different values in {len(column):,} training rows"
                + (f", and {unseen:.0%} of later rows have one that training never saw" if unseen else "")
                + ". A model can only learn it by heart.",
                {
                    "rows": len(column),
                    "distinct": distinct,
                    "unseen": unseen,
                    "examples": column.head(5).to_list(),
                },
            )


def _may_name_rows(drawn: pl.Series) -> bool:
    """Tells from some rows whether values may differ enough: among more rows more of them come again."""
    present = drawn.drop_nulls()
    numbers = numbers_of(present) if present.dtype.is_float() else None
    if numbers is not None and not np.array_equal(numbers, np.round(numbers)):
        return False
    return len(present) < JUDGED_ROWS or present.n_unique() / len(present) >= FEW_REPEATS


def _unseen(parts: Parts, name: str) -> float | None:
    """Gives the share of rows after the training part whose value it does not have."""
    import polars as pl

    later = [table[name] for part, table in parts.tables.items() if part != "train" and name in table.columns]
    rows = pl.concat(later).drop_nulls() if later else pl.Series(name, [], dtype=parts.schema[name])
    if rows.is_empty():
        return None
    known = parts.train[name].unique()
    return 1.0 - float(rows.is_in(known.implode()).mean() or 0.0)  # type: ignore[arg-type]


def _why(name: str, column: pl.Series, share: float, unseen: float | None) -> str | None:
    import polars as pl

    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        text = column.cast(pl.String)
        if numbers_of(text) is None and float(text.str.count_matches(r"\S+").mean() or 0) > MOST_WORDS:  # type: ignore[arg-type]
            return None
        if share >= NAMES_ROWS:
            return "names rows"
        if share >= NAMES_FEW_ROWS or (unseen is not None and unseen >= UNSEEN and share >= FEW_REPEATS):
            return "names few rows each"
        return None
    numbers = numbers_of(column)
    if numbers is None or share < NAMES_ROWS or not np.array_equal(numbers, np.round(numbers)):
        return None
    return _numbered(name, numbers)


def _numbered(name: str, numbers: Any) -> str | None:
    """Says why whole numbers that differ are names and no amounts."""
    low, high = float(numbers.min()), float(numbers.max())
    if WORDS & set(name.lower().replace("-", "_").replace(".", "_").split("_")):
        return "names rows, as its name says"
    if high - low < 4 * len(numbers):
        return "numbers the rows"
    if low >= 10 ** (DIGITS - 1) and len(str(int(low))) == len(str(int(high))):
        return "holds numbers of one length, as names have"
    return None
