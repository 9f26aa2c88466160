"""The process in which a loader is watched: work comes as JSON, a line for each path goes out."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from runpy import run_path

from everloop.testing.malicious.watching import Watcher, judge


def opened(door: str) -> Callable[[Path, Path], object]:
    """Gives the loader that `module:function` or `file.py:function` names."""
    module, _, name = door.rpartition(":")
    found = run_path(module) if module.endswith(".py") else vars(import_module(module))
    load: Callable[[Path, Path], object] = found[name]
    return load


def main() -> None:
    """Reads the work, calls the loader for each path and prints what it did."""
    work = json.load(sys.stdin)
    load = opened(work["door"])
    # Whatever the loader prints is no answer of ours.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    paths = {name: Path(path) for name, path in work["paths"].items()}
    watcher = Watcher(work["scratch"])
    # What is imported at first use is no part of what a path costs, nor is it the path's doing.
    judge(load, next(iter(paths.values())), watcher)
    for key, path in paths.items():
        # A loader that hangs is ended, whatever it is in.
        signal.setitimer(signal.ITIMER_REAL, work["seconds"])
        answers.write(json.dumps({"name": key} | judge(load, path, watcher)) + "\n")
        answers.flush()
    signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
