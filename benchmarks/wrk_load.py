"""The load generator `wrk` as benchmarks of a server use it: rows in turn over connections that stay open."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ABSENT = "the load generator is not installed: apt-get install wrk"
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_SCRIPT = """
local bodies = {{}}
for line in io.lines("{bodies}") do bodies[#bodies + 1] = line end
local turn = 0
request = function()
  turn = turn % #bodies + 1
  return wrk.format("POST", "{path}", {{["Content-Type"] = "application/json"}}, bodies[turn])
end
"""


@dataclass(frozen=True)
class Load:
    """What one run of the load found: requests a second, and latencies in milliseconds."""

    rate: float
    median: float
    p99: float
    failed: int


def is_installed() -> bool:
    """Says whether there is a load generator."""
    return shutil.which("wrk") is not None


def write_script(place: Path, path: str, bodies: Iterable[Any]) -> Path:
    """Writes what is asked for.

    Args:
        place: The script's file, without its ending.
        path: The route, with its query.
        bodies: What is sent, in turn, as what JSON can carry.

    Returns:
        The script.
    """
    sent = place.with_suffix(".bodies")
    sent.write_text("\n".join(map(json.dumps, bodies)) + "\n")
    script = place.with_suffix(".lua")
    script.write_text(_SCRIPT.format(bodies=sent, path=path))
    return script


def load(url: str, script: Path, connections: int, seconds: int) -> Load:
    """Loads a server from the second core."""
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "30", "--latency"]
    words += ["-s", str(script), url]
    pinned = ["taskset", "-c", "1", *words] if shutil.which("taskset") else words
    printed = subprocess.run(pinned, capture_output=True, text=True, check=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    return Load(
        float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1]),  # type: ignore[index]
        _milliseconds(printed, "50%"),
        _milliseconds(printed, "99%"),
        int(failed[1]) if failed else 0,
    )


def _milliseconds(printed: str, percentile: str) -> float:
    found = re.search(rf"\n\s+{percentile}\s+([\d.]+)(us|ms|s)\n", printed)
    return float(found[1]) * _UNITS[found[2]] if found else math.nan  # none was answered in that time
