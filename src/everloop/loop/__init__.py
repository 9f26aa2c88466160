"""The composition: one pass (`run`), the loop as time passes (`loop`), the loop on history (`backtest`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.lazy import lazy_names

if TYPE_CHECKING:
    from everloop.loop.lifecycle import Lifecycle, load
    from everloop.loop.pass_ import RunResult
    from everloop.loop.run import run_once
    from everloop.loop.workspace import Workspace

_HOME = {
    "Lifecycle": "lifecycle",
    "RunResult": "pass_",
    "Workspace": "workspace",
    "load": "lifecycle",
    "run_once": "run",
}

__all__ = ["Lifecycle", "RunResult", "Workspace", "load", "run_once"]

__getattr__ = lazy_names(__name__, _HOME)
