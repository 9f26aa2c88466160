"""Taking a snapshot: sources in, one typed table in a fixed order out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.clock import as_utc
from everloop.core.digest import digest_file, digest_value
from everloop.core.errors import DataFault, EverloopError, SourceUnreadable, SpecFault
from everloop.core.extras import require
from everloop.core.files import scratch_folder
from everloop.core.nearness import near_names
from everloop.core.progress import Event
from everloop.core.values import to_jsonable
from everloop.data.adding import FeatureColumns
from everloop.data.bad_rows import keep_bad_rows, keep_notes
from everloop.data.contents import with_contents
from everloop.data.duck import closed_duckdb, first_lines, parquet_scan, quote_name, quote_text
from everloop.data.joins import kept_join
from everloop.data.query import check_query, raise_storage_fault, run_query
from everloop.data.snapshots import TABLE_FILE, Snapshot
from everloop.data.source_parts import summarise_sources, take_out
from everloop.data.sources import Reading, Source, Surroundings, open_source
from everloop.data.sources.keeping import KeptSource
from everloop.data.sources.table import TableSpec
from everloop.data.typed import typed_column, typed_time
from everloop.spec.sources import kind_of_source
from everloop.table.schema import Column, Schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from everloop.spec import DataSpec, ProblemSpec

# A column of decision times is nearly complete.
MOST_WITHOUT_TIME = 0.01
JOINED = "joined.parquet"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Roles:
    """The columns that decide which rows and actuals were known at a time."""

    target: str | None = None
    time: str | None = None
    label_time: str | None = None
    label_delay: timedelta | None = None
    later: tuple[str, ...] = ()

    @classmethod
    def of(cls, problem: ProblemSpec | None, later: Collection[str]) -> Roles:
        """Takes the roles from the lifecycle file."""
        if problem is None:
            return cls()
        return cls(
            problem.target or None, problem.time, problem.label_time, problem.label_delay, tuple(later)
        )


@dataclass(frozen=True)
class _Draft:
    """One snapshot while it is taken."""

    connection: DuckDBPyConnection
    raw: str
    kinds: dict[str, str]
    roles: Roles
    as_of: datetime
    typed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Written:
    """What was written of a draft."""

    schema: Schema
    rows: int
    time_range: tuple[datetime, datetime] | None
    hidden: int
    changes_at: datetime | None


def take_snapshot(  # noqa: PLR0913  (what there is to read, where to, and from when)
    data: DataSpec,
    problem: ProblemSpec | None,
    folder: Path,
    as_of: datetime,
    surroundings: Surroundings,
    *,
    tables: Mapping[str, Any] | None = None,
    without: Mapping[str, Collection[str]] | None = None,
    later: Collection[str] = (),
    joins: Path | None = None,
    memory_limit: str | None = None,
) -> Snapshot:
    """Reads the sources, joins them as `data.table` says and writes the rows.

    Only rows whose `problem.time` is before `as_of` are taken (where the file names none: the
    earliest of the complete time columns, as the frame infers it), and a target that was not known then
    (by `label_time`, else by `time` and `label_delay`) is set to missing, its label time too. Where no
    target but other columns tell what came of a row, it is taken once that is known. Times are UTC; NaN is
    missing. Rows are ordered by time, then by all columns; without a time column a query's rows are
    ordered by all columns, and a lone source's rows stay in its own order. So the same content gives the
    same file, to the byte. Features that look at other sources, or are functions,
    follow as further columns (`everloop.data.adding`).

    Args:
        data: The file's part about data.
        problem: The file's part about the problem; None takes every row as it is.
        folder: An existing folder, which gets `table.parquet` and `snapshot.json`, `bad-rows.parquet`
            where rows could not be read, and `source-parts.json` where a source comes in many parts.
        as_of: The time at which the table is taken.
        surroundings: What sources are given.
        tables: Tables handed in from Python, by the name of the source that each stands for.
        without: For some of the sources the parts that are left out, as `judge_sources` calls them.
        later: The columns that tell what came of a row; see `everloop.table.acting.known_later`.
        joins: Where the query's answer is kept for the next snapshot of the same sources, whose rows may
            be cut at another time.
        memory_limit: What the join and the sort may use before they go to disk.

    Raises:
        SourceUnreachable: When a source is not there.
        SourceUnreadable: When a source is damaged.
        SpecFault: When the query or a column's role is wrong.
        DataFault: When no row is left.
    """
    as_of, roles = as_utc(as_of), Roles.of(problem, later)
    surroundings = replace(surroundings, as_of=as_of)
    sources = open_sources(data, surroundings, tables)
    with scratch_folder(folder) as scratch:
        readings = read_sources(sources, scratch, surroundings)
        summarise_sources(readings, folder)
        readings = take_out(readings, without or {}, scratch.resolve(), folder)
        readings = with_contents(readings, data.files, surroundings.folder, scratch.resolve())
        files = [file for reading in readings.values() for file in reading.files]
        with (
            kept_join(_join_file(joins, data, readings, without), scratch.resolve() / JOINED),
            closed_duckdb(scratch.resolve(), files, memory_limit=memory_limit, threads=1) as connection,
        ):
            raw, ordered = _join(connection, data, readings, scratch.resolve())
        with closed_duckdb(scratch.resolve(), files, memory_limit=memory_limit) as connection:
            draft = _with_time(_Draft(connection, raw, _kinds(connection, raw), roles, as_of), problem)
            target = scratch.resolve() / TABLE_FILE
            written = _write_rows(draft, target, readings, ordered=ordered)
            features = FeatureColumns(data, problem, surroundings.folder, readings)
            added = features.add(connection, target, draft.roles.time, scratch.resolve())
        target.rename(folder / TABLE_FILE)
        bad_rows = keep_bad_rows(readings, folder)
    snapshot = Snapshot(
        folder=folder,
        digest=digest_file(folder / TABLE_FILE),
        rows=written.rows,
        schema=Schema((*written.schema.columns, *added.columns)),
        as_of=as_of,
        time=draft.roles.time,
        time_range=written.time_range,
        hidden_actuals=written.hidden,
        changes_at=written.changes_at,
        sources={name: reading.fingerprint for name, reading in readings.items()},
        bad_rows=bad_rows,
        notes=tuple(keep_notes(readings)),
        features=added.facts,
    )
    snapshot.save()
    return snapshot


def _with_time(draft: _Draft, problem: ProblemSpec | None) -> _Draft:
    """Infers the column of decision times where there is a problem that does not name it."""
    if problem is None or draft.roles.time is not None:
        return draft
    return replace(draft, roles=replace(draft.roles, time=_infer_time(draft)))


def _write_rows(draft: _Draft, target: Path, readings: Mapping[str, Reading], *, ordered: bool) -> _Written:
    schema = _type_columns(draft)
    try:
        changes_at = _changes_at(draft)
        hidden = _hide_unknown(draft)
        rows, time_range = _write(draft, target, keep_order=ordered and draft.roles.time is None)
    except DataFault:
        _blame_source(draft.connection, readings)
        raise
    return _Written(schema, rows, time_range, hidden, changes_at)


def open_sources(
    data: DataSpec, surroundings: Surroundings, tables: Mapping[str, Any] | None = None
) -> dict[str, Source]:
    """Makes the sources that the file names, with tables from Python in their place.

    Args:
        data: The file's part about data.
        surroundings: What sources are given.
        tables: Tables by the name of the source that each stands for.

    Raises:
        SpecFault: When there is no source.
        UsageFault: When a kind of source is not installed.
    """
    handed = dict(tables or {})
    sources = {
        name: open_source(source_kind(spec), spec, surroundings)
        for name, spec in data.sources.items()
        if name not in handed
    }
    sources |= {
        name: open_source("table", TableSpec(table, name), surroundings) for name, table in handed.items()
    }
    if not sources:
        raise SpecFault(
            "There is no source.", hint="data: {sources: {rows: {file: rows.csv}}}", place="data.sources"
        )
    return sources


def source_kind(spec: Any) -> str:
    """Gives the kind of a source: the first key of its part of the file, such as ``sql``."""
    return kind_of_source(spec) or next(iter(type(spec).model_fields))


def read_sources(
    sources: Mapping[str, Source], scratch: Path, surroundings: Surroundings
) -> dict[str, Reading]:
    """Reads sources; what is kept of one is taken as of its known fingerprint."""
    readings, known = {}, surroundings.known
    for position, (name, source) in enumerate(sources.items()):
        surroundings.progress(Event("data", f"reading {name}", fraction=position / len(sources)))
        place = scratch / f"source-{position}"
        place.mkdir()
        with at_source(name):
            if isinstance(source, KeptSource) and name in known:
                readings[name] = source.read_at(known[name], place.resolve())
            else:
                readings[name] = source.read(place.resolve())
    return readings


@contextmanager
def at_source(name: str) -> Iterator[None]:
    """Has an error that says no place name the source."""
    try:
        yield
    except EverloopError as error:
        if error.place is None:
            error.put(place=f"data.sources.{name}")
        raise


def _join(
    connection: DuckDBPyConnection, data: DataSpec, readings: Mapping[str, Reading], scratch: Path
) -> tuple[str, bool]:
    """Gives the SQL that scans the joined rows, and whether their order means something."""
    duckdb = require("duckdb", extra="train")
    columns: dict[str, tuple[str, ...]] = {}
    for name, reading in readings.items():
        scan = parquet_scan(reading.files)
        try:
            connection.execute(f"CREATE VIEW {quote_name(name)} AS SELECT * FROM {scan}")  # noqa: S608
        except duckdb.Error as error:
            raise SourceUnreadable(f"The source {name} cannot be read: {first_lines(error)}") from error
        columns[name] = tuple(_kinds(connection, quote_name(name)))
    if data.table is None:
        looked_at = {getattr(feature, "source", None) for feature in data.features.values()}
        own = [name for name in readings if name not in looked_at] or list(readings)
        if len(own) > 1:
            raise SpecFault(
                f"There are {len(readings)} sources and no query to join them.",
                hint="data: {table: ...}, a query that joins them",
                place="data.table",
            )
        return parquet_scan(readings[own[0]].files), True
    joined = scratch / JOINED
    if joined.exists():
        return parquet_scan([joined]), False
    check_query(connection, data.table)
    try:
        run_query(connection, data.table.strip().rstrip(";"), joined, columns)
    except SpecFault:
        _blame_source(connection, readings)
        raise
    return parquet_scan([joined]), False


def _join_file(
    joins: Path | None,
    data: DataSpec,
    readings: Mapping[str, Reading],
    without: Mapping[str, Collection[str]] | None,
) -> Path | None:
    """Gives the file that holds the query's answer to these readings; None where none is kept."""
    if joins is None or data.table is None or data.files:
        return None
    read = {name: reading.fingerprint for name, reading in readings.items()}
    left_out = {name: sorted(parts) for name, parts in (without or {}).items()}
    return joins / f"{digest_value({'query': data.table, 'read': read, 'without': left_out})}.parquet"


def _blame_source(connection: DuckDBPyConnection, readings: Mapping[str, Reading]) -> None:
    """Raises when a source's file is damaged inside, where opening it did not show that."""
    duckdb = require("duckdb", extra="train")
    for name, reading in readings.items():
        for file in reading.files:
            try:
                connection.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM {parquet_scan([file])}").fetchall()  # noqa: S608
            except duckdb.Error as error:
                raise SourceUnreadable(
                    f"{file} of the source {name} is damaged: {first_lines(error)}"
                ) from error


def _kinds(connection: DuckDBPyConnection, scan: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()}  # noqa: S608


def _type_columns(draft: _Draft) -> Schema:
    roles = {
        "problem.target": draft.roles.target,
        "problem.time": draft.roles.time,
        "problem.label_time": draft.roles.label_time,
    }
    for place, name in roles.items():
        if name is not None and name not in draft.kinds:
            near = near_names(name, draft.kinds)
            raise SpecFault(
                f"{place} names {name}, which the table does not have; it has {', '.join(draft.kinds)}.",
                hint=f"did you mean {near[0]}?" if near else None,
                place=place,
            )
    times = {name: place for place, name in roles.items() if name is not None and place != "problem.target"}
    columns = []
    for name, kind in draft.kinds.items():
        ours, expression = typed_column(name, kind)
        if name in times:
            ours, expression = "time", typed_time(name, kind, times[name])
        draft.typed[name] = expression
        columns.append(Column(name, ours))
    return Schema(tuple(columns))


def _infer_time(draft: _Draft) -> str | None:
    """Finds the column of decision times: nearly complete, not constant, the earliest on average."""
    means = {}
    for name, kind in draft.kinds.items():
        ours, expression = typed_column(name, kind)
        if ours != "time" or name in (draft.roles.target, draft.roles.label_time):
            continue
        rows, present, distinct, mean = _one(
            draft,
            f"SELECT count(*), count({expression}), count(DISTINCT {expression}), "  # noqa: S608
            f"avg(epoch_us({expression})) FROM {draft.raw}",
        )
        if distinct > 1 and rows - present <= MOST_WITHOUT_TIME * rows:
            means[name] = mean
    return min(means, key=lambda name: means[name]) if means else None


def _hide_unknown(draft: _Draft) -> int:
    """Sets actuals that were not known yet to missing, and counts them; or the rows that are not taken."""
    known, roles = _known(draft), draft.roles
    if known is not None and roles.later:
        unknown = f"SELECT count(*) FROM {draft.raw} WHERE {_decided(draft)} AND NOT {known}"  # noqa: S608
        return int(_one(draft, unknown)[0])
    if known is None or roles.target is None:
        return 0
    target = quote_name(roles.target)
    taken = _taken(draft)
    row = _one(
        draft,
        f"SELECT count(*) FROM {draft.raw} WHERE {taken} AND {target} IS NOT NULL AND NOT {known}",  # noqa: S608
    )
    for name in (roles.target, roles.label_time):
        if name is not None:
            draft.typed[name] = f"CASE WHEN {known} THEN {draft.typed[name]} END"
    return int(row[0])


def _changes_at(draft: _Draft) -> datetime | None:
    """Gives when the next row's time or known actual comes, after which the table is another."""
    later, now = [], _literal(draft.as_of)
    if draft.roles.time is not None:
        time = draft.typed[draft.roles.time]
        later.append(f"min({time}) FILTER ({time} >= {now})")
    known = _known_at(draft)
    if known is not None and (draft.roles.target is not None or draft.roles.later):
        comes = f"{quote_name(draft.roles.target)} IS NOT NULL" if draft.roles.target else "true"
        later.append(f"min({known}) FILTER ({comes} AND {known} > {now})")
    if not later:
        return None
    moment = _one(draft, f"SELECT epoch_us(least({', '.join(later)})) FROM {draft.raw}")[0]  # noqa: S608
    return None if moment is None else _EPOCH + timedelta(microseconds=moment)


def _known(draft: _Draft) -> str | None:
    known = _known_at(draft)
    return None if known is None else f"coalesce({known} <= {_literal(draft.as_of)}, false)"


def _known_at(draft: _Draft) -> str | None:
    """Gives the SQL of the time at which a row's actual is known; None where the file does not say."""
    roles, moments = draft.roles, []
    if roles.label_time is not None:
        moments.append(draft.typed[roles.label_time])
    if roles.label_delay is not None and roles.time is not None:
        microseconds = round(roles.label_delay / timedelta(microseconds=1))
        moments.append(f"({draft.typed[roles.time]} + to_microseconds({microseconds}))")
    return f"coalesce({', '.join(moments)})" if moments else None


def _taken(draft: _Draft) -> str:
    known = _known(draft) if draft.roles.later else None
    return _decided(draft) if known is None else f"{_decided(draft)} AND {known}"


def _decided(draft: _Draft) -> str:
    if draft.roles.time is None:
        return "true"
    return f"{draft.typed[draft.roles.time]} < {_literal(draft.as_of)}"


def _write(draft: _Draft, target: Path, *, keep_order: bool) -> tuple[int, tuple[datetime, datetime] | None]:
    taken = _taken(draft)
    columns = ", ".join(f"{expression} AS {quote_name(name)}" for name, expression in draft.typed.items())
    first = [quote_name(draft.roles.time)] if draft.roles.time else []
    order = ", ".join([*first, *(quote_name(name) for name in draft.typed if name != draft.roles.time)])
    rows = f"SELECT {columns} FROM {draft.raw} WHERE {taken}"  # noqa: S608
    query = rows if keep_order else f"SELECT * FROM ({rows}) ORDER BY {order}"  # noqa: S608
    with _faults(draft, target):
        form = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
        draft.connection.execute(f"COPY ({query}) TO {quote_text(str(target))} ({form})")
    return _count(draft, target)


def _count(draft: _Draft, target: Path) -> tuple[int, tuple[datetime, datetime] | None]:
    time = quote_name(draft.roles.time) if draft.roles.time else "NULL::TIMESTAMPTZ"
    scan = parquet_scan([target])
    rows, low, high = _one(
        draft,
        f"SELECT count(*), epoch_us(min({time})), epoch_us(max({time})) FROM {scan}",  # noqa: S608
    )
    if rows == 0:
        raise _empty(draft)
    return int(rows), None if low is None else (_from_microseconds(low), _from_microseconds(high))


def _empty(draft: _Draft) -> DataFault:
    (all_rows,) = _one(draft, f"SELECT count(*) FROM {draft.raw}")  # noqa: S608
    if all_rows == 0:
        return DataFault("The sources gave no row.", hint="look at data.table and at the sources")
    (decided,) = _one(draft, f"SELECT count(*) FROM {draft.raw} WHERE {_decided(draft)}")  # noqa: S608
    if decided:
        return DataFault(
            f"Of none of {decided:,} rows {', '.join(draft.roles.later)} was known at "
            f"{to_jsonable(draft.as_of)}.",
            hint="give a later time with --as-of, or look at problem.label_delay",
        )
    time = draft.roles.time
    return DataFault(
        f"None of the {all_rows:,} rows has a {time} before {to_jsonable(draft.as_of)}.",
        hint="give a later time with --as-of",
    )


def _one(draft: _Draft, query: str) -> tuple[Any, ...]:
    with _faults(draft, Path(TABLE_FILE)):
        row = draft.connection.execute(query).fetchone()
    return row or (0, None, None)


@contextmanager
def _faults(draft: _Draft, target: Path) -> Iterator[None]:
    duckdb = require("duckdb", extra="train")
    try:
        yield
    except duckdb.Error as error:
        raise_storage_fault(error, target)
        times = [name for name in (draft.roles.time, draft.roles.label_time) if name]
        if isinstance(error, duckdb.ConversionException) and "timestamp" in str(error):
            raise DataFault(
                f"{' or '.join(times)} holds text that is no time: {first_lines(error)}",
                hint="read it with strptime(column, '%d/%m/%Y') in data.table",
            ) from error
        raise DataFault(
            f"The table cannot be written: {first_lines(error)}",
            hint="cast the column in data.table, whole numbers beyond 64 bits as double",
        ) from error


def _from_microseconds(value: int) -> datetime:
    return as_utc(datetime(1970, 1, 1) + timedelta(microseconds=value))  # noqa: DTZ001  (as_utc says the zone)


def _literal(moment: datetime) -> str:
    return f"TIMESTAMPTZ '{moment.isoformat()}'"
