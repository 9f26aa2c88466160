"""The engines, by the name that the lifecycle file has for them."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

from everloop.core.errors import UsageFault

if TYPE_CHECKING:
    from everloop.data.engines.protocol import DataEngine

ENTRY_POINTS = "everloop.data_engines"

ENGINES: dict[str, str] = {
    "polars": "everloop.data.engines.polars:PolarsEngine",
    "duckdb": "everloop.data.engines.duckdb:DuckEngine",
    "pyspark": "everloop.data.engines.pyspark:SparkEngine",
}


def installed_engines() -> tuple[str, ...]:
    """Names the engines that the lifecycle file may name."""
    return tuple(sorted({*ENGINES, *_plugins()}))


def open_engine(name: str) -> DataEngine:
    """Makes an engine; nothing is started yet.

    Raises:
        UsageFault: When there is no such engine.
        MissingExtra: When what it needs is not installed.
    """
    if name in ENGINES:
        module, kind = ENGINES[name].split(":")
        return cast("DataEngine", getattr(import_module(module), kind)())
    plugin = _plugins().get(name)
    if plugin is None:
        raise UsageFault(
            f"There is no engine {name!r}; there are {', '.join(installed_engines())}.",
            hint=f"install a package that offers {name!r} under the entry point {ENTRY_POINTS}",
        )
    return cast("DataEngine", plugin.load()())


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
