"""The online store, filled from the sources: what served features look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.clock import as_utc
from everloop.core.errors import DataFault, NotFound
from everloop.core.files import scratch_folder
from everloop.core.progress import Event
from everloop.data.duck import closed_duckdb
from everloop.data.joining import joined_names, read_events
from everloop.data.sources.registry import is_stream
from everloop.data.taking import open_sources
from everloop.runtime.features import FeatureSet, FeatureWriter
from everloop.runtime.features.kept import keep_definitions
from everloop.runtime.row_fill import microseconds

if TYPE_CHECKING:
    from everloop.data.sources import Reading, Surroundings
    from everloop.runtime.features import OnlineStore
    from everloop.spec import DataSpec, ProblemSpec
    from everloop.table.feature_join import EventTable

BATCH_ROWS = 50_000


@dataclass(frozen=True)
class Materialized:
    """What came of filling the store.

    Attributes:
        features: What it was filled for.
        events: Source -> how many of its events were taken.
        passed_over: Source -> how many of its rows count for no feature.
    """

    features: FeatureSet
    events: Mapping[str, int]
    passed_over: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Gives it as what JSON can carry."""
        names = [feature.name for feature in self.features.features]
        return {"features": names, "events": dict(self.events), "passed_over": dict(self.passed_over)}


def materialize(
    data: DataSpec,
    problem: ProblemSpec | None,
    surroundings: Surroundings,
    store: OnlineStore,
    *,
    only: Sequence[str] = (),
) -> Materialized:
    """Fills the online store with the events that features look at.

    Events that were pushed or followed before stand once, whether the source has them too or not. A
    stream is followed from where it was read to.

    Args:
        data: The file's part about data.
        problem: The file's part about the problem.
        surroundings: What sources are given.
        store: Where histories are.
        only: The sources that are read; all that features look at where it is empty.

    Raises:
        NotFound: When the file has no such feature or source.
        SourceUnreachable: When a source is not there.
        OnlineStoreUnreachable: When the store does not answer.
    """
    wanted = _wanted(data, only)
    now = microseconds(as_utc(surroundings.clock.now()))
    with scratch_folder(surroundings.folder.resolve()) as scratch:
        readings = _read(data, wanted, surroundings, scratch)
        files = [file for reading in readings.values() for file in reading.files]
        with closed_duckdb(scratch.resolve(), files) as connection:
            time = problem.time if problem is not None else None
            features, tables = read_events(connection, data, problem, readings, time, scratch.resolve())
        found = FeatureSet(features, {name: table.events for name, table in tables.items()})
        writer = FeatureWriter(found, store)
        events: dict[str, int] = {}
        passed_over: dict[str, int] = {}
        for name, table in tables.items():
            position = _position(data, name, readings[name])
            events[name], passed_over[name] = _fill(writer, name, table, now, position, surroundings)
    keep_definitions(store, found)
    return Materialized(found, events, passed_over)


def _wanted(data: DataSpec, only: Sequence[str]) -> list[str]:
    read = list(dict.fromkeys(data.features[name].source for name in joined_names(data)))  # type: ignore[union-attr]
    if not read:
        raise NotFound(
            "The lifecycle file has no feature over another source, so there is nothing to keep current.",
            hint="data: {features: {paid: {from: payments, by: customer, over: 90d, value: sum(amount)}}}",
        )
    unknown = [name for name in only if name not in read]
    if unknown:
        raise NotFound(f"No feature reads the source {unknown[0]!r}; features read {', '.join(read)}.")
    return list(only) or read


def _read(
    data: DataSpec, wanted: Sequence[str], surroundings: Surroundings, scratch: Path
) -> dict[str, Reading]:
    part = data.model_copy(update={"sources": {name: data.sources[name] for name in wanted}})
    readings = {}
    for place, (name, source) in enumerate(open_sources(part, surroundings).items()):
        surroundings.progress(Event("data", f"reading {name}", fraction=place / len(wanted)))
        folder = scratch / f"source-{place}"
        folder.mkdir()
        readings[name] = source.read(folder.resolve())
    return readings


def _position(data: DataSpec, name: str, reading: Reading) -> bytes | None:
    position = reading.fingerprint.get("position")
    if position is None or not is_stream(data.sources[name]):
        return None
    return json.dumps(position).encode()


def _fill(
    writer: FeatureWriter,
    name: str,
    table: EventTable,
    now: int,
    position: bytes | None,
    surroundings: Surroundings,
) -> tuple[int, int]:
    """Writes a source's events; the position last, when all are there."""
    events = passed_over = 0
    for rows, total in _batches(table):
        added = writer.add(name, rows, now=now, again=True)
        if added.flaws:
            flaw = added.flaws[0]
            raise DataFault(
                f"{name}: {flaw.field} holds a {flaw.type}; expected {flaw.expected}.",
                hint=f"state the column's type in data.sources.{name}, or cast it in the feature",
            )
        events, passed_over = events + added.events, passed_over + added.passed_over
        surroundings.progress(Event("data", f"{name}: {events:,} of {total:,} events"))
    if position is not None:
        writer.add(name, [], now=now, position=position)
    return events, passed_over


def _batches(table: EventTable) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Gives the rows in an order in which an entity's come together, so that its history is written once."""
    import polars as pl

    frame = pl.read_parquet(table.table)
    own = {table.events.time, table.events.known, *table.events.key}
    by = [name for name in frame.columns if name not in own]
    frame = frame.sort(by[:1]) if by else frame
    for start in range(0, frame.height, BATCH_ROWS):
        yield frame[start : start + BATCH_ROWS].to_dicts(), frame.height
