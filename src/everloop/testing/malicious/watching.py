"""A loader in a process of its own, watched by Python's audit events: what it ran, opened, wrote and held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RAN = frozenset(
    {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.forkpty", "subprocess.Popen",
     "pickle.find_class", "socket.connect", "socket.bind"}
)  # fmt: skip
"""Audit events that nothing harmful may bring about (https://docs.python.org/3/library/audit_events.html)."""

READER = "everloop.model.foreign_trial"
"""The module that reads a file in a process of its own first; what reads it after that is watched."""

WROTE = frozenset({"os.remove", "os.rename", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.truncate"})


@dataclass(frozen=True)
class Act:
    """Something that a loader did and may not.

    Attributes:
        event: The audit event.
        what: With what, in short.
    """

    event: str
    what: str


@dataclass(frozen=True)
class Limits:
    """What a refusal may take.

    Attributes:
        bytes: How much more memory than before, at its highest.
        seconds: How long this process and its children may compute.
        wait: How long it may take by the clock; then it is ended.
    """

    bytes: int = 512 * 2**20
    seconds: float = 20.0
    wait: float = 120.0


@dataclass(frozen=True)
class Verdict:
    """What a loader did with one package or file.

    Attributes:
        refused: Whether it refused it by an error of ours.
        message: What it said, with place and hint.
        bytes: How much memory it took beyond what it held before.
        seconds: How long it computed.
        acts: What it did and may not.
    """

    refused: bool
    message: str
    bytes: int
    seconds: float
    acts: tuple[Act, ...]


def watch(
    door: str, paths: Mapping[str, Path], scratch: Path, limits: Limits = Limits()
) -> dict[str, Verdict]:
    """Gives paths to a loader one after another, in a process that is watched.

    Args:
        door: Where the loader is, `module:function` or `file.py:function`; it is called with a path
            and a folder that it may write to, and raises an `EverloopError` to refuse.
        paths: A name for each package or file -> where it is.
        scratch: The folder that it may write to.
        limits: After its `wait` a loader is ended; so are all that come after it.

    Returns:
        For each name that was come to, what happened.
    """
    work = {"door": door, "scratch": str(scratch), "paths": {name: str(path) for name, path in paths.items()},
            "seconds": limits.wait}  # fmt: skip
    environment = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(scratch),
    }
    command = [sys.executable, "-m", "everloop.testing.malicious.watched"]
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(  # noqa: S603  (this Python, this package)
            command, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            _, errors = process.communicate(json.dumps(work))
        said.seek(0)
        found = {line["name"]: _verdict(line) for line in map(json.loads, said)}
    if process.returncode and len(found) < len(paths):
        came_to = next(name for name in paths if name not in found)
        told = f"the process ended with {process.returncode}: {errors[-2000:]}"
        found[came_to] = Verdict(False, told, 0, 0.0, (Act("process.end", str(process.returncode)),))
    return found


def fault_of(verdict: Verdict | None, named: str, limits: Limits) -> str:
    """Says what is wrong with a verdict on what should have been refused by name; nothing if well."""
    if verdict is None:
        return "it was not come to, since one before it took the process down"
    wrong = (
        (bool(verdict.acts), f"it did {verdict.acts}: {verdict.message}"),
        (not verdict.refused, f"not refused: {verdict.message}"),
        (named not in verdict.message, f"{named} is not named: {verdict.message}"),
        (verdict.bytes > limits.bytes, f"it took {verdict.bytes / 2**20:.0f} MiB"),
        (verdict.seconds > limits.seconds, f"it took {verdict.seconds:.1f} s"),
    )
    return next((told for holds, told in wrong if holds), "")


def _verdict(line: dict[str, Any]) -> Verdict:
    acts = tuple(Act(event, what) for event, what in line["acts"])
    return Verdict(line["refused"], line["message"], line["bytes"], line["seconds"], acts)


class Watcher:
    """Notes what happens in this process from now on, as long as it is told to look.

    Args:
        scratch: The folder that may be written to.
    """

    def __init__(self, scratch: str) -> None:
        self.scratch = os.path.realpath(scratch)
        self.acts: list[tuple[str, str]] = []
        self.looks = False
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: Sequence[Any]) -> None:
        if not self.looks:
            return
        if (event in RAN and not _our_reader(event, arguments)) or (
            event in WROTE and self._outside(_whole(arguments))
        ):
            self.acts.append((event, repr(arguments)[:300]))
        elif event == "open" and self._writes(arguments) and self._outside(arguments[0]):
            self.acts.append((event, repr(arguments[0])[:300]))

    def _writes(self, arguments: Sequence[Any]) -> bool:
        _, mode, flags = arguments
        if isinstance(mode, str):
            return any(letter in mode for letter in "wax+")
        return bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

    def _outside(self, path: Any) -> bool:
        if isinstance(path, int) or path == os.devnull:
            return False
        real = os.path.realpath(os.fsdecode(path))
        return real != self.scratch and not real.startswith(self.scratch + os.sep)


def _our_reader(event: str, arguments: Sequence[Any]) -> bool:
    return event == "subprocess.Popen" and list(arguments[1][:3]) == [sys.executable, "-m", READER]


def _whole(arguments: Sequence[Any]) -> Any:
    """Gives the path of an act, which may be stated from an opened folder on."""
    path, folder = arguments[0], arguments[-1]
    if isinstance(folder, int) and folder > 0 and isinstance(path, str):
        return str(Path(f"/proc/self/fd/{folder}").readlink() / path)
    return path


def peak_bytes(*, again: bool = False) -> int:
    """Gives the highest memory that this process has held, or with `again` begins to count anew."""
    if again:
        Path("/proc/self/clear_refs").write_text("5")
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def computed_seconds() -> float:
    """Gives how long this process and its children have computed; others on the machine do not count."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def judge(load: Callable[[Path, Path], object], path: Path, watcher: Watcher) -> dict[str, Any]:
    """Calls a loader once and tells what it did."""
    from everloop.core.errors import EverloopError

    before, start = peak_bytes(again=True), computed_seconds()
    refused, message = False, "it was loaded"
    watcher.acts, watcher.looks = [], True
    try:
        load(path, Path(watcher.scratch))
    except EverloopError as error:
        refused, message = True, f"{error} {error.place or ''} {error.hint or ''}"
    except BaseException as error:  # noqa: BLE001  (whatever else comes out is no refusal)
        message = f"{type(error).__module__}.{type(error).__qualname__}: {error}"
    finally:
        watcher.looks = False
    seconds = computed_seconds() - start
    return {"refused": refused, "message": message[:2000], "bytes": peak_bytes() - before,
            "seconds": seconds, "acts": watcher.acts}  # fmt: skip
