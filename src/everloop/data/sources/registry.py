"""The kinds of sources, by name."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, cast

from everloop.core.errors import UsageFault
from everloop.spec.sources import kind_of_source

if TYPE_CHECKING:
    from everloop.data.sources.protocol import IncrementalSource, Source, Surroundings

ENTRY_POINTS = "everloop.sources"

# The name of a kind is the key that a source has in the lifecycle file.
SOURCES: dict[str, str] = {
    "file": "everloop.data.sources.file:Files",
    "kafka": "everloop.data.sources.kafka:Topic",
    "log": "everloop.data.sources.log:Logs",
    "http": "everloop.data.sources.http:Api",
    "mqtt": "everloop.data.sources.mqtt:Subscription",
    "sql": "everloop.data.sources.sql:Database",
    "table": "everloop.data.sources.table:Table",
}


def installed_kinds() -> tuple[str, ...]:
    """Lists the kinds of sources that can be read here."""
    return tuple(sorted({*SOURCES, *_plugins()}))


def source_class(kind: str) -> type[Source | IncrementalSource]:
    """Finds the class that reads a kind of source.

    Raises:
        UsageFault: When no such kind is installed; the message lists what is.
    """
    if kind in SOURCES:
        module, name = SOURCES[kind].split(":")
        return cast("type[Source | IncrementalSource]", getattr(import_module(module), name))
    plugin = _plugins().get(kind)
    if plugin is None:
        raise UsageFault(
            f"No source of the kind {kind!r} is installed; installed are {', '.join(installed_kinds())}.",
            hint="bring the data into a file or a database, or install a package that offers "
            f"{kind!r} under the entry point {ENTRY_POINTS}",
        )
    try:
        return cast("type[Source | IncrementalSource]", plugin.load())
    except Exception as error:
        raise UsageFault(
            f"The source kind {kind!r} of {plugin.value} cannot be loaded: {type(error).__name__}: {error}."
        ) from error


def open_source(kind: str, spec: Any, surroundings: Surroundings) -> Source:
    """Makes a source from its part of the lifecycle file; nothing is reached yet.

    Args:
        kind: The kind's name, such as ``file``.
        spec: The source's part of the lifecycle file.
        surroundings: Folder, clock, memo and progress.

    Raises:
        UsageFault: When no such kind is installed.
    """
    made = cast("Any", source_class(kind))(spec, surroundings)
    if made.capabilities.incremental:
        from everloop.data.sources.keeping import KeptSource

        return cast("Source", KeptSource(made, surroundings))
    return cast("Source", made)


def is_stream(spec: Any) -> bool:
    """Says whether a source of the lifecycle file can be followed."""
    kind = kind_of_source(spec)
    return kind is not None and hasattr(source_class(kind), "follow")


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
