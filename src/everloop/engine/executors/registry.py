"""The executors that are known by name: ours, and those of installed packages."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from everloop.core.errors import SpecFault
from everloop.core.nearness import near_names
from everloop.engine.executors.executor import Executor

GROUP = "everloop.executors"

EXECUTORS: dict[str, str] = {"local": "everloop.engine.executors.local:LocalExecutor"}


def executor(name: str) -> Executor:
    """Makes the executor with this name.

    Other packages add theirs under the entry point group ``everloop.executors``.

    Raises:
        SpecFault: When no executor has the name; those that exist are named.
    """
    if name in EXECUTORS:
        module, _, attribute = EXECUTORS[name].partition(":")
        made: Executor = getattr(import_module(module), attribute)()
        return made
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if name in installed:
        found: Executor = installed[name].load()()
        return found
    known = sorted({*EXECUTORS, *installed})
    nearest = near_names(name, known)
    raise SpecFault(
        f"There is no executor {name!r}; known are {', '.join(known)}.",
        hint=f"engine: {{train: {nearest[0] if nearest else known[0]}}}",
    )
