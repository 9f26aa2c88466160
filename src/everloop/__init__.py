"""Everloop: the whole life of a machine-learning model from one file.

Example:
    >>> import everloop as el
    >>> lifecycle = el.load("everloop.yaml")  # doctest: +SKIP
    >>> run = lifecycle.run()  # doctest: +SKIP

Each phase also works alone: `el.data`, `el.problem`, `el.goal`, `el.model`, `el.deploy`, `el.monitor`, and
below them `el.runtime` (serving), `el.measure` (pure functions) and `el.table` (what a table must be).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from everloop import data, deploy, goal, loop, measure, model, monitor, problem, runtime, table
    from everloop.loop.lifecycle import Lifecycle, load

_ROOMS = ("data", "deploy", "goal", "loop", "measure", "model", "monitor", "problem", "runtime", "table")
_HOME = {"Lifecycle": "everloop.loop.lifecycle", "load": "everloop.loop.lifecycle"}

__all__ = [
    "Lifecycle",
    "data",
    "deploy",
    "goal",
    "load",
    "loop",
    "measure",
    "model",
    "monitor",
    "problem",
    "runtime",
    "table",
]


def __getattr__(name: str) -> Any:
    """Imports a room or a name when it is first used: importing `everloop` itself loads nothing else."""
    if name in _ROOMS:
        return import_module(f"everloop.{name}")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
