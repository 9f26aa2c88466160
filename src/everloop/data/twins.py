"""Rows that cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray


def row_keys(table: pl.DataFrame, columns: Sequence[str]) -> NDArray[np.uint64]:
    """Gives each row a number that equal rows share: the position of the first of them.

    Args:
        table: The rows, (n,).
        columns: The columns that are compared; missing values are equal to each other.

    Returns:
        Positions, (n,).
    """
    import polars as pl

    if not columns:
        return np.arange(table.height, dtype=np.uint64)
    keys = table.select(pl.struct(list(columns)).hash(seed=0).alias("key"))["key"].to_numpy()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first[inverse].astype(np.uint64)
