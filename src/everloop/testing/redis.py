"""A real Redis for tests: a server of one's own on a free loopback port, which keeps nothing.

It needs the server's program (`apt-get install redis-server`).
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Self

from everloop.core.errors import NotFound, OutsideFault

_START_SECONDS = 10.0


class RedisServer:
    """A Redis server that lives as long as its ``with`` block.

    Args:
        options: Further options of the server's command line, such as ``("--requirepass", "x")``.

    Raises:
        NotFound: When Redis is not installed.
        OutsideFault: When it does not start.
    """

    def __init__(self, *options: str) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise NotFound("Redis's server is not installed.", hint="apt-get install redis-server")
        self._folder = tempfile.TemporaryDirectory(prefix="everloop-redis-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        places = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", self._folder.name]
        self._command = [program, *places, "--save", "", "--appendonly", "no", *options]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def url(self, database: int = 0) -> str:
        """Gives the address of one of its databases."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts the server and waits until it listens.

        Raises:
            OutsideFault: When it does not within ten seconds.
        """
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)  # noqa: S603  (found on the path)
        end = time.perf_counter() + _START_SECONDS
        while time.perf_counter() < end:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        self.stop()
        raise OutsideFault(f"Redis did not start on port {self.port}.")

    def stop(self) -> None:
        """Stops it; what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
