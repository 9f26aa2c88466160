"""A real PostgreSQL for tests: a server of one's own in a temporary folder, on a free loopback port.

It needs the server's programs (`apt-get install postgresql`). They refuse to run as root; then the
user ``postgres`` or ``nobody`` runs them.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from everloop.core.errors import NotFound, OutsideFault
from everloop.core.extras import require

_PROGRAMS = ("initdb", "postgres", "pg_isready")
_USERS = ("postgres", "nobody")
_START_SECONDS = 20.0


def programs() -> Path | None:
    """Finds the folder of PostgreSQL's programs, the newest; nothing where there is none."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    debian = (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    folders += sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    whole = (folder for folder in folders if all((folder / name).exists() for name in _PROGRAMS))
    return next(whole, None)


class PostgresServer:
    """A PostgreSQL server that lives as long as its ``with`` block.

    Args:
        settings: Further settings of the server, such as ``{"max_connections": 20}``.

    Raises:
        NotFound: When PostgreSQL is not installed.
        OutsideFault: When it does not start.
    """

    def __init__(self, **settings: Any) -> None:
        folder = programs()
        if folder is None:
            raise NotFound("PostgreSQL's server is not installed.", hint="apt-get install postgresql")
        self._programs = folder
        self._settings = settings
        self._user = _unprivileged()
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="everloop-postgres-"))
        self.port = _free_port()

    def __enter__(self) -> Self:
        """Makes the server's files and starts it."""
        try:
            if self._user:
                os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
            made = subprocess.run(  # noqa: S603  (PostgreSQL's own program)
                [
                    self._programs / "initdb",
                    *"-D data -U everloop -A trust -E UTF8 --locale=C --no-sync".split(),
                ],
                capture_output=True,
                check=False,
                **self._as_user(),
            )
            if made.returncode:
                raise OutsideFault(
                    f"PostgreSQL's initdb failed: {made.stderr.decode(errors='replace').strip()}"
                )
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops the server and removes its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            **self._settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        start = time.perf_counter()
        while True:
            if self._process is None:
                self._process = self._spawned(options)
            if self._answers():
                return
            if self._process.poll() is not None:  # the processes of a killed one may be about to end
                self._process = None
            if time.perf_counter() - start > _START_SECONDS:
                raise OutsideFault(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stops the server at once, in order: open transactions go back."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kills the server as a power cut would: its processes end where they are."""
        self._end(signal.SIGKILL)

    def url(self, database: str = "postgres") -> str:
        """Gives the address of a database."""
        return f"postgresql://everloop@127.0.0.1:{self.port}/{database}"

    def new_database(self, options: str = "") -> str:
        """Makes an empty database, with further options of ``CREATE DATABASE``, and gives its address."""
        psycopg = require("psycopg", extra="postgresql")
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def clear(self, url: str) -> str:
        """Empties a database, which is faster than making another one; gives its address back."""
        psycopg = require("psycopg", extra="postgresql")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        return url

    def _spawned(self, options: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603  (PostgreSQL's own program)
                [self._programs / "postgres", "-D", "data", *options],
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the tests is not for the server
                **self._as_user(),
            )

    def _answers(self) -> bool:
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0  # noqa: S603  (PostgreSQL's own program)

    def _end(self, sign: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(sign)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _as_user(self) -> dict[str, Any]:
        told: dict[str, Any] = {"cwd": self.folder}
        if self._user:
            told |= {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return told


def _unprivileged() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NotFound(f"PostgreSQL refuses to run as root, and there is no user {' or '.join(_USERS)}.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
