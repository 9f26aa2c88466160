"""`everloop features`: the online store of features over other sources."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer, table
from everloop.cli.progress import watching

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.runtime.features import FeatureSet, OnlineStore

BATCH_ROWS = 5000


def materialize(
    context: typer.Context,
    source: Annotated[
        list[str] | None, typer.Option(metavar="SOURCE", help="Only this one; may be given again.")
    ] = None,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Fills the online store with the events that features look at.

    Events that were pushed or followed before stand once, whether the source has them too or not.

    Example:
        everloop features materialize
        everloop features materialize --source payments
    """
    from everloop.cli.reading import opened
    from everloop.data.materializing import materialize as fill
    from everloop.data.sources import Surroundings

    with watching(context) as progress, opened(file, progress) as workspace, _store(workspace) as store:
        around = Surroundings(
            folder=workspace.folder, clock=workspace.clock, progress=progress, kept=workspace.kept_folder
        )
        spec = workspace.spec
        found = fill(spec.data, spec.problem, around, store, only=tuple(source or ()))
    lines = [f"{name}: {count:,} events" for name, count in found.events.items()]
    told = ", ".join(feature.name for feature in found.features.features)
    return Answer(found.to_dict(), "\n".join([*lines, f"kept current: {told}"]))


def get(
    context: typer.Context,
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="Such as a customer's number.")],
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column it is a value of; by default each.")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="As of this time; else now.")] = None,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Shows the features of one entity as a decision would see them, with the age of what they are made of.

    Example:
        everloop features get 4711
        everloop features get 4711 --at 2026-05-01T12:00:00Z
    """
    from everloop.cli.reading import opened, optional_time
    from everloop.runtime.features import FeatureReader
    from everloop.runtime.row_fill import microseconds

    with watching(context) as progress, opened(file, progress) as workspace, _store(workspace) as store:
        moment = optional_time(at) or workspace.clock.now()
        features = _of(store, by)
        reader = FeatureReader(features.features, store)
        found = reader.look(dict.fromkeys(reader.columns, entity), microseconds(moment))
    types = {feature.name: feature.type for feature in features.features}
    facts = [
        {
            "feature": one.name,
            "value": _shown(one.value, types[one.name]),
            "events": one.events,
            "age_seconds": None if one.time is None else (microseconds(moment) - one.time) / 1e6,
        }
        for one in found
    ]
    rows = [
        [
            one["feature"],
            "-" if one["value"] is None else one["value"],
            one["events"],
            _age(one["age_seconds"]),
        ]
        for one in facts
    ]
    text = table(["feature", "value", "events", "last event"], rows)
    return Answer({"entity": entity, "at": moment, "features": facts}, text)


def push(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source that the events are of.")],
    events: Annotated[
        str, typer.Argument(metavar="FILE", help="A table of events, with the source's columns.")
    ],
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Adds events to the online store. The status is 1 where some are flawed; the others are taken.

    Where the source has a key, an event that is pushed again changes nothing.

    Example:
        everloop features push payments new-payments.csv
    """
    from everloop.cli.reading import opened
    from everloop.runtime.features import FeatureWriter
    from everloop.runtime.row_fill import microseconds
    from everloop.table.tables import as_frame

    with watching(context) as progress, opened(file, progress) as workspace, _store(workspace) as store:
        writer = FeatureWriter(_of(store), store)
        frame, now = as_frame(events), microseconds(workspace.clock.now())
        taken, passed_over, flaws = 0, 0, []
        for start in range(0, frame.height, BATCH_ROWS):
            added = writer.add(source, frame[start : start + BATCH_ROWS].to_dicts(), now=now)
            taken, passed_over = taken + added.events, passed_over + added.passed_over
            flaws += [flaw._replace(row=flaw.row + start) for flaw in added.flaws]
    facts = {
        "source": source,
        "accepted": taken,
        "passed_over": passed_over,
        "flaws": [f._asdict() for f in flaws],
    }
    lines = [f"{source}: {taken:,} events"]
    lines += [f"row {f.row}: {f.field} is a {f.type}; expected {f.expected}" for f in flaws[:5]]
    return Answer(facts, "\n".join(lines), status=1 if flaws else 0)


def follow(
    context: typer.Context,
    seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End after so long; else when it is stopped.")
    ] = None,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Follows the streams that features look at, and keeps the online store current from them.

    It continues where the store says that it was, so it may be stopped and started at any time.

    Example:
        everloop features follow
    """
    from everloop.cli.reading import opened
    from everloop.core.errors import NotFound
    from everloop.core.progress import Event
    from everloop.loop.following import Following, followed_sources
    from everloop.loop.supervise import until_stopped

    with watching(context) as progress, opened(file, progress) as workspace:
        sources = followed_sources(workspace)
        if not sources:
            raise NotFound(
                "No feature looks at a stream (kafka, mqtt).", hint="everloop features push --help"
            )
        following = Following(workspace, sources)
        following.start()
        progress(Event("data", f"following {', '.join(sources)}", kind="result"))
        with until_stopped(following.stop):
            workspace.clock.sleep(seconds if seconds is not None else 1e9)
    told = ", ".join(f"{name}: {count:,} events" for name, count in following.taken.items())
    return Answer({"events": following.taken}, told)


def _store(workspace: Workspace) -> OnlineStore:
    from everloop.runtime.features import open_store
    from everloop.runtime.service.joining import revealed

    return open_store(revealed(workspace.online_address))


def _of(store: OnlineStore, by: str | None = None) -> FeatureSet:
    from everloop.core.errors import NotFound
    from everloop.runtime.features import FeatureSet
    from everloop.runtime.features.kept import kept_definitions

    kept = kept_definitions(store)
    if by is None:
        return kept
    found = tuple(feature for feature in kept.features if feature.by == by)
    if not found:
        known = ", ".join(dict.fromkeys(feature.by for feature in kept.features))
        raise NotFound(f"No feature is by {by!r}; features are by {known}.")
    return FeatureSet(found, kept.sources)


def _shown(value: Any, kind: str) -> Any:
    from everloop.table.expression.moments import time_of

    moment: datetime | None = time_of(value) if kind == "time" and value is not None else None
    return value if moment is None else moment


def _age(seconds: float | None) -> str:
    from datetime import timedelta

    from everloop.core.units import format_duration

    return "-" if seconds is None else f"{format_duration(timedelta(seconds=round(seconds)))} ago"


COMMANDS: dict[str, Callable[..., Answer]] = {
    "materialize": materialize,
    "get": get,
    "push": push,
    "follow": follow,
}
"""The verbs of `everloop features`."""
