"""Steps in the process that runs the engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from everloop.engine.step import Function


class LocalExecutor:
    """Calls the function here; learners bring their own threads."""

    name = "local"

    def execute(
        self, function: Function, folder: Path, settings: dict[str, Any], inputs: dict[str, Path]
    ) -> Mapping[str, Any] | None:
        """Calls the function with the folder, the settings and the inputs."""
        return function(folder, settings, inputs)
