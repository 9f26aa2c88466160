"""The engine that runs graphs, which is told to tell nobody."""

from __future__ import annotations

import os
from typing import Any

SILENCE = "ORT_DISABLE_TELEMETRY"
"""The variable that onnxruntime looks at when it is loaded.

Its newer builds otherwise keep an id of the machine and events of each session below the home folder, and
send them to its maker.
"""


def graph_engine() -> Any:
    """Gives onnxruntime, silenced before it is loaded; who wants its reports sets the variable to 0."""
    os.environ.setdefault(SILENCE, "1")
    import onnxruntime

    return onnxruntime
