"""A real MQTT broker for tests: mosquitto; it needs `apt-get install mosquitto`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from everloop.core.errors import NotFound
from everloop.testing.server_process import ServerProcess, free_port

_PLACES = ("/usr/sbin/mosquitto",)


class MqttBroker(ServerProcess):
    """A broker that lives as long as its ``with`` block.

    Args:
        lines: Further lines of its configuration.

    Raises:
        NotFound: When mosquitto is not installed.
        OutsideFault: When it does not start.
    """

    def __init__(self, *lines: str) -> None:
        found = [shutil.which("mosquitto"), *(place for place in _PLACES if Path(place).exists())]
        program = next((place for place in found if place), None)
        if program is None:
            raise NotFound("The MQTT broker mosquitto is not installed.", hint="apt-get install mosquitto")
        port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="everloop-mqtt-"))
        settings = self.folder / "mosquitto.conf"
        anonymous = () if any("password_file" in line for line in lines) else ("allow_anonymous true",)
        settings.write_text("\n".join([f"listener {port} 127.0.0.1", *anonymous, *lines, ""]))
        super().__init__("mosquitto", port, [program, "-c", str(settings)])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self.folder, ignore_errors=True)
