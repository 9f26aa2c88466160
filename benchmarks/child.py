"""Runs a command and writes the most memory that it held: `child.py USAGE.json COMMAND...`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def main(told: str, *command: str) -> int:
    """Runs the command; gives its exit status."""
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    Path(told).write_text(json.dumps({"peak_bytes": usage.ru_maxrss * unit}))
    return child.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
