"""Writes the figures of a run as a page: `python -m benchmarks.render FILE.json [PAGE.md]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.figures import Report
from benchmarks.timing import ROOT

PAGE = ROOT / "docs" / "benchmarks-results.md"
HEADINGS = ("what", "median", "lowest to highest", "beside", "its median", "ratio", "goal", "")


def page(document: dict[str, Any]) -> str:
    """Gives the page of what `python -m benchmarks --json` wrote."""
    machine = document["machine"]
    lines = [
        "# Benchmark results",
        "",
        "<!-- Made by `python -m benchmarks.render` from a run's JSON. -->",
        "",
        f"Measured {document['at'][:10]} on {machine['cores']} cores ({machine['system']}, "
        f"{machine['architecture']}), Python {machine['python']}"
        + (", with small sizes (`--quick`)." if document["quick"] else "."),
        "`docs/benchmarks.md` says what each compares.",
    ]
    for name, found in document["benchmarks"].items():
        report = Report.from_dict(found)
        rows = [HEADINGS, ("---",) * len(HEADINGS), *(one.cells() for one in report.figures)]
        lines += ["", f"## {name}", "", f"Goal: {found['goal']}.", ""]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        lines += [line for note in report.notes for line in ("", f"{note[:1].upper()}{note[1:]}.")]
    return "\n".join(lines) + "\n"


def main(source: str, target: str | None = None) -> None:
    """Writes the page."""
    Path(target or PAGE).write_text(page(json.loads(Path(source).read_text())))


if __name__ == "__main__":
    main(*sys.argv[1:])
