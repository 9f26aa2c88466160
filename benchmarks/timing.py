"""How things are measured: side by side in turns, and whole processes."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Timing:
    """The rounds of one thing."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.rounds)

    def scaled(self, factor: float) -> dict[str, float]:
        """Gives median, lowest and highest in another unit, as a `Figure` takes them."""
        low, high = min(self.rounds), max(self.rounds)
        return {"value": self.median * factor, "low": low * factor, "high": high * factor}


REST_SECONDS = 0.3


def interleave(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Timing]:
    """Measures several things in turns, so that a busy moment meets all of them.

    Each turn goes in another order, and each waits a moment before it: what ran before leaves caches behind
    it and may still tidy up in a process of its own, which would be counted to its neighbour.

    Args:
        works: Each does its work once and gives the seconds (or whatever it measures).
        rounds: How many turns count; one before them does not.
    """
    found: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for turn in range(rounds + 1):
        start = turn % len(names)
        order = [*names[start:], *names[:start]]
        for name in reversed(order) if turn % 2 else order:
            time.sleep(REST_SECONDS)
            measured = works[name]()
            if turn:
                found[name].append(measured)
    return {name: Timing(tuple(values)) for name, values in found.items()}


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Turns work into work that gives its seconds."""

    def once() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return once


def process(command: Sequence[str | Path], *, allowed: tuple[int, ...] = (0,)) -> Callable[[], float]:
    """Gives work that runs a whole process and gives its seconds.

    Raises:
        RuntimeError: From the work, when the process ends with a status that is not allowed.
    """
    return timed(lambda: output_of(command, allowed=allowed))


def output_of(command: Sequence[str | Path], *, allowed: tuple[int, ...] = (0,)) -> str:
    """Runs a process to its end and gives what it printed.

    Raises:
        RuntimeError: When it ends with a status that is not allowed.
    """
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def peak_memory(command: Sequence[str | Path], *, allowed: tuple[int, ...] = (0,)) -> tuple[int, str]:
    """Runs a process and gives the most memory it held at a time, in bytes, and what it printed.

    A small process in between starts it: a child's peak begins with the size of its parent.
    """
    with tempfile.TemporaryDirectory() as name:
        told = Path(name) / "usage.json"
        launcher = Path(__file__).with_name("child.py")
        printed = output_of([sys.executable, launcher, told, *command], allowed=allowed)
        return int(json.loads(told.read_text())["peak_bytes"]), printed


def everloop_command() -> list[str]:
    """Gives the command as a user types it, that of this environment first."""
    beside = Path(sys.executable).with_name("everloop")
    found = str(beside) if beside.exists() else shutil.which("everloop")
    return [found] if found else [sys.executable, "-m", "everloop.cli"]


def last_json(printed: str) -> Any:
    """Reads the JSON object that a command printed."""
    return json.loads(printed[printed.index("{") :])
