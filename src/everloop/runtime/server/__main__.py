"""Serves from a settings file: `python -m everloop.runtime.server settings.json`."""

from __future__ import annotations

import sys
from pathlib import Path

from everloop.core.errors import EverloopError
from everloop.runtime.server.process import serve
from everloop.runtime.service.settings import ServerSettings


def main(arguments: list[str]) -> int:
    """Serves until it is told to stop; gives the exit status."""
    try:
        if len(arguments) != 1:
            print("usage: python -m everloop.runtime.server SETTINGS.json", file=sys.stderr)  # noqa: T201
            return 2
        serve(ServerSettings.load(Path(arguments[0])))
    except EverloopError as error:
        print(f"error: {error.message}", file=sys.stderr)  # noqa: T201
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)  # noqa: T201
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
