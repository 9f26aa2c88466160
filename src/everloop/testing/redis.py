"""A real Redis for tests, which keeps nothing; it needs `apt-get install redis-server`."""

from __future__ import annotations

import shutil

from everloop.core.errors import NotFound
from everloop.testing.server_process import ServerProcess, free_port


class RedisServer(ServerProcess):
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
        port = free_port()
        places = ["--bind", "127.0.0.1", "--port", str(port)]
        super().__init__("Redis", port, [program, *places, "--save", "", "--appendonly", "no", *options])

    def url(self, database: int = 0) -> str:
        """Gives the address of one of its databases."""
        return f"redis://{self.address}/{database}"
