"""Our server, told by signals to leave out what monitoring needs of it, and to do it again.

After SIGUSR1 nothing is logged and nothing is counted; after SIGUSR2 it is the server as it ships.
"""

import signal
import sys
from pathlib import Path
from typing import Any

from everloop.runtime.server import ServerSettings, serve
from everloop.runtime.service.keeping import Keeping
from everloop.runtime.service.metrics import Answers, Metrics

PARTS: tuple[tuple[type, str], ...] = (
    (Keeping, "answer"),
    (Keeping, "write"),
    (Metrics, "add"),
    (Metrics, "put"),
    (Answers, "took"),
)
SHIPPED = tuple(getattr(owner, name) for owner, name in PARTS)


def _nothing(*_: Any, **__: Any) -> int:
    return 0


def unwatch(*_: Any) -> None:
    """Puts nothing in the place of each part."""
    for owner, name in PARTS:
        setattr(owner, name, _nothing)


def watch(*_: Any) -> None:
    """Puts each part back."""
    for (owner, name), part in zip(PARTS, SHIPPED, strict=True):
        setattr(owner, name, part)


folder, port = Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGUSR1, unwatch)
signal.signal(signal.SIGUSR2, watch)
serve(ServerSettings(routing=str(folder / "routing.json"), log=str(folder / f"switched-{port}"), port=port))
