"""DuckDB: SQL over a file that may be larger than memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.data.duck import closed_duckdb, quote_name, quote_text
from everloop.data.engines.polars import PolarsEngine
from everloop.data.engines.protocol import Capabilities
from everloop.table.expression import to_duckdb
from everloop.table.feature import in_layers
from everloop.table.stored import ROWS_OF_A_GROUP, StoredTable, write_rows

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection

    from everloop.table.feature import FeatureDefinition

_ROW = "file_row_number"


@dataclass(frozen=True)
class DuckTable(StoredTable):
    """A file on which SQL is run.

    Attributes:
        connection: What runs it.
        path: The file.
        scratch: Where files may be written.
    """

    connection: Any = None
    path: Path = Path()
    scratch: Path = Path()

    def row_hashes(self, columns: Sequence[str]) -> pl.Series:
        """Hashes the rows in SQL."""
        hashed = f"hash({', '.join(map(quote_name, columns))})"
        query = f"SELECT {hashed} AS hash FROM {self._scan()} ORDER BY {_ROW}"  # noqa: S608
        hashes: pl.Series = self._connection.sql(query).pl()["hash"]
        return hashes if self.kept is None else hashes.filter(self.kept)

    def write(self, path: Path, features: Sequence[FeatureDefinition] = ()) -> int:
        """Computes the features in SQL as the rows stream into the file."""
        target = self.scratch / "written.parquet"
        columns = ", ".join([*map(quote_name, self.columns), _ROW])
        query = f"SELECT {columns} FROM {self._scan()}{self._where()}"  # noqa: S608
        names = list(self.columns)
        for layer in in_layers(features):
            names += [one.name for one in layer if one.name not in names]
            made = {one.name: f"{_form(one)} AS {quote_name(one.name)}" for one in layer}
            listed = ", ".join([made.get(name, quote_name(name)) for name in names])
            query = f"SELECT {listed}, {_ROW} FROM ({query})"  # noqa: S608
        self._connection.execute(
            f"COPY (SELECT * EXCLUDE ({_ROW}) FROM ({query}) ORDER BY {_ROW}) TO {quote_text(str(target))} "  # noqa: S608
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROWS_OF_A_GROUP})"
        )
        shutil.move(target, path)
        return self.height

    @property
    def _connection(self) -> DuckDBPyConnection:
        connection: DuckDBPyConnection = self.connection
        return connection

    def _scan(self) -> str:
        return f"read_parquet({quote_text(str(self.path))}, file_row_number = true)"

    def _where(self) -> str:
        """Gives the condition for the rows that are kept, which are written beside the table."""
        if self.kept is None:
            return ""
        positions = self.kept.arg_true().alias("position").to_frame()
        file = self.scratch / "kept.parquet"
        positions.write_parquet(file)
        return f" WHERE {_ROW} IN (SELECT position FROM read_parquet({quote_text(str(file))}))"  # noqa: S608


def _form(definition: FeatureDefinition) -> str:
    form = to_duckdb(definition.expression)
    return f"CAST({form} AS TIMESTAMPTZ)" if definition.expression.type == "time" else form


class DuckEngine(PolarsEngine):
    """DuckDB, closed to all but the table's file; what does not fit in memory goes to disk.

    A contract is judged by Polars, which reads the same file as it streams: the two write regular
    expressions differently, and a contract has one meaning.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        name="duckdb",
        holds="in a file, through memory by blocks of rows",
        beyond_memory=True,
        beyond_machine=False,
        extra="train",
    )

    @contextmanager
    def open(self, table: Any) -> Iterator[DuckTable]:
        """Opens the table's file, or writes one for the time of the context."""
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder).resolve()
            held, path = StoredTable.of(table), scratch / "table.parquet"
            if isinstance(table, str | Path) and Path(table).suffix == ".parquet" and Path(table).is_file():
                path = Path(table).resolve()
            else:
                write_rows(held.lazy(), path)
            with closed_duckdb(scratch, [path]) as connection:
                yield DuckTable(held.source, held.rows, None, held.held, connection, path, scratch)
