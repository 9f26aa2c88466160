"""A server process of ours that a benchmark loads, kills and starts again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from everloop.loop.serving import command_of, environment
from everloop.runtime.server import ServerSettings

_START_SECONDS = 120.0


class StressedServer:
    """A server on a folder that `serving_model.make_deployment` made; a context manager.

    Args:
        folder: Where the deployment is; log, settings and output are written beside it.
        settings: More of `ServerSettings`.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.log = folder / "log"
        self._ready = folder / "ready.json"
        self._path = folder / "settings.json"
        values = {"routing": str(folder / "routing.json"), "log": str(self.log), "port": 0}
        ServerSettings(**values | settings | {"ready_file": str(self._ready)}).save(self._path)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)

    def start(self) -> None:
        """Starts it and waits until it is ready."""
        self._ready.unlink(missing_ok=True)
        with (self.folder / "server.out").open("ab") as output:
            self._process = subprocess.Popen(
                command_of(self._path), stdout=output, stderr=output, env=environment()
            )
        end = time.perf_counter() + _START_SECONDS
        while not self._ready.exists():
            if self._process.poll() is not None or time.perf_counter() > end:
                raise RuntimeError(f"the server did not start: {self.said[-2000:]}")
            time.sleep(0.01)
        self.url = json.loads(self._ready.read_bytes())["url"]
        self.port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """Kills it as `kill -9` does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    @property
    def runs(self) -> bool:
        """Whether it is still there."""
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        """What it wrote, on both outputs, since the first start."""
        return (self.folder / "server.out").read_text(errors="replace")

    def bytes_now(self) -> int:
        """Gives the memory that it holds."""
        if self._process is None:
            return 0
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
