"""Features of rows that are scored from a file: made as a snapshot's are, and known at each row's decision.

Features over other sources have the package's own definitions and are read from the lifecycle's sources;
functions are run from its folder. Rows go by in slices, so that the file may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.clock import Clock, SystemClock, as_utc
from everloop.core.errors import DataFault, UsageFault
from everloop.core.extras import require
from everloop.core.progress import Progress, silent
from everloop.data.contents import carried_file
from everloop.data.duck import closed_duckdb, first_lines, parquet_scan, quote_name, quote_text
from everloop.data.joining import joined_names, read_events
from everloop.data.python_features import PythonFeature, compute, load_python_features
from everloop.data.sources import DigestMemo, Surroundings
from everloop.data.taking import open_sources
from everloop.data.typed import typed_column, typed_time
from everloop.runtime.encoders import GridEncoder
from everloop.table.content import content_of
from everloop.table.feature_join import EventTable, join_features
from everloop.table.feature_joined import JoinedFeature

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection

    from everloop.data.sources import Reading
    from everloop.runtime import Package
    from everloop.spec import LifecycleSpec

SLICE_ROWS = 500_000
_AT = "__everloop_at"


@dataclass(frozen=True)
class FileFeatures:
    """Makes the features that a model reads and a file does not have.

    Attributes:
        package: The model's.
        spec: The lifecycle file, or None where there is none.
        kept: Where sources keep what they have read.
        tables: Tables handed in from Python.
        digests: Function -> the digest of its code when the model was trained, where that is known.
        clock: Says when a decision is made whose row does not say it.
        progress: Is told what is read.
    """

    package: Package
    spec: LifecycleSpec | None
    kept: Path | None = None
    tables: Mapping[str, Any] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = silent

    def add(self, rows: Path, scratch: Path) -> Path:
        """Gives the rows with the features that they lack.

        Args:
            rows: A Parquet file; a feature that is among its columns already is taken as it is.
            scratch: A folder that the caller removes.

        Returns:
            The file itself where nothing is lacking; else another one in `scratch`.

        Raises:
            UsageFault: A feature cannot be made here; the message names it and says what to do.
            DataFault: The rows lack a column that a feature looks at.
            SpecFault: A source or a function is not what the lifecycle file says.
        """
        import pyarrow.parquet as pq

        rows = self._carried(rows, scratch)
        there = pq.read_schema(rows).names
        made = {one.name: one for one in self.package.manifest.inputs if one.name not in there}
        made = {name: one for name, one in made.items() if one.origin != "row"}
        if not made:
            return rows
        if self.spec is None:
            raise _cannot(next(iter(made)), "is made from a lifecycle's sources", "--file everloop.yaml")
        scratch = scratch.resolve()
        functions = self._functions([name for name, one in made.items() if one.origin == "python"], there)
        read = {name for function in functions for name in function.columns}
        features, tables = self._events({*made, *read} - set(there), scratch)
        _require_columns(there, features, functions)
        with closed_duckdb(scratch, [rows.resolve()]) as connection:
            asked = self._asked(connection, rows, features, functions, scratch)
        target = scratch / "featured.parquet"
        _write(rows, asked, target, _Made(features, tables, functions))
        return target

    def _carried(self, rows: Path, scratch: Path) -> Path:
        """Gives the rows with what the files carry that their columns of images or sounds name."""
        import polars as pl

        kinds = pl.read_parquet_schema(rows)
        encoders = self.package.plan.encoders
        grids = {one.column for one in encoders if isinstance(one, GridEncoder) and one.column in kinds}
        named = [
            name
            for name in sorted(grids)
            if kinds[name] == pl.String
            and content_of(pl.scan_parquet(rows).select(name).drop_nulls().head(100).collect()[name]) is None
        ]
        if not named:
            return rows
        if self.spec is None:
            raise _cannot(named[0], "names files beside a lifecycle file", "--file everloop.yaml")
        return carried_file(rows, named, Path(self.spec.folder), scratch / "carried.parquet")

    def _functions(self, names: list[str], there: Sequence[str]) -> tuple[PythonFeature, ...]:
        """Takes the functions that are wanted, and those whose values they read, in the file's order."""
        spec = self.spec
        if not names or spec is None:
            return ()
        known = {one.name: one for one in load_python_features(spec.data, Path(spec.folder))}
        wanted: dict[str, None] = {}
        left = list(names)
        while left:
            name = left.pop()
            if name not in known:
                raise _cannot(
                    name, f"is a function that {spec.name} has no more", "put it into data.features"
                )
            if self.digests.get(name, known[name].digest) != known[name].digest:
                raise _cannot(
                    name,
                    f"is {known[name].written}, which has changed since the model was trained",
                    "everloop run",
                )
            wanted[name] = None
            left += [one for one in known[name].columns if one in known and one not in {*wanted, *there}]
        return tuple(one for name, one in known.items() if name in wanted)

    def _events(
        self, names: set[str], scratch: Path
    ) -> tuple[tuple[JoinedFeature, ...], dict[str, EventTable]]:
        """Reads what features over other sources look at; they have to be those of the package."""
        spec = self.spec
        if spec is None:
            return (), {}
        data, package = spec.data, self.package.features
        own = {name: data.features[name] for name in joined_names(data) if name in names}
        for one in package.features:
            if one.name in names and one.name not in own:
                raise _cannot(one.name, f"is over a source, and {spec.name} has it no more", "everloop run")
        around = Surroundings(Path(spec.folder), self.clock, DigestMemo(), self.progress, self.kept)
        sources = open_sources(data, around, self.tables) if own else {}
        readings: dict[str, Reading] = {}
        for source in dict.fromkeys(feature.source for feature in own.values()):  # type: ignore[union-attr]
            if source in sources:
                place = scratch / f"source-{len(readings)}"
                place.mkdir()
                readings[source] = sources[source].read(place)
        files = [file for reading in readings.values() for file in reading.files]
        with closed_duckdb(scratch, files) as connection:
            narrowed = data.model_copy(update={"features": own})
            time = self.package.manifest.time
            features, tables = read_events(connection, narrowed, None, readings, time, scratch)
        found = {one.name: one for one in features}
        for one in package.features:
            same = found.get(one.name) == one and tables[one.source].events == package.sources[one.source]
            if one.name in names and not same:
                raise _cannot(one.name, "is defined otherwise in everloop.yaml now", "everloop run")
        return features, tables

    def _asked(
        self,
        connection: DuckDBPyConnection,
        rows: Path,
        features: Sequence[JoinedFeature],
        functions: Sequence[PythonFeature],
        scratch: Path,
    ) -> Path:
        """Writes the columns that features look at, in the types that a snapshot gives them."""
        duckdb = require("duckdb", extra="train")
        scan, now = parquet_scan([rows.resolve()]), as_utc(self.clock.now()).isoformat()
        kinds = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()}  # noqa: S608
        read = [*(one.by for one in features), *(name for one in functions for name in one.columns)]
        columns = {name: typed_column(name, kinds[name])[1] for name in dict.fromkeys(read) if name in kinds}
        time = self.package.manifest.time
        if time in kinds:
            columns[str(time)] = typed_time(str(time), kinds[str(time)], "problem.time")
        moment = (
            f"coalesce({columns[str(time)]}, TIMESTAMPTZ '{now}')"
            if time in kinds
            else f"TIMESTAMPTZ '{now}'"
        )
        chosen = ", ".join(f"{sql} AS {quote_name(name)}" for name, sql in {**columns, _AT: moment}.items())
        target = scratch / "asked.parquet"
        try:
            connection.execute(
                f"COPY (SELECT {chosen} FROM {scan}) TO {quote_text(str(target))} (FORMAT parquet)"  # noqa: S608
            )
        except duckdb.ConversionException as error:
            raise DataFault(f"{time} holds what is no time: {first_lines(error)}") from error
        return target


@dataclass(frozen=True)
class _Made:
    """What is made of each slice of rows."""

    joined: Sequence[JoinedFeature]
    tables: Mapping[str, EventTable]
    functions: Sequence[PythonFeature]

    def of(self, asked: pl.DataFrame) -> list[pl.Series]:
        found: list[pl.Series] = []
        if self.joined:
            found += join_features(asked, _AT, self.joined, self.tables).get_columns()
        for function in self.functions:
            known = asked.with_columns(one for one in found if one.name not in asked.columns)
            found.append(compute(function, known.lazy()))
        return found


def _write(rows: Path, asked: Path, target: Path, made: _Made) -> None:
    """Writes the rows with what is made of them, slice by slice."""
    import polars as pl
    import pyarrow.parquet as pq

    writer = None
    try:
        with pq.ParquetFile(rows) as own, pq.ParquetFile(asked) as read:
            whole = zip(own.iter_batches(SLICE_ROWS), read.iter_batches(SLICE_ROWS), strict=True)
            first = ((own.schema_arrow.empty_table(), read.schema_arrow.empty_table()),)
            for own_batch, read_batch in chain(first, whole):
                frame = pl.DataFrame(own_batch)
                table = frame.with_columns(made.of(pl.DataFrame(read_batch))).to_arrow()
                writer = writer or pq.ParquetWriter(target, table.schema, compression="zstd")
                writer.write_table(table.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()


def _require_columns(
    there: Sequence[str], joined: Sequence[JoinedFeature], functions: Sequence[PythonFeature]
) -> None:
    known = {*there, *(one.name for one in joined), *(one.name for one in functions)}
    needs = [(one.name, name) for one in functions for name in one.columns]
    for feature, column in [*((one.name, one.by) for one in joined), *needs]:
        if column not in known:
            raise DataFault(
                f"The feature {feature} looks at {column}, which the file does not have; "
                f"it has {', '.join(there)}.",
                hint=f"give the file a column {column}, or {feature} itself",
            )


def _cannot(feature: str, why: str, next_step: str) -> UsageFault:
    return UsageFault(
        f"The model reads the feature {feature}, which {why}.",
        hint=f"{next_step}; or give the file a column {feature}",
    )
