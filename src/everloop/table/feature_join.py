"""Features over rows of other sources, for a whole table of decisions: `feature_joined`, executed.

Every decision keeps its row, in its place, whether a row of the source counts for it or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import SpecFault
from everloop.table.expression import to_polars
from everloop.table.feature_order import order_by
from everloop.table.feature_timeline import NEVER, Reach, Rows, Timeline
from everloop.table.feature_windows import Column, window_values
from everloop.table.schema import schema_of
from everloop.table.tables import as_frame, as_lazy

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.table.feature_joined import JoinedFeature, SourceEvents

    Indices = NDArray[np.int64]

_WIDEST = 2**24
"""Entities that are whole numbers this close together are looked up in a table."""


@dataclass(frozen=True)
class EventTable:
    """A source's rows and what its columns say.

    Attributes:
        table: A Polars, pandas, Arrow or DuckDB table, or a path.
        events: Which columns say when, and tell events apart.
    """

    table: Any
    events: SourceEvents


def join_features(
    decisions: Any, time: str, features: Sequence[JoinedFeature], sources: Mapping[str, EventTable]
) -> pl.DataFrame:
    """Computes features over rows of other sources, as they were known at each decision.

    Args:
        decisions: A table with the features' `by` columns and the time of each decision.
        time: The column of decision times. A decision without a time sees no row.
        features: What is computed.
        sources: From each source's name to its rows; nothing in them is changed.

    Returns:
        A column for each feature, a row for each decision, in the order of both.

    Raises:
        SpecFault: When a column is not there, or the two `by` columns are of different types.
    """
    import polars as pl

    asked = as_frame(as_lazy(decisions).select(list(dict.fromkeys([time, *(f.by for f in features)]))))
    found: dict[str, pl.Series] = {}
    groups: dict[tuple[str, str], list[JoinedFeature]] = {}
    for feature in features:
        groups.setdefault((feature.source, feature.by), []).append(feature)
    for (source, by), members in groups.items():
        found |= _joined(asked, time, by, members, sources[source])
    return pl.DataFrame([found[feature.name].alias(feature.name) for feature in features])


def _joined(
    asked: pl.DataFrame, time: str, by: str, features: list[JoinedFeature], source: EventTable
) -> dict[str, pl.Series]:
    entities, decisions, order = _decisions(asked, time, by, _key_type(asked, by, source))
    events = _events(source, by, features, entities)
    found = {}
    for members, rows in _ordered(events, entities.height, features):
        looks = _Looks(events.table, rows, decisions)
        for feature in members:
            found[feature.name] = _values(feature, looks, order, asked.height)
    return found


def _key_type(asked: pl.DataFrame, by: str, source: EventTable) -> pl.DataType:
    import polars as pl

    types = schema_of(source.table).types
    if by not in types:
        raise SpecFault(f"The source has no column {by}; it has {', '.join(types)}.")
    ours, theirs = schema_of(asked).types[by], types[by]
    if {ours, theirs} == {"integer", "number"}:
        return pl.Float64()
    if ours != theirs:
        raise SpecFault(
            f"{by} is a {ours} in the table and a {theirs} in the source, so no row would match.",
            hint=f"give both one type in data.table, such as: cast({by} as varchar) as {by}",
        )
    kinds = {"integer": pl.Int64(), "number": pl.Float64(), "text": pl.String(), "boolean": pl.Boolean()}
    return kinds.get(ours, pl.Datetime("us", "UTC"))


def _decisions(
    asked: pl.DataFrame, time: str, by: str, kind: pl.DataType
) -> tuple[pl.DataFrame, Timeline, Indices]:
    """Numbers the entities that are asked for and orders the decisions that can see a row.

    Returns:
        The entities with their numbers, the decisions, and the place of each in the table.
    """
    import polars as pl

    rows = asked.select(
        _entity(by, kind), _microseconds(time).alias("at"), pl.int_range(pl.len()).alias("place")
    ).drop_nulls()
    entities = rows.select("by").unique(maintain_order=True).with_columns(entity=pl.int_range(pl.len()))
    numbers, at = _numbered(rows["by"], entities), rows["at"].to_numpy()
    order = order_by([numbers, at])
    return entities, Timeline(numbers[order], at[order], entities.height), rows["place"].to_numpy()[order]


def _entity(by: str, kind: pl.DataType) -> pl.Expr:
    import polars as pl

    held = pl.col(by).cast(kind)
    return (held.fill_nan(None) if kind.is_float() else held).alias("by")


def _microseconds(name: str) -> pl.Expr:
    import polars as pl

    return pl.col(name).dt.timestamp("us")


def _numbered(values: pl.Series, entities: pl.DataFrame) -> Indices:
    """Gives the number of each entity; -1 for one that is not asked for, or missing."""
    import polars as pl

    if values.dtype.is_integer() and entities.height:
        known = entities["by"].to_numpy()
        low, high = int(known.min()), int(known.max())
        if high - low < _WIDEST:
            table = np.full(high - low + 2, -1, np.int64)
            table[known - low] = entities["entity"].to_numpy()
            inside = values.is_between(low, high)
            places = pl.select(pl.when(inside).then(values - low).otherwise(high - low + 1)).to_series()
            found: Indices = table[places.to_numpy()]
            return found
    joined = values.to_frame("by").join(entities, on="by", how="left", maintain_order="left")
    numbers: Indices = joined["entity"].fill_null(-1).to_numpy()
    return numbers


@dataclass(frozen=True)
class _Events:
    """A source's rows as numbers.

    Attributes:
        table: The columns that features read.
        keys: The columns that tell events apart, as numbers; -1 where one is missing.
        entity: Whose each row is; -1 where nobody asks for it.
        time: When each happened; `NEVER` where that is missing.
        known: When each became known; `NEVER` where that is missing.
        same: Whether a row is known when it happens.
    """

    table: pl.DataFrame
    keys: Indices | None
    entity: Indices
    time: Indices
    known: Indices
    same: bool


def _events(source: EventTable, by: str, features: list[JoinedFeature], entities: pl.DataFrame) -> _Events:
    import polars as pl

    events = source.events
    read = {name for feature in features for name in feature.columns}
    names = dict.fromkeys([by, events.time, events.known, *events.key, *sorted(read)])
    frame = as_frame(as_lazy(source.table).select(*names))
    moments = frame.select(
        _microseconds(events.time).fill_null(NEVER).alias("time"),
        _microseconds(events.known).fill_null(NEVER).alias("known"),
    )
    keys = None
    if events.key:
        whole = pl.all_horizontal(pl.col(name).is_not_null() for name in events.key)
        number = pl.struct(*events.key).rank("dense").cast(pl.Int64)
        keys = frame.select(pl.when(whole).then(number).otherwise(-1)).to_series().to_numpy()
    held = frame.select(_entity(by, entities.schema["by"])).to_series()
    return _Events(
        table=frame,
        keys=keys,
        entity=_numbered(held, entities),
        time=moments["time"].to_numpy(),
        known=moments["known"].to_numpy(),
        same=events.known == events.time,
    )


def _ordered(
    events: _Events, entities: int, features: list[JoinedFeature]
) -> Iterator[tuple[list[JoinedFeature], Rows]]:
    """Orders the rows, once for all features but for those whose own value decides between rows."""
    until, decided = _valid_until(events, None)
    if not decided:
        for feature in features:
            ranks = _ranks(feature, events.table)
            yield [feature], _rows(events, entities, _valid_until(events, ranks)[0], ranks)
        return
    rows = _rows(events, entities, until, None)
    latest = [feature for feature in features if feature.meaning.order_matters]
    if latest and not _repeats(rows.line.entity, rows.line.at, events.known[rows.order]):
        latest = []
    yield [feature for feature in features if feature not in latest], rows
    for feature in latest:
        yield [feature], _rows(events, entities, until, _ranks(feature, events.table))


def _valid_until(events: _Events, ranks: Indices | None) -> tuple[Indices | None, bool]:
    """Says until when each row is valid, and whether times alone decide that; None where all always are."""
    if events.keys is None:
        return None, True
    columns = [events.keys, events.known, events.time, events.entity]
    order = order_by(columns if ranks is None else [*columns, ranks])
    key, known = events.keys[order], events.known[order]
    until = np.full(order.size, NEVER)
    until[order[:-1]] = np.where((key[1:] == key[:-1]) & (key[1:] >= 0), known[1:], NEVER)
    keyed = order[events.keys[order] >= 0]
    return until, not _repeats(*(column[keyed] for column in columns))


def _ranks(feature: JoinedFeature, table: pl.DataFrame) -> Indices:
    """Orders a feature's values, a missing one first."""
    import polars as pl

    ranks: Indices = _evaluated(feature, table).rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    return ranks


def _repeats(*columns: Indices) -> bool:
    """Says whether two rows that follow each other are the same in all columns."""
    same = np.ones(max(columns[0].size - 1, 0), bool)
    for column in columns:
        same &= column[1:] == column[:-1]
    return bool(same.any())


def _rows(events: _Events, entities: int, until: Indices | None, ranks: Indices | None) -> Rows:
    """Keeps the rows of the entities that are asked for, in the order of the definition."""
    places = np.flatnonzero((events.entity >= 0) & (events.time != NEVER) & (events.known != NEVER))
    columns = [events.entity, events.time, *([] if events.same else [events.known])]
    columns += [] if ranks is None else [ranks]
    order = places[order_by([column[places] for column in columns])]
    time, known = events.time[order], events.known[order]
    return Rows(
        line=Timeline(events.entity[order], time, entities),
        order=order,
        since=np.maximum(time, known),
        until=np.full(order.size, NEVER) if until is None else until[order],
        steady=until is None and events.same,
    )


def _evaluated(feature: JoinedFeature, table: pl.DataFrame) -> pl.Series:
    """Gives a feature's value of each row; a time in microseconds."""
    import polars as pl

    if feature.value is None:
        return pl.Series(np.ones(table.height))
    values = table.select(to_polars(feature.value)).to_series()
    return values.dt.timestamp("us") if feature.value.type == "time" else values


@dataclass
class _Looks:
    """What features have in common: those of one span who counts whom, those of one value its columns."""

    table: pl.DataFrame
    rows: Rows
    decisions: Timeline
    reaches: dict[int | None, Reach] = field(default_factory=dict)
    columns: dict[tuple[int | None, Any], Column] = field(default_factory=dict)

    def reach(self, feature: JoinedFeature) -> Reach:
        span = feature.span_us
        return self.reaches.setdefault(span, Reach(self.rows, self.decisions, span))

    def column(self, feature: JoinedFeature) -> Column:
        key = (feature.span_us, None if feature.value is None else feature.value.tree)
        if key not in self.columns:
            self.columns[key] = Column(self.reach(feature), _evaluated(feature, self.table))
        return self.columns[key]


def _values(feature: JoinedFeature, looks: _Looks, order: Indices, height: int) -> pl.Series:
    """Gives a feature in the order of the table of decisions; those that see no row get what is empty."""
    import polars as pl

    places = np.full(height, -1, np.int64)
    if feature.aggregate == "latest":
        latest = looks.reach(feature).latest
        places[order[latest >= 0]] = looks.rows.order[latest[latest >= 0]]
        values = _evaluated(feature, _gathered(looks.table.select(feature.columns), places))
    else:
        places[order] = np.arange(order.size)
        held = window_values(feature.aggregate, looks.column(feature))
        values = _gathered(held.to_frame(), places).to_series()
    if feature.meaning.empty is not None:
        values = values.fill_null(feature.meaning.empty)
    if feature.type == "time":
        return values.cast(pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    kinds = {"integer": pl.Int64(), "number": pl.Float64(), "boolean": pl.Boolean(), "text": pl.String()}
    return values.cast(kinds[feature.type])


def _gathered(table: pl.DataFrame, places: Indices) -> pl.DataFrame:
    """Takes rows by their places; a place of -1 gives a row of missing values."""
    import polars as pl

    held = pl.Series(places)
    return table.select(pl.all().gather(pl.select(pl.when(held >= 0).then(held)).to_series()))
