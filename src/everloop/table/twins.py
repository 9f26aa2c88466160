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


def mixed(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Mixes keys with a seed into numbers that order them by chance (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = keys + np.uint64((0x9E3779B97F4A7C15 * (seed % 2**32 + 1)) % 2**64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)
