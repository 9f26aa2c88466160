"""Steps that connect phases: what none of them could do alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.clock import parse_time
from everloop.core.files import write_file
from everloop.core.values import to_jsonable
from everloop.deploy.candidate import Candidate
from everloop.deploy.gate import Question, judge
from everloop.deploy.release import PACKAGE_FOLDER
from everloop.measure.value import decision_values
from everloop.model.packaging import write_package
from everloop.model.trained import Trained
from everloop.spec import LifecycleSpec
from everloop.spec.frame import Frame
from everloop.table.contract import load_contract
from everloop.table.dataset import Dataset
from everloop.table.prices import Prices
from everloop.table.schema import schema_of
from everloop.table.today import today_decisions

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

CONTRACT_FILE = "contract.yaml"
GATE_FILE = "gate.json"
REFERENCE_FILE = "reference.json"


def package_step(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> dict[str, Any]:
    """Compiles what was trained into a package and proves it equal.

    Args:
        folder: Gets the folder `package`.
        settings: `lifecycle`, `version`, `created`, `lineage`, `seed`.
        inputs: `trained`, `dataset`, `contract`, `reference`.

    Returns:
        The package's digest, its size and its parity certificate.
    """
    trained = Trained.load(inputs["trained"])
    manifest = write_package(
        trained,
        folder / PACKAGE_FOLDER,
        lifecycle=settings["lifecycle"],
        version=settings["version"],
        created=parse_time(settings["created"]),
        sample=held_out(Dataset.load(inputs["dataset"])),
        contract=load_contract(inputs["contract"] / CONTRACT_FILE),
        reference=(inputs["reference"] / REFERENCE_FILE).read_bytes(),
        lineage=settings["lineage"],
        seed=settings["seed"],
    )
    certificate = json.loads((folder / PACKAGE_FOLDER / "parity.json").read_bytes())
    files = [path for path in (folder / PACKAGE_FOLDER).iterdir() if path.is_file()]
    return {
        "version": manifest.version,
        "files": manifest.files,
        "bytes": sum(path.stat().st_size for path in files),
        "parity": certificate,
    }


def gate_step(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> dict[str, Any]:
    """Holds a package against all that its lifecycle requires, on the held-out rows.

    Args:
        folder: Gets `gate.json`.
        settings: `spec`, the lifecycle file; `champion`, the folder of the package that serves, or None.
        inputs: `package`, `dataset`, `frame`, `contract`.

    Returns:
        The gate's result.
    """
    spec = LifecycleSpec.model_validate(settings["spec"])
    frame = Frame.load(inputs["frame"])
    rows = held_out(Dataset.load(inputs["dataset"]))
    prices = prices_of(spec, rows)
    serving = settings["champion"]
    result = judge(
        Question(
            candidate=Candidate(inputs["package"] / PACKAGE_FOLDER, rows, frame, prices),
            champion=Candidate(Path(serving), rows, frame, prices) if serving else None,
            today=values_today(spec, rows, frame, prices),
            contract=load_contract(inputs["contract"] / CONTRACT_FILE),
            spec=spec,
        )
    )
    facts: dict[str, Any] = to_jsonable(result.to_dict())
    write_file(folder / GATE_FILE, json.dumps(facts, indent=2).encode())
    return facts


def held_out(dataset: Dataset) -> pl.DataFrame:
    """Gives the rows that nothing was fitted on or chosen by: the test part, else the validation part."""
    return dataset.table("test" if "test" in dataset.counts else "validation")


def prices_of(spec: LifecycleSpec, rows: pl.DataFrame) -> Prices | None:
    """Gives what decisions are worth, for a table's columns; None where they have no price."""
    return None if spec.goal.value is None else Prices.of(spec.goal.value, schema_of(rows).types)


def values_today(
    spec: LifecycleSpec, rows: pl.DataFrame, frame: Frame, prices: Prices | None
) -> NDArray[np.float64] | None:
    """Gives what today's decisions are worth on labelled rows, (rows,); None where that is not stated."""
    if prices is None or spec.goal.today is None or frame.task != "binary":
        return None
    from everloop.table.labels import class_indices

    positive = class_indices(rows[frame.target], frame.classes) == 1.0
    decided = today_decisions(spec.goal.today, rows, frame)
    return decision_values(positive, decided, prices.of_table(rows))
