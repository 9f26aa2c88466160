"""A real server for tests: a process of one's own, on a free loopback port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from everloop.core.errors import OutsideFault

_START_SECONDS = 10.0


def free_port() -> int:
    """Finds a port of the loopback interface that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class ServerProcess:
    """A server that lives as long as its ``with`` block.

    Args:
        name: What is started, for messages.
        port: The port that it is told to listen on.
        command: Its program and options.
        environment: Further environment variables.

    Raises:
        OutsideFault: When it does not listen within ten seconds.
    """

    def __init__(
        self, name: str, port: int, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.port = port
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the server and waits until it listens."""
        self._process = subprocess.Popen(  # noqa: S603  (found where packages install their programs)
            self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.perf_counter() + _START_SECONDS
        while time.perf_counter() < end and self._process.poll() is None:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        self.stop()
        raise OutsideFault(f"{self.name} did not start on port {self.port}.")

    def pause(self) -> None:
        """Has it do nothing, as a machine that hangs: connections stay, answers do not come."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Has it go on after `pause`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kills it; nothing happens where it is not running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
