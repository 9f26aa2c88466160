"""How often each text of a column comes; a column of a large table is never held whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.table.stored import ROWS_AT_ONCE, write_rows

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.stored import StoredTable


@contextmanager
def counted_texts(table: StoredTable, name: str) -> Iterator[pl.LazyFrame]:
    """Counts the different texts of a column; missing ones are none.

    Of a table of many millions of rows, texts are shared out by their hash and counted one share
    after the other, on the disk.

    Args:
        table: The rows.
        name: A column of text.

    Returns:
        ``value`` and ``rows``, in no order, while the context lasts.
    """
    import polars as pl

    text = pl.col(name).cast(pl.String).alias("value")
    if table.height <= ROWS_AT_ONCE:
        held = table[name].cast(pl.String).alias("value").drop_nulls()
        yield held.value_counts(name="rows").lazy()
        return
    values = table.lazy().select(text).drop_nulls()
    different = values.select(pl.col("value").approx_n_unique()).collect(engine="streaming").item()
    shares = -(-different // ROWS_AT_ONCE) or 1
    with tempfile.TemporaryDirectory(prefix="everloop-") as folder:
        for share in range(shares):
            own = values.filter(pl.col("value").hash(seed=0) % shares == share)
            counted = own.group_by("value").agg(pl.len().alias("rows"))
            write_rows(counted, Path(folder) / f"{share:04d}.parquet")
        yield pl.scan_parquet(Path(folder) / "*.parquet")
