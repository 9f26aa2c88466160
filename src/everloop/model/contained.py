"""Functions that run in forked children: one that crashes, hangs or eats memory is ended and named.

A child is a fork, so what the parent holds (encoded folds, loaded libraries) is there without a copy, and
starting one takes milliseconds. It is given few threads and never touches a library whose threads did not
live through the fork (Polars is the parent's). Where there is no safe fork (macOS, Windows) functions run
in the process itself: then an exception is contained, a crash is not.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import select
import signal
import sys
import tempfile
import time
import warnings
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import EverloopError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

FORKS = sys.platform == "linux"
MEMORY_SHARE = 0.8
"""The share of the memory that is free at its start which a child may use, together with its siblings."""

LEAST_MEMORY = 2**30
"""Bytes that a child may use however little is free."""

_PARENT_DEATH_SIGNAL = 1


@dataclass(frozen=True, slots=True)
class Task:
    """Work for a child.

    Attributes:
        key: What the caller knows it by.
        function: Gives arrays and JSON-able values by name.
        seconds: After so many it is ended.
        here: Whether it may run in the process itself, where a child would cost more than it.
    """

    key: Any
    function: Callable[[], Mapping[str, Any]]
    seconds: float = float("inf")
    here: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task.

    Attributes:
        key: The task's.
        values: What the function gave; empty when it failed.
        error: Why it failed, in a sentence; None when it did not.
        seconds: How long it took.
    """

    key: Any
    values: Mapping[str, Any]
    error: str | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class _Child:
    task: Task
    pid: int
    pipe: int
    folder: Path
    started: float


class Children:
    """Runs tasks in children, at most so many at once; use it as a context manager.

    Args:
        count: How many at once.
        forks: Whether to fork; by default where that is safe.
    """

    def __init__(self, count: int, *, forks: bool = FORKS) -> None:
        self._count = max(1, count)
        self._forks = forks
        self._running: dict[int, _Child] = {}
        self._done: deque[Outcome] = deque()
        self._scratch = tempfile.TemporaryDirectory(prefix="everloop-")
        self._number = 0
        self._memory = _allowed_memory(self._count) if forks else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe, child in list(self._running.items()):
            _end(child)
            os.close(pipe)
        self._running.clear()
        self._scratch.cleanup()

    @property
    def free(self) -> bool:
        """Whether another task can be started now."""
        return len(self._running) + len(self._done) < self._count

    @property
    def busy(self) -> bool:
        """Whether an outcome is to come."""
        return bool(self._running or self._done)

    def start(self, task: Task) -> None:
        """Starts a task; wait until `free` first."""
        if task.here or not self._forks:
            self._done.append(run_here(task))
            return
        self._number += 1
        folder = Path(self._scratch.name) / f"{self._number:06d}"
        folder.mkdir()
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # The child uses no lock of another thread: it computes, writes its answer and ends.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _live(task, folder, self._memory)
        os.close(writing)
        self._running[reading] = _Child(task, pid, reading, folder, time.perf_counter())

    def wait(self) -> Outcome:
        """Waits for the next outcome."""
        while not self._done:
            now = time.perf_counter()
            left = min(child.started + child.task.seconds - now for child in self._running.values())
            timeout = None if left == float("inf") else max(0.0, left)
            ready, _, _ = select.select(list(self._running), [], [], timeout)
            for pipe in ready or self._late():
                self._done.append(self._finish(self._running.pop(pipe)))
        return self._done.popleft()

    def _late(self) -> list[int]:
        now = time.perf_counter()
        return [pipe for pipe, child in self._running.items() if now >= child.started + child.task.seconds]

    def _finish(self, child: _Child) -> Outcome:
        seconds = time.perf_counter() - child.started
        late = seconds >= child.task.seconds
        status = _end(child) if late else os.waitpid(child.pid, 0)[1]
        os.close(child.pipe)
        answer = child.folder / "answer.json"
        if late and not answer.exists():
            return Outcome(child.task.key, {}, f"out of time: ended after {seconds:.1f} s", seconds)
        if answer.exists():
            return _read(child, seconds)
        return Outcome(child.task.key, {}, self._cause(status), seconds)

    def _cause(self, status: int) -> str:
        limit = "" if self._memory is None else f" (it may use {self._memory / 2**30:.1f} GiB of memory)"
        if os.WIFSIGNALED(status):
            return f"crashed: its process was ended by {signal.Signals(os.WTERMSIG(status)).name}{limit}"
        return f"crashed: its process ended with {os.waitstatus_to_exitcode(status)}{limit}"


def run_all(tasks: Iterator[Task] | list[Task], count: int) -> list[Outcome]:
    """Runs tasks, at most `count` at once; gives their outcomes in the tasks' order."""
    waiting = list(tasks)
    found: dict[int, Outcome] = {}
    with Children(count) as children:
        numbered = deque(enumerate(waiting))
        while numbered or children.busy:
            while numbered and children.free:
                number, task = numbered.popleft()
                children.start(replace(task, key=number))
            outcome = children.wait()
            found[outcome.key] = outcome
    return [replace(found[number], key=task.key) for number, task in enumerate(waiting)]


def failure(error: Exception) -> str:
    """Names an exception in one line."""
    message = (error.message if isinstance(error, EverloopError) else str(error)).strip()
    return f"{type(error).__name__}: {message.splitlines()[0] if message else 'no message'}"


def run_here(task: Task) -> Outcome:
    """Runs a task in this process; what it raises is in its outcome."""
    start = time.perf_counter()
    try:
        values = task.function()
    except Exception as error:  # noqa: BLE001  (a learner may raise anything; the search goes on)
        return Outcome(task.key, {}, failure(error), time.perf_counter() - start)
    return Outcome(task.key, values, None, time.perf_counter() - start)


def _live(task: Task, folder: Path, memory: int | None) -> None:
    """Is a child's whole life; it never returns."""
    status = 1
    try:
        _be_a_child(memory)
        _write(folder, run_here(task))
        status = 0
    finally:
        # The parent's buffers and exit handlers are the parent's; the pipe closes with the process.
        os._exit(status)


def _be_a_child(memory: int | None) -> None:
    from threadpoolctl import threadpool_limits

    faulthandler.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    # A pool of threads does not live through a fork: a library that waits for one of its own hangs.
    threadpool_limits(limits=1)
    if memory is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    nowhere = os.open(os.devnull, os.O_WRONLY)  # what libraries print is no part of the parent's output
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _write(folder: Path, outcome: Outcome) -> None:
    plain = {}
    for name, value in outcome.values.items():
        if isinstance(value, np.ndarray):
            np.save(folder / f"{name}.npy", value, allow_pickle=False)
        else:
            plain[name] = value
    text = json.dumps({"values": plain, "error": outcome.error, "seconds": outcome.seconds})
    (folder / "answer.part").write_text(text)
    (folder / "answer.part").rename(folder / "answer.json")


def _read(child: _Child, seconds: float) -> Outcome:
    import shutil

    said = json.loads((child.folder / "answer.json").read_text())
    arrays = {path.stem: np.load(path, allow_pickle=False) for path in sorted(child.folder.glob("*.npy"))}
    shutil.rmtree(child.folder)
    return Outcome(child.task.key, {**said["values"], **arrays}, said["error"], seconds)


def _end(child: _Child) -> int:
    os.kill(child.pid, signal.SIGKILL)
    return os.waitpid(child.pid, 0)[1]


def _allowed_memory(count: int) -> int | None:
    """Gives how much memory a child may have: what the parent has now, and its share of what is free."""
    try:
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        own = int(status["VmData"].split()[0]) * 1024
        return own + max(LEAST_MEMORY, int(MEMORY_SHARE * _free_memory() / count))
    except (OSError, KeyError, ValueError):
        return None


def _free_memory() -> float:
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and (text := limit.read_text().strip()) != "max":
        return min(free, float(text) - float(used.read_text()))
    return free
