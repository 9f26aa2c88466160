"""The model server's processes: started, watched, started again when they die, stopped by their ids.

The server imports no training library and no database; so it is a process of its own, told what to
serve by a settings file, and goes on serving while the loop trains.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from everloop.core.errors import OutsideFault, RecordBusy
from everloop.core.files import storage_faults, write_file
from everloop.core.progress import Event, Progress, silent

if TYPE_CHECKING:
    from everloop.runtime.service.settings import ServerSettings

_LOOK_SECONDS = 0.1
_START_SECONDS = 60.0
_LONGEST_PAUSE = 30.0
# A server that lived so long is well: the next pause before a restart is the shortest again.
_WELL_SECONDS = 60.0
_LAST_LINES = 5


class ServerFailed(OutsideFault):
    """A server process ended before it was ready; the message is what it said."""

    code = "server-start"


def command_of(settings_path: Path) -> list[str]:
    """Gives the command that serves from a settings file, in this Python."""
    return [sys.executable, "-m", "everloop.runtime.server", str(settings_path)]


def environment() -> dict[str, str]:
    """Gives the environment that a server runs in: this one, with what keeps its memory small.

    A server computes on one thread; memory pools for many would stay with it for nothing.
    """
    return {**os.environ, "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass
class _Worker:
    """One server process and what it is told."""

    settings: ServerSettings
    settings_path: Path
    output_path: Path
    ready_path: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    due: float | None = None


class Servers:
    """The server processes of one lifecycle or several, one for each worker.

    Args:
        settings: What they are told; worker name, port sharing and the ready file are filled in.
        workers: How many.
        folder: Where settings, output and process ids are kept.
        progress: Who is told when one dies and comes back.
    """

    def __init__(
        self, settings: ServerSettings, workers: int, folder: Path, progress: Progress = silent
    ) -> None:
        self._folder, self._progress = folder, progress
        shared = workers > 1
        self._workers = [
            _Worker(
                msgspec.structs.replace(
                    settings.for_worker(str(number)),
                    reuse_port=shared,
                    ready_file=str(ready_path(folder, number)),
                ),
                folder / f"server-{number}.json",
                folder / f"server-{number}.log",
                ready_path(folder, number),
            )
            for number in range(workers)
        ]
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self.url = ""

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that were started."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    def start(self) -> str:
        """Starts all, and watches them from then on.

        Returns:
            The URL that they listen at.

        Raises:
            ServerFailed: When one ends before it is ready.
        """
        try:
            for worker in self._workers:
                if self.url:
                    self._keep_port(worker)
                self._launch(worker)
                self.url = self._await_ready(worker)
                # A restart listens where the first start did, so that clients find it again.
                self._keep_port(worker)
        except BaseException:
            self.stop()
            raise
        self._watcher = threading.Thread(target=self._watch, name="server-watcher", daemon=True)
        self._watcher.start()
        return self.url

    def wait(self) -> None:
        """Waits for ever, while the processes are looked after."""
        while True:
            self._stopping.wait(60.0)

    def stop(self) -> None:
        """Tells all to end, waits until they have drained, and ends by force what does not."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        alive = [worker for worker in self._workers if worker.process is not None]
        for worker in alive:
            _signal(worker.process, signal.SIGTERM)
        try:
            for worker in alive:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    _process(worker).wait(worker.settings.drain_seconds + 5.0)
        finally:
            for worker in alive:
                if _process(worker).poll() is None:
                    _signal(worker.process, signal.SIGKILL)
                    _process(worker).wait()
            pids_path(self._folder).unlink(missing_ok=True)

    def _launch(self, worker: _Worker) -> None:
        worker.ready_path.unlink(missing_ok=True)
        worker.settings.save(worker.settings_path)
        with storage_faults(worker.output_path), worker.output_path.open("ab") as output:
            # A session of its own: Ctrl-C reaches this process alone, which then stops the server.
            worker.process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
                command_of(worker.settings_path),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=environment(),
            )
        worker.started, worker.due = time.perf_counter(), None
        write_file(pids_path(self._folder), json.dumps({"pids": self.pids}).encode())

    def _await_ready(self, worker: _Worker) -> str:
        end = time.perf_counter() + _START_SECONDS
        while time.perf_counter() < end:
            about = read_ready(worker.ready_path)
            if about is not None:
                return str(about["url"])
            if _process(worker).poll() is not None:
                break
            time.sleep(_LOOK_SECONDS / 2)
        raise ServerFailed(f"The server did not start: {_said(worker)}", place=str(worker.output_path))

    def _keep_port(self, worker: _Worker) -> None:
        port = int(self.url.rpartition(":")[2])
        worker.settings = msgspec.structs.replace(worker.settings, port=port)

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            for worker in self._workers:
                try:
                    self._look_after(worker)
                except Exception as error:  # noqa: BLE001  (the watch must outlive a failed restart)
                    self._notice(f"the server cannot be started again: {error}")
                    worker.due = time.perf_counter() + _LONGEST_PAUSE

    def _look_after(self, worker: _Worker) -> None:
        now = time.perf_counter()
        if worker.due is not None:
            if now >= worker.due:
                self._launch(worker)
                self._notice(f"server {worker.settings.worker} is started again")
            return
        status = _process(worker).poll()
        if status is None:
            return
        worker.deaths = 1 if now - worker.started >= _WELL_SECONDS else worker.deaths + 1
        pause = min(_LONGEST_PAUSE, 0.25 * 2.0 ** (worker.deaths - 1))
        worker.due = now + pause
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        self._notice(f"server {worker.settings.worker} {how}; it is started again in {pause:g} s")

    def _notice(self, message: str) -> None:
        self._progress(Event("deploy", message, kind="notice"))


def ready_path(folder: Path, worker: int = 0) -> Path:
    """Where a running server says its URL and process id."""
    return folder / f"server-{worker}.ready.json"


def pids_path(folder: Path) -> Path:
    """Where the ids of the processes that `Servers` started are kept."""
    return folder / "servers.json"


def read_ready(path: Path) -> dict[str, Any] | None:
    """Gives what a server that is ready wrote, or None."""
    try:
        about: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return about


def clear_leftovers(folder: Path, log_folders: Sequence[Path], progress: Progress = silent) -> None:
    """Stops servers of a killed supervisor that still write the prediction logs.

    Whoever holds a worker's lock on the log is alive, and the lock's file says its process id; only where
    that id is one that `Servers` wrote down is it stopped.

    Raises:
        RecordBusy: When a server that was started in another way writes the log.
    """
    ours = set((read_ready(pids_path(folder)) or {}).get("pids", []))
    for log_folder in log_folders:
        for lock in sorted(log_folder.glob("worker-*.lock")):
            holder = _holder(lock)
            if holder is None:
                continue
            if holder not in ours:
                raise RecordBusy(
                    f"Process {holder} serves already and writes the prediction log {log_folder}.",
                    hint=f"stop it first: kill {holder}",
                )
            progress(Event("deploy", f"stopping the server {holder} that was left running", kind="notice"))
            _end(holder, lock)
    pids_path(folder).unlink(missing_ok=True)


def _end(pid: int, lock: Path) -> None:
    for number, seconds in ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if _holder(lock) is None:
                return
            time.sleep(_LOOK_SECONDS / 2)
    raise RecordBusy(f"Process {pid} does not end.", hint=f"kill -9 {pid}")


def _holder(lock: Path) -> int | None:
    """Gives the id of the process that holds a worker's lock, or None."""
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read(32).strip()
            return int(text) if text.isdigit() else None
    return None


def _process(worker: _Worker) -> subprocess.Popen[bytes]:
    if worker.process is None:
        raise ServerFailed(f"Server {worker.settings.worker} was not started.")
    return worker.process


def _signal(process: subprocess.Popen[bytes] | None, number: int) -> None:
    if process is not None and process.poll() is None:
        process.send_signal(number)


def _said(worker: _Worker) -> str:
    lines = worker.output_path.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]
    return " ".join(line.removeprefix("error: ") for line in lines) or "it said nothing"
