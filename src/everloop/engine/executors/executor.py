"""Where a step's function is executed: the contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from everloop.engine.step import Function


@runtime_checkable
class Executor(Protocol):
    """Executes a function and waits for it.

    - What the function writes into `folder` is there when `execute` returns.
    - What it returns comes back; what it raises is raised, with its type where it is an
      `EverloopError`.
    - A `KeyboardInterrupt` stops the function before it is raised on.
    - The function may run in another process; it then must be importable there.
    """

    name: str

    def execute(
        self, function: Function, folder: Path, settings: dict[str, Any], inputs: dict[str, Path]
    ) -> Mapping[str, Any] | None:
        """Calls the function with the folder, the settings and the inputs."""
        ...
