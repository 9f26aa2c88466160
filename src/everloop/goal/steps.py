"""What the engine runs for the goal phase."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from everloop.core.files import write_file
from everloop.goal.brief import write_brief
from everloop.spec import GoalSpec
from everloop.spec.frame import Frame
from everloop.table.quick_look import QuickLook
from everloop.table.stored import StoredTable
from everloop.table.sufficiency import SUFFICIENCY_FILE, Sufficiency

if TYPE_CHECKING:
    from pathlib import Path

BRIEF_FILE = "brief.json"


def brief_step(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> dict[str, Any]:
    """Writes the brief.

    Args:
        folder: Where `brief.json` is written.
        settings: `goal`, the file's part; `training_seconds`, the search's budget, or None.
        inputs: `snapshot`, with the rows in `table.parquet`; `frame`, with `frame.json` and what a quick
            model found.
    """
    frame = Frame.load(inputs["frame"])
    rows = StoredTable.open(inputs["snapshot"] / "table.parquet")
    brief = write_brief(
        GoalSpec.model_validate(settings["goal"]),
        rows,
        frame,
        look=QuickLook.load(inputs["frame"]),
        labels=Sufficiency.from_dict(json.loads((inputs["frame"] / SUFFICIENCY_FILE).read_bytes())),
        training_seconds=settings["training_seconds"],
    )
    facts = brief.to_dict()
    write_file(folder / BRIEF_FILE, json.dumps(facts, indent=2).encode())
    return facts
