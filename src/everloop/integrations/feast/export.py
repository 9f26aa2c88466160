"""A lifecycle's features over other sources, written as a Feast repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SpecFault
from everloop.core.files import scratch_folder, write_file
from everloop.data.duck import closed_duckdb, parquet_scan
from everloop.data.joining import joined_names, source_events
from everloop.data.sources import Surroundings
from everloop.data.taking import open_sources
from everloop.table.feature_join import EventTable, join_features
from everloop.table.feature_joined import JoinedFeature, SourceEvents, define_joined
from everloop.table.schema import schema_of

if TYPE_CHECKING:
    import polars as pl

    from everloop.spec import LifecycleSpec

TIME = "event_timestamp"
_FIELDS = {
    "number": "Float64",
    "integer": "Int64",
    "text": "String",
    "boolean": "Bool",
    "time": "UnixTimestamp",
}
_KEYS = {
    "number": "DOUBLE",
    "integer": "INT64",
    "text": "STRING",
    "boolean": "BOOL",
    "time": "UNIX_TIMESTAMP",
}
_STORE = """\
# Written by Everloop from the lifecycle {name}; `feast apply` registers what features.py defines.
project: {project}
provider: local
registry: data/registry.db
online_store: {{type: sqlite, path: data/online_store.db}}
offline_store: {{type: file}}
entity_key_serialization_version: 3
"""
_HEAD = '''\
"""Features of the lifecycle {name}, written by Everloop.

Each view holds a feature's values as steps in time: a row whenever the value changed, because something
became known or left the feature's span. So a point-in-time join of Feast gives what Everloop gives.
"""

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource
from feast.types import Bool, Float64, Int64, String, UnixTimestamp
from feast.value_type import ValueType
'''
_ENTITY = "\n{variable} = Entity(name={name!r}, join_keys=[{name!r}], value_type=ValueType.{kind})\n"
_VIEW = """
{variable} = FeatureView(
    name={name!r},
    entities=[{entity}],
    ttl=timedelta(0),
    schema=[
{fields}    ],
    source=FileSource(name={source!r}, path={path!r}, timestamp_field={time!r}),
)
"""


@dataclass(frozen=True)
class _View:
    """Features over one source for one kind of entity."""

    source: str
    by: str
    by_type: str
    features: tuple[JoinedFeature, ...]
    steps: pl.DataFrame

    @property
    def name(self) -> str:
        return f"{self.source}_by_{self.by}"


def export(
    spec: LifecycleSpec,
    folder: Path | str,
    *,
    tables: Mapping[str, Any] | None = None,
    surroundings: Surroundings | None = None,
) -> tuple[str, ...]:
    """Writes the features over other sources as a repository that ``feast apply`` accepts.

    Entities are the features' `by` columns; there is a view for each source and entity, with a Parquet
    file of the values as they changed. What Feast's point-in-time join gives is what training sees, but
    for an entity before its first event: Everloop counts 0 there, and Feast has no row. Features of the row
    in SQL need no store and are not exported: the package computes them.

    Args:
        spec: The lifecycle file.
        folder: Where the repository is written; files of an earlier export are replaced.
        tables: Tables handed in from Python, by the name of the source that each stands for.
        surroundings: What sources are given; by default the lifecycle file's folder.

    Returns:
        The names of the views.

    Raises:
        SpecFault: When the lifecycle has no such feature, or one asks for what is not there.
        SourceUnreachable: When a source is not there.
    """
    if not joined_names(spec.data):
        raise SpecFault(
            "The lifecycle has no feature over another source, so there is nothing for a feature store.",
            hint="data: {features: {paid: {from: payments, by: customer, over: 90d, value: sum(amount)}}}",
            place="data.features",
        )
    folder = Path(folder)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    around = surroundings or Surroundings(folder=Path(spec.folder))
    with scratch_folder(folder) as scratch:
        views = _views(spec, around, dict(tables or {}), scratch)
    for view in views:
        view.steps.write_parquet(folder / "data" / f"{view.name}.parquet")
    project = spec.name.replace("-", "_")
    write_file(folder / "feature_store.yaml", _STORE.format(name=spec.name, project=project).encode())
    write_file(folder / "features.py", _definitions(spec.name, views).encode())
    return tuple(view.name for view in views)


def _views(spec: LifecycleSpec, around: Surroundings, tables: dict[str, Any], scratch: Path) -> list[_View]:
    import polars as pl

    data = spec.data
    sources = open_sources(data, around, tables)
    views: list[_View] = []
    asked = {name: data.features[name] for name in joined_names(data)}
    for position, source in enumerate(dict.fromkeys(part.source for part in asked.values())):  # type: ignore[union-attr]
        if source not in sources:
            raise SpecFault(
                f"There is no source {source}; there are {', '.join(sources)}.", place="data.features"
            )
        place = scratch / f"source-{position}"
        place.mkdir()
        files = sources[source].read(place.resolve()).files
        rows = pl.scan_parquet(list(files))
        types = schema_of(rows).types
        events = source_events(source, data.sources.get(source), _kinds(files, scratch))
        defined = [
            define_joined(name, part, types)  # type: ignore[arg-type]
            for name, part in asked.items()
            if part.source == source  # type: ignore[union-attr]
        ]
        for by in dict.fromkeys(feature.by for feature in defined):
            members = tuple(feature for feature in defined if feature.by == by)
            views.append(_View(source, by, types[by], members, _steps(rows, by, members, events)))
    return views


def _kinds(files: Any, scratch: Path) -> dict[str, str]:
    with closed_duckdb(scratch.resolve(), files) as connection:
        described = connection.execute(f"DESCRIBE SELECT * FROM {parquet_scan(files)}").fetchall()  # noqa: S608
    return {row[0]: row[1] for row in described}


def _steps(
    rows: pl.LazyFrame, by: str, features: tuple[JoinedFeature, ...], events: SourceEvents
) -> pl.DataFrame:
    """Gives the features' values at each moment at which one of them can change."""
    import polars as pl

    time, known = (pl.col(name).cast(pl.Datetime("us", "UTC")) for name in (events.time, events.known))
    spans = dict.fromkeys(feature.span for feature in features if feature.span is not None)
    moments = [
        known,
        pl.max_horizontal(time, known),
        *(pl.max_horizontal(time + span, known) for span in spans),
    ]
    changes = pl.concat([rows.select(by, moment.alias(TIME)) for moment in moments])
    decisions = changes.drop_nulls().unique().sort(by, TIME).collect()
    table = EventTable(rows, events)
    sources = {feature.source: table for feature in features}
    return pl.concat([decisions, join_features(decisions, TIME, features, sources)], how="horizontal")


def _definitions(name: str, views: list[_View]) -> str:
    written = [_HEAD.format(name=name)]
    kinds = {view.by: view.by_type for view in views}
    variables = {by: f"entity_{place}" for place, by in enumerate(kinds)}
    for by, kind in kinds.items():
        written.append(_ENTITY.format(variable=variables[by], name=by, kind=_KEYS[kind]))
    for place, view in enumerate(views):
        columns = {view.by: view.by_type, **{feature.name: feature.type for feature in view.features}}
        fields = "".join(
            f"        Field(name={one!r}, dtype={_FIELDS[kind]}),\n" for one, kind in columns.items()
        )
        written.append(
            _VIEW.format(
                variable=f"view_{place}",
                name=view.name,
                entity=variables[view.by],
                fields=fields,
                source=f"{view.name}_steps",
                path=f"data/{view.name}.parquet",
                time=TIME,
            )
        )
    return "".join(written)
