"""The flights example, copied and prepared for a benchmark."""

from __future__ import annotations

import shutil
from pathlib import Path

import everloop

EXAMPLE = Path(everloop.__path__[0]) / "cli" / "examples" / "flights"


def prepared(folder: Path, budget: str | None = None) -> Path:
    """Copies the example and writes its tables; a budget replaces the file's own."""
    from everloop.cli.examples.flights.prepare import prepare

    shutil.copytree(EXAMPLE, folder)
    prepare(folder)
    if budget is not None:
        path = folder / "everloop.yaml"
        lines = path.read_text().splitlines()
        changed = [f"  budget: {budget}" if line.startswith("  budget:") else line for line in lines]
        path.write_text("\n".join(changed) + "\n")
    return folder
