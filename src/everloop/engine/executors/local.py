"""Steps in the process that runs the engine."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from everloop.core.errors import StorageFull
from everloop.engine.step import Function


class LocalExecutor:
    """Calls the function here; learners bring their own threads."""

    name = "local"

    def execute(
        self, function: Function, folder: Path, settings: dict[str, Any], inputs: dict[str, Path]
    ) -> Mapping[str, Any] | None:
        """Calls the function with the folder, the settings and the inputs."""
        try:
            return function(folder, settings, inputs)
        except OSError as error:
            if is_full_disk(error):
                raise StorageFull(
                    f"No room left on the disk while writing {folder}.",
                    hint="free some space and give the same command again: it continues where it was",
                ) from error
            raise


def is_full_disk(error: OSError) -> bool:
    """Tells a full disk or quota from other errors, also where a library kept only the text."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error)
