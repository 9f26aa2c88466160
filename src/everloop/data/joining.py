"""Features over rows of other sources, put beside a snapshot's rows as they were known then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SpecFault
from everloop.core.extras import require
from everloop.data.duck import first_lines, parquet_scan, quote_name, quote_text
from everloop.data.typed import typed_column, typed_time
from everloop.runtime.features.definitions import FeatureSet
from everloop.spec import AsOfFeature, WindowFeature
from everloop.table.feature_join import EventTable, join_features
from everloop.table.feature_joined import JoinedFeature, SourceEvents, define_joined

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection

    from everloop.data.sources import Reading
    from everloop.spec import DataSpec, ProblemSpec


def joined_names(data: DataSpec) -> tuple[str, ...]:
    """Names the features that are over rows of another source."""
    kinds = (WindowFeature, AsOfFeature)
    return tuple(name for name, feature in data.features.items() if isinstance(feature, kinds))


def join_sources(
    connection: DuckDBPyConnection,
    data: DataSpec,
    problem: ProblemSpec | None,
    readings: Mapping[str, Reading],
    rows: pl.LazyFrame,
    time: str | None,
    scratch: Path,
) -> tuple[FeatureSet, pl.DataFrame]:
    """Computes the features that look at other sources.

    Args:
        connection: Reads the sources' files and writes below `scratch`.
        data: The file's part about data.
        problem: The file's part about the problem.
        readings: What the sources gave.
        rows: The snapshot's rows.
        time: The column of decision times.
        scratch: A folder that the caller removes.

    Returns:
        The definitions, and a column for each feature with a row for each of the snapshot's.

    Raises:
        SpecFault: When a feature asks for what is not there, or would see its own answer.
    """
    names = joined_names(data)
    if time is None:
        raise SpecFault(
            f"The feature {names[0]} looks at other rows as of the decision, and the table has no column "
            "that says when that is.",
            hint="problem: {time: COLUMN}",
            place="problem.time",
        )
    in_order, tables = read_events(connection, data, problem, readings, time, scratch)
    _require_columns(rows, in_order)
    events = {source: table.events for source, table in tables.items()}
    return FeatureSet(in_order, events), join_features(rows, time, in_order, tables)


def read_events(
    connection: DuckDBPyConnection,
    data: DataSpec,
    problem: ProblemSpec | None,
    readings: Mapping[str, Reading],
    time: str | None,
    scratch: Path,
) -> tuple[tuple[JoinedFeature, ...], dict[str, EventTable]]:
    """Reads what features look at.

    Args:
        connection: Reads the sources' files and writes below `scratch`.
        data: The file's part about data.
        problem: The file's part about the problem.
        readings: What the sources gave; features over others are left out.
        time: The column of decision times.
        scratch: A folder that the caller removes.

    Returns:
        The definitions in the file's order, and from each source's name to the columns that they read.

    Raises:
        SpecFault: When a feature asks for what is not there, or would see its own answer.
    """
    names = joined_names(data)
    read = dict.fromkeys(data.features[name].source for name in names)  # type: ignore[union-attr]
    features: list[JoinedFeature] = []
    tables: dict[str, EventTable] = {}
    for source in (name for name in read if name in readings):
        kinds = _kinds(connection, readings[source])
        events = source_events(source, data.sources.get(source), kinds, time)
        own = _defined(data, source, kinds)
        _refuse_own_answer(own, events, problem)
        features += own
        typed = scratch / f"events-{len(tables)}.parquet"
        _write_typed(connection, readings[source], kinds, own, events, typed)
        tables[source] = EventTable(typed, events)
    return tuple(sorted(features, key=lambda feature: names.index(feature.name))), tables


def source_events(
    source: str, spec: Any, kinds: Mapping[str, str], decision_time: str | None = None
) -> SourceEvents:
    """Resolves which columns of a source say when, and tell events apart.

    Args:
        source: The source's name.
        spec: Its part of the file; None for a table that was handed in and is not in the file.
        kinds: Its columns with their DuckDB types.
        decision_time: The table's column of decision times, which a source may have too.

    Raises:
        SpecFault: When a column is not there, or which one says when cannot be told.
    """
    stated = {role: getattr(spec, role, None) for role in ("time", "known", "key", "cursor")}
    key = (stated["key"],) if isinstance(stated["key"], str) else tuple(stated["key"] or ())
    for role, name in [
        ("time", stated["time"]),
        ("known", stated["known"]),
        *(("key", part) for part in key),
    ]:
        if name is not None and name not in kinds:
            raise SpecFault(
                f"data.sources.{source}.{role} names {name}, which the source does not have; "
                f"it has {', '.join(kinds)}.",
                place=f"data.sources.{source}",
            )
    time = stated["time"] or _only_time(source, stated, kinds, decision_time)
    return SourceEvents(time, stated["known"] or time, key)


def _only_time(
    source: str, stated: Mapping[str, Any], kinds: Mapping[str, str], decision_time: str | None
) -> str:
    times = [name for name, kind in kinds.items() if _our_type(name, kind) == "time"]
    others = [name for name in times if name != stated["known"]]
    for name in (stated["cursor"], decision_time):
        if len(others) != 1 and name in others:
            return str(name)
    if len(others) == 1:
        return others[0]
    raise SpecFault(
        f"Which column of the source {source} says when its rows happened? "
        + (f"Times are in {', '.join(times)}." if times else "None holds times."),
        hint=f"data: {{sources: {{{source}: {{time: COLUMN}}}}}}",
        place=f"data.sources.{source}",
    )


def _kinds(connection: DuckDBPyConnection, reading: Reading) -> dict[str, str]:
    scan = parquet_scan(reading.files)
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()}  # noqa: S608


def _our_type(name: str, kind: str) -> str | None:
    try:
        return typed_column(name, kind)[0]
    except SpecFault:  # what no table can hold is no concern as long as nothing reads it
        return None


def _defined(data: DataSpec, source: str, kinds: Mapping[str, str]) -> list[JoinedFeature]:
    types = {name: ours for name, kind in kinds.items() if (ours := _our_type(name, kind))}
    found = []
    for name in joined_names(data):
        feature = data.features[name]
        if feature.source != source:  # type: ignore[union-attr]
            continue
        if feature.by not in types:  # type: ignore[union-attr]
            raise SpecFault(
                f"The feature {name} is by {feature.by}, which the source {source} does not have; "  # type: ignore[union-attr]
                f"it has {', '.join(types)}.",
                place=f"data.features.{name}",
            )
        found.append(define_joined(name, feature, types))  # type: ignore[arg-type]
    return found


def _refuse_own_answer(
    features: list[JoinedFeature], events: SourceEvents, problem: ProblemSpec | None
) -> None:
    """Refuses a feature that reads the target as if it were known when the decision was made."""
    if problem is None or events.known != events.time:
        return
    for feature in features:
        if problem.target in feature.columns:
            known = problem.label_time or "COLUMN"
            raise SpecFault(
                f"The feature {feature.name} reads {problem.target}, the target, of rows as old as the "
                "decision, whose outcome was not known then.",
                hint=f"say when it became known: data: {{sources: {{{feature.source}: {{known: {known}}}}}}}",
                place=f"data.features.{feature.name}",
            )


def _write_typed(
    connection: DuckDBPyConnection,
    reading: Reading,
    kinds: Mapping[str, str],
    features: list[JoinedFeature],
    events: SourceEvents,
    target: Path,
) -> None:
    """Writes the columns that features read, in our types."""
    duckdb = require("duckdb", extra="train")
    read = {name for feature in features for name in (feature.by, *feature.columns)}
    columns = {name: typed_column(name, kinds[name])[1] for name in sorted({*read, *events.key})}
    for name in (events.time, events.known):
        columns[name] = typed_time(name, kinds[name], f"data.sources.{features[0].source}")
    chosen = ", ".join(f"{expression} AS {quote_name(name)}" for name, expression in columns.items())
    query = f"SELECT {chosen} FROM {parquet_scan(reading.files)}"  # noqa: S608
    try:
        connection.execute(f"COPY ({query}) TO {quote_text(str(target))} (FORMAT parquet)")
    except duckdb.ConversionException as error:
        raise SpecFault(
            f"The source {features[0].source} holds what is no time: {first_lines(error)}",
            place=f"data.sources.{features[0].source}",
        ) from error


def _require_columns(rows: pl.LazyFrame, features: tuple[JoinedFeature, ...]) -> None:
    columns = rows.collect_schema().names()
    for feature in features:
        place = f"data.features.{feature.name}"
        if feature.name in columns:
            raise SpecFault(
                f"The feature {feature.name} has the name of a column.",
                hint=f"call it {feature.name}_2",
                place=place,
            )
        if feature.by not in columns:
            raise SpecFault(
                f"The feature {feature.name} is by {feature.by}, which data.table does not have; "
                f"it has {', '.join(columns)}.",
                place=place,
            )
