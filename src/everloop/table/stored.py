"""A table that may be larger than memory: columns are read one at a time, rows are kept by a mask.

Steps that look at columns take a `ColumnTable`: a Polars frame is one, and so is a `StoredTable`,
which reads a column when it is asked for and forgets it. What is computed is the same for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.feature import FeatureDefinition

IN_MEMORY_BYTES = 192 * 2**20
"""A Parquet file with up to this many bytes of values is read at once."""

ROWS_AT_ONCE = 5_000_000
"""With more rows than this, steps that could look at all columns in one pass look at a few at a time."""

EXPRESSIONS_AT_ONCE = 100
"""More aggregates take the square of their number to plan, in time and in memory."""

VALUES_AT_ONCE = 60_000_000
"""How many values one pass of `aggregate` may hold: about 0.5 GiB of numbers."""

VALUES_HELD = 4_000_000
"""A table of no more values is read once for all passes of `aggregate`."""

ROWS_OF_A_GROUP = 131_072
"""Rows of a row group of the Parquet files that are written; fixed, so that equal rows give equal files."""

_KEPT = "\u0000kept"


class ColumnTable(Protocol):
    """What a step may ask of a table that need not fit in memory."""

    @property
    def columns(self) -> list[str]:
        """The names, in the table's order."""
        ...

    @property
    def height(self) -> int:
        """How many rows there are."""
        ...

    def __getitem__(self, name: str, /) -> pl.Series:
        """Reads one column."""
        ...

    def select(self, *expressions: Any) -> pl.DataFrame:
        """Computes expressions over the rows; what they give must fit in memory."""
        ...

    def lazy(self) -> pl.LazyFrame:
        """Gives the rows as a lazy frame."""
        ...


@dataclass(frozen=True)
class StoredTable:
    """A table in Parquet files.

    Attributes:
        source: All rows.
        rows: How many those are.
        kept: Which of them belong to this table, (rows,); None for all.
        held: All rows where they are in memory: a query for each of thousands of columns takes seconds.
    """

    source: pl.LazyFrame
    rows: int
    kept: pl.Series | None = None
    held: pl.DataFrame | None = None

    @classmethod
    def open(cls, path: Path | str) -> StoredTable:
        """Opens a Parquet file; a small one is read at once."""
        import polars as pl
        from pyarrow import parquet

        lazy = pl.scan_parquet(path)
        if not fits_in_memory(path):
            return cls(lazy, parquet.read_metadata(path).num_rows)
        held = lazy.collect()
        return cls(held.lazy(), held.height, held=held)

    @classmethod
    def of(cls, table: Any) -> StoredTable:
        """Takes any table; a Parquet file is opened, the rest becomes a lazy frame."""
        import polars as pl

        from everloop.table.tables import as_lazy

        lazy = as_lazy(table)  # says what is wrong with a path
        if isinstance(table, str | Path) and is_parquet(Path(table)):
            return cls.open(table)
        held = table if isinstance(table, pl.DataFrame) else None
        return cls(lazy, lazy.select(pl.len()).collect().item(), held=held)

    @cached_property
    def columns(self) -> list[str]:
        """The names, in the table's order."""
        return list(self.source.collect_schema().names())

    @property
    def height(self) -> int:
        """How many rows there are."""
        return self.rows if self.kept is None else int(self.kept.sum())

    def __getitem__(self, name: str) -> pl.Series:
        """Reads one column."""
        column = self.source.select(name).collect().to_series() if self.held is None else self.held[name]
        return column if self.kept is None else column.filter(self.kept)

    def select(self, *expressions: Any) -> pl.DataFrame:
        """Computes expressions over the rows; what they give must fit in memory."""
        return self.lazy().select(*expressions).collect(engine="streaming")

    def lazy(self) -> pl.LazyFrame:
        """Gives the rows as a lazy frame that streams."""
        import polars as pl

        if self.kept is None:
            return self.source
        mask = pl.LazyFrame([self.kept.alias(_KEPT)])
        return pl.concat([self.source, mask], how="horizontal").filter(_KEPT).drop(_KEPT)

    def where(self, mask: Any) -> StoredTable:
        """Gives the table of those rows for which the mask is true.

        Args:
            mask: A boolean for each row, (height,).
        """
        import polars as pl

        wanted = pl.Series(mask, dtype=pl.Boolean)
        if self.kept is not None:
            kept = self.kept.to_numpy().copy()
            kept[kept] = wanted.to_numpy()
            wanted = pl.Series(kept)
        return replace(self, kept=wanted)

    def row_hashes(self, columns: Sequence[str]) -> pl.Series:
        """Hashes the rows.

        Args:
            columns: The columns that are compared, at least one.

        Returns:
            A number for each row, which rows share that are equal in the columns (missing values are
            equal to each other), and other rows, with 64 bits, as good as never, (height,).
        """
        return row_hashes(self, columns)

    def write(self, path: Path, features: Sequence[FeatureDefinition] = ()) -> int:
        """Writes the rows as Parquet with features added; gives how many there are."""
        from everloop.table.feature import derive

        return write_rows(derive(self.lazy(), features), path)


def fits_in_memory(table: Any) -> bool:
    """Tells whether a table is in memory, or in a file that is small enough to be read at once.

    Args:
        table: Any table; of a lazy frame nobody knows.
    """
    import polars as pl

    from everloop.table.text_tables import is_large

    if not isinstance(table, str | Path):
        return not isinstance(table, pl.LazyFrame)
    path = Path(table)
    if not path.is_file():
        return False
    return _values_bytes(path) <= IN_MEMORY_BYTES if is_parquet(path) else not is_large(path)


def is_parquet(path: Path) -> bool:
    """Tells whether there is a Parquet file, by its name."""
    return path.suffix in {".parquet", ".pq"} and path.is_file()


def _values_bytes(path: Path) -> int:
    """Gives the size of a Parquet file's values, unpacked."""
    from pyarrow import parquet

    held = parquet.read_metadata(path)
    return sum(int(held.row_group(group).total_byte_size) for group in range(held.num_row_groups))


def row_hashes(table: ColumnTable, columns: Sequence[str]) -> pl.Series:
    """Hashes the rows of any table; see `StoredTable.row_hashes`."""
    import polars as pl

    return table.select(pl.struct(list(columns)).hash(seed=0).alias("hash"))["hash"]


def aggregate(table: Any, expressions: Sequence[pl.Expr]) -> dict[str, Any]:
    """Computes aggregates: in one pass where the columns that they read fit in memory together.

    Otherwise in as many passes as needed, each reading other columns.

    Args:
        table: A lazy frame.
        expressions: Each gives one value and has a name of its own.
    """
    import polars as pl

    lazy: pl.LazyFrame = table
    rows = lazy.select(pl.len()).collect().item()
    facts: dict[str, Any] = {}
    groups = list(_groups(expressions, rows))
    read = sorted({name for group in groups for one in group for name in one.meta.root_names()})
    held = len(groups) > 1 and 0 < rows * len(read) <= VALUES_HELD
    if held:  # each pass over a file of thousands of columns reads all their places first
        lazy = lazy.select(read).collect(engine="streaming").lazy()
    for group in groups:
        found = lazy.select(group).collect(engine="in-memory" if held else "streaming")
        facts |= found.row(0, named=True)
    return facts


def count_distinct(table: Any, key: pl.Expr, present: pl.Expr) -> int:
    """Counts the different values of a key in eight bytes a row, however long they are.

    Values are told apart by 64-bit hashes: in 20 million rows the chance that two different ones
    count as one is below 1 in 80,000.

    Args:
        table: A lazy frame.
        key: The value, such as a text or a struct of several columns.
        present: Which rows have one.
    """
    import numpy as np
    import polars as pl

    lazy: pl.LazyFrame = table
    hashes = lazy.filter(present).select(key.hash(seed=0).alias("key")).collect(engine="streaming")
    ordered = hashes.to_series().cast(pl.UInt64).to_numpy(writable=True)
    del hashes
    ordered.sort()
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + 1 if len(ordered) else 0


def _groups(expressions: Sequence[pl.Expr], rows: int) -> Iterator[list[pl.Expr]]:
    """Divides expressions so that each group reads few columns, and is planned in little time and memory."""
    most = max(1, VALUES_AT_ONCE // max(1, rows))
    group: list[pl.Expr] = []
    read: set[str] = set()
    for expression in sorted(expressions, key=lambda one: sorted(one.meta.root_names())):
        names = set(expression.meta.root_names())
        if group and (len(read | names) > most or len(group) >= EXPRESSIONS_AT_ONCE):
            yield group
            group, read = [], set()
        group.append(expression)
        read |= names
    if group:
        yield group


def write_rows(table: pl.LazyFrame, path: Path) -> int:
    """Writes rows as Parquet as they stream; gives how many there were."""
    from pyarrow import parquet

    table.sink_parquet(path, row_group_size=ROWS_OF_A_GROUP)
    return int(parquet.read_metadata(path).num_rows)
