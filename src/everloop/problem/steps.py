"""What the engine runs for the problem phase."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from everloop.core.files import write_file
from everloop.core.tasks import TASKS
from everloop.core.values import to_jsonable
from everloop.problem.frame import build_frame
from everloop.problem.quick_look import look_quickly
from everloop.problem.quick_model import labelled_rows, measured_metric
from everloop.problem.sufficiency import judge_labels
from everloop.spec import CleanSpec, ProblemSpec
from everloop.spec.goal import ValueSpec
from everloop.table.stored import StoredTable
from everloop.table.sufficiency import SUFFICIENCY_FILE, Sufficiency
from everloop.table.volume import rows_per_day

if TYPE_CHECKING:
    from pathlib import Path


def frame_step(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> dict[str, Any]:
    """Resolves the problem on a snapshot and judges its labels.

    Args:
        folder: Where `frame.json`, `sufficiency.json` and what a quick model found are written.
        settings: `problem`, the file's part; `seed`; `judge_labels`, False where nobody asks whether more
            labels would help, which no decision rests on; `clean`, what `data.clean` says of columns that are
            left out, where it says anything; `value`, the prices, where they have a say in the metric.
        inputs: `snapshot`, with the rows in `table.parquet`.
    """
    rows = StoredTable.open(inputs["snapshot"] / "table.parquet")
    clean = CleanSpec.model_validate(settings.get("clean", {}))
    problem = ProblemSpec.model_validate(settings["problem"])
    stated = settings.get("value")
    frame = build_frame(rows, problem, clean, None if stated is None else ValueSpec.model_validate(stated))
    required = problem.require.get(measured_metric(frame))
    if settings.get("judge_labels", True) or not TASKS[frame.task].supervised:
        sufficiency = judge_labels(rows, frame, seed=settings["seed"], required=required)
    else:
        sufficiency = Sufficiency("unclear", "not asked", frame.metric, len(labelled_rows(rows, frame)))
    look = look_quickly(rows, frame, seed=settings["seed"])
    if look is not None:
        look.save(folder)
    facts = {
        "frame": frame.to_dict(),
        "sufficiency": sufficiency.to_dict(),
        "quick_look": look.to_dict() if look else None,
        "rows_per_day": rows_per_day(rows, frame.time),
    }
    frame.save(folder)
    write_file(folder / SUFFICIENCY_FILE, json.dumps(to_jsonable(sufficiency.to_dict()), indent=2).encode())
    return facts
