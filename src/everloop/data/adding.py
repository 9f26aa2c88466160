"""Features that become columns of a snapshot: those over other sources, and functions.

What they see is what was known at each decision, so they are facts of the row as its own columns are,
and everything that reads the snapshot (contract, backtest, rehearsal) reads them in the same way.
Features of the row in SQL are no columns: the package computes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.data.joining import join_sources, joined_names
from everloop.data.python_features import compute, is_python, load_python_features
from everloop.table.schema import Column

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from everloop.data.sources import Reading
    from everloop.spec import DataSpec, ProblemSpec


@dataclass(frozen=True)
class Added:
    """What was added to a snapshot.

    Attributes:
        columns: The new columns.
        facts: `Snapshot.features`.
    """

    columns: tuple[Column, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FeatureColumns:
    """The features of the file that become columns.

    Attributes:
        data: The file's part about data.
        problem: The file's part about the problem.
        folder: The lifecycle file's folder.
        readings: What the sources gave.
    """

    data: DataSpec
    problem: ProblemSpec | None
    folder: Path
    readings: Mapping[str, Reading]

    def add(self, connection: DuckDBPyConnection, table: Path, time: str | None, scratch: Path) -> Added:
        """Adds the features to the rows in a Parquet file; every row stays, in its place.

        Args:
            connection: Reads the sources' files and writes below `scratch`.
            table: The file.
            time: The column of decision times.
            scratch: A folder that the caller removes.

        Raises:
            SpecFault: When a feature asks for what is not there.
            DataFault: When a function fails on a row.
        """
        import polars as pl

        from everloop.table.stored import write_rows

        rows = pl.scan_parquet(table)
        columns: list[Column] = []
        facts: dict[str, Any] = {}
        if joined_names(self.data):
            joined, values = join_sources(
                connection, self.data, self.problem, self.readings, rows, time, scratch
            )
            rows = pl.concat([rows, values.lazy()], how="horizontal")
            columns += [Column(each.name, each.type) for each in joined.features]  # type: ignore[arg-type]
            facts["joined"] = json.loads(joined.to_json())
        for feature in load_python_features(self.data, self.folder):
            rows = pl.concat([rows, compute(feature, rows).to_frame().lazy()], how="horizontal")
            columns.append(Column(feature.name, feature.type))
            facts.setdefault("python", []).append(feature.to_dict())
        if columns:
            wider = scratch / "featured.parquet"
            write_rows(rows, wider)
            wider.replace(table)
        return Added(tuple(columns), facts)


def becomes_column(feature: Any) -> bool:
    """Says whether a feature of the file becomes a column of the snapshot."""
    return is_python(feature) or not isinstance(feature, str)
