"""Rows that cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from everloop.table.stored import StoredTable, row_hashes

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.table.stored import ColumnTable

OFTEN = 4
"""A value that so many rows share on the mean is not a row's own."""

FEWEST_PAIRS = 1e-3
"""From so many pairs of equal rows on, as independent columns would have them, equal rows are no wonder."""


def row_keys(table: ColumnTable, columns: Sequence[str]) -> NDArray[np.uint64]:
    """Gives each row a number that equal rows share: the position of the first of them.

    Args:
        table: The rows, (n,).
        columns: The columns that are compared; missing values are equal to each other.

    Returns:
        Positions, (n,).
    """
    if not columns or not table.height:
        return np.arange(table.height, dtype=np.uint64)
    hashed = table.row_hashes(columns) if isinstance(table, StoredTable) else row_hashes(table, columns)
    return firsts(hashed.to_numpy())


def equal_by_chance(table: ColumnTable, columns: Sequence[str]) -> bool:
    """Says whether rows that are equal in columns are no wonder, since these hold so few combinations.

    Of two rows with the same colour and the same size neither repeats the other: the next rows will be equal
    to earlier ones as often. Where a column's values are mostly a row's own, or so many columns agree that
    chance does not make it, the same row was written twice.

    Args:
        table: The rows, (n,).
        columns: The columns that are compared.
    """
    rows = table.height
    pairs = float(rows) ** 2
    for name in columns:
        counts = table[name].hash(seed=0).unique_counts().to_numpy().astype(np.float64)
        if rows < OFTEN * len(counts):
            return False
        pairs *= float(((counts / rows) ** 2).sum())
    return bool(columns) and pairs >= FEWEST_PAIRS


def twin_keys(table: ColumnTable, columns: Sequence[str]) -> NDArray[np.uint64]:
    """Gives each row a number that its twins share, which are to be learned from or judged by together.

    Args:
        table: The rows, (n,).
        columns: In which twins are equal. Where rows are so by chance no two are twins.

    Returns:
        As `row_keys`.
    """
    keys = row_keys(table, columns)
    own = np.arange(table.height, dtype=np.uint64)
    return own if (keys != own).any() and equal_by_chance(table, columns) else keys


def firsts(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Gives for each key the position of the first that equals it, (n,)."""
    order = np.argsort(keys, kind="stable").astype(np.uint32 if len(keys) < 2**32 else np.uint64)
    keys = keys[order]
    begins = np.concatenate(([True], keys[1:] != keys[:-1]))[: len(keys)]
    del keys
    first = np.empty(len(order), dtype=np.uint64)
    first[order] = order[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    return first


def repeated(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Marks the keys that come more than once, each time that they do, (n,)."""
    order = np.sort(keys)
    again = order[1:][order[1:] == order[:-1]]
    place = np.minimum(np.searchsorted(again, keys), max(len(again) - 1, 0))
    return again[place] == keys if len(again) else np.zeros(len(keys), dtype=np.bool_)


def repeats_of_key(table: pl.LazyFrame, key: pl.Expr, present: pl.Expr) -> NDArray[np.bool_]:
    """Marks rows whose key another row has, too, in some bytes a row, however long keys are.

    Keys are told apart by 64-bit hashes, as `count_distinct` does.

    Args:
        table: The rows, (n,).
        key: The value, such as a text or a struct of several columns.
        present: Which rows have one.
    """
    asked = table.select(key.hash(seed=0).alias("key"), present.alias("present")).collect(engine="streaming")
    rows = np.flatnonzero(asked["present"].to_numpy())
    marked = np.zeros(asked.height, dtype=np.bool_)
    marked[rows] = repeated(asked["key"].to_numpy()[rows])
    return marked


def content_hashes(table: ColumnTable, columns: Sequence[str]) -> NDArray[np.uint64]:
    """Gives each row a number that follows from its values alone; equal rows share it.

    Columns are read one at a time and hashed here, so that every engine gives the same numbers.

    Args:
        table: The rows, (n,).
        columns: The columns that are read; missing values are equal to each other.
    """
    found = np.zeros(table.height, dtype=np.uint64)
    for name in columns:
        found = mixed(found, 0) ^ table[name].hash(seed=0).to_numpy()
    return found


def own_hashes(table: ColumnTable) -> NDArray[np.uint64]:
    """Gives each row a number of its own that follows from its values, and of equal rows from their count.

    Args:
        table: The rows, (n,).
    """
    hashes = content_hashes(table, table.columns)
    order = np.argsort(hashes, kind="stable")
    begins = np.flatnonzero(np.concatenate(([True], hashes[order][1:] != hashes[order][:-1])))[: len(order)]
    sizes = np.diff(begins, append=len(order))
    places = np.empty(len(order), dtype=np.uint64)
    places[order] = np.arange(len(order)) - np.repeat(begins, sizes)
    return hashes ^ mixed(places, 1)


def mixed(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Mixes keys with a seed into numbers that order them by chance (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = keys + np.uint64((0x9E3779B97F4A7C15 * (seed % 2**32 + 1)) % 2**64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)
