"""What the engine runs for the problem phase."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from everloop.core.files import write_file
from everloop.core.values import to_jsonable
from everloop.problem.frame import build_frame
from everloop.problem.sufficiency import judge_labels
from everloop.spec import CleanSpec, ProblemSpec
from everloop.table.stored import StoredTable

if TYPE_CHECKING:
    from pathlib import Path

SUFFICIENCY_FILE = "sufficiency.json"


def frame_step(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> dict[str, Any]:
    """Resolves the problem on a snapshot and judges its labels.

    Args:
        folder: Where `frame.json` and `sufficiency.json` are written.
        settings: `problem`, the file's part; `seed`; `clean`, what `data.clean` says of columns that are
            left out, where it says anything.
        inputs: `snapshot`, with the rows in `table.parquet`.
    """
    rows = StoredTable.open(inputs["snapshot"] / "table.parquet")
    clean = CleanSpec.model_validate(settings.get("clean", {}))
    frame = build_frame(rows, ProblemSpec.model_validate(settings["problem"]), clean)
    sufficiency = judge_labels(rows, frame, seed=settings["seed"])
    facts = {"frame": frame.to_dict(), "sufficiency": sufficiency.to_dict()}
    frame.save(folder)
    write_file(folder / SUFFICIENCY_FILE, json.dumps(to_jsonable(sufficiency.to_dict()), indent=2).encode())
    return facts
