"""Serves from a settings file: `python -m everloop.runtime.server settings.json [--worker NAME]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from everloop.core.errors import EverloopError
from everloop.runtime.server.process import serve
from everloop.runtime.service.settings import ServerSettings


def main(arguments: list[str]) -> int:
    """Serves until it is told to stop; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m everloop.runtime.server")
    parser.add_argument("settings", metavar="SETTINGS.json", type=Path)
    parser.add_argument("--worker", help="this process's name in the log, where several write beside it")
    asked = parser.parse_args(arguments)
    try:
        settings = ServerSettings.load(asked.settings)
        serve(settings.for_worker(asked.worker) if asked.worker else settings)
    except EverloopError as error:
        print(f"error: {error.message}", file=sys.stderr)  # noqa: T201
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)  # noqa: T201
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
