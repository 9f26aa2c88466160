"""Steps that connect phases: what none of them could do alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.clock import parse_time
from everloop.core.files import write_file
from everloop.core.tasks import decides_by
from everloop.core.values import to_jsonable
from everloop.deploy.candidate import Candidate
from everloop.deploy.gate import Question, judge
from everloop.deploy.release import PACKAGE_FOLDER
from everloop.model.card import CardFacts, card_html
from everloop.model.packaging import write_package
from everloop.model.trained import Trained
from everloop.monitor.references import ReferenceRules, reference
from everloop.report import Ref
from everloop.runtime.decision import watched_score
from everloop.runtime.signing import sign_package
from everloop.spec import DriftSpec, GoalSpec, LifecycleSpec, WindowSpec
from everloop.spec.frame import Frame
from everloop.table.contract import load_contract
from everloop.table.dataset import Dataset
from everloop.table.labels import actuals_of
from everloop.table.today import today_decisions
from everloop.table.worth import worth_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.loop.signing import Signer
    from everloop.measure.worth import Worth

CONTRACT_FILE = "contract.yaml"
GATE_FILE = "gate.json"
REFERENCE_FILE = "reference.json"
MOST_WINDOW_ROWS = 100_000


def reference_step(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> dict[str, Any]:
    """Keeps what windows will be compared with, from rows that the model did not learn from.

    Args:
        folder: Gets `reference.json`.
        settings: `goal`, `window`, `drift`, `seed`.
        inputs: `trained`, `dataset`.

    Returns:
        How many rows and windows it rests on, and what a decision was worth on them.
    """
    import polars as pl

    goal, window = GoalSpec.model_validate(settings["goal"]), WindowSpec.model_validate(settings["window"])
    trained = Trained.load(inputs["trained"])
    frame = trained.frame
    dataset = Dataset.load(inputs["dataset"])
    unseen = [part for part in ("validation", "test") if part in dataset.counts]
    rows = pl.concat([dataset.table(part) for part in unseen or ["train"]])
    scores = trained.scores(rows)
    judged = frame.is_labelled and not decides_by(frame.task, "items")
    actuals = actuals_of(rows[frame.target], frame) if judged else None
    made = reference(
        rows,
        tuple(item.name for item in trained.plan.inputs),
        scores=watched_score(scores, frame.task),
        actuals=actuals,
        times=rows[frame.time] if frame.time else None,
        rules=ReferenceRules(
            window=window,
            alarm=DriftSpec.model_validate(settings["drift"]).alarm,
            window_rows=_rows_of_a_window(goal, window),
            seed=settings["seed"],
        ),
        facts=worth_facts(goal, rows, frame, trained.decide(scores, rows)),
    )
    made.save(folder)
    return {"rows": made.rows, "cut": made.cut, "watched": len(made.watched), **made.facts}


def package_step(
    folder: Path, settings: dict[str, Any], inputs: dict[str, Path], *, signer: Signer | None
) -> dict[str, Any]:
    """Compiles what was trained into a package and proves it equal.

    Args:
        folder: Gets the folder `package`.
        settings: `lifecycle`, `version`, `created`, `lineage`, `seed`; `card`, facts for the model card;
            `features`, the snapshot's, where it has any; `signed_by`, the name of the key that signs.
        inputs: `trained`, `dataset`, `contract`, `reference`.
        signer: The key itself, if any.

    Returns:
        The package's digest, its size and its parity certificate.
    """
    trained = Trained.load(inputs["trained"])
    created = parse_time(settings["created"])
    origin = Ref(settings["lineage"]["trained"], f"step {settings['lineage']['trained']}")
    # Packages of two equal trainings are equal, so what a clock measured stays out of them.
    about = CardFacts(
        settings["lifecycle"], settings["version"], created, **settings["card"], origin=origin, timed=False
    )
    manifest = write_package(
        trained,
        folder / PACKAGE_FOLDER,
        lifecycle=settings["lifecycle"],
        version=settings["version"],
        created=created,
        sample=held_out(Dataset.load(inputs["dataset"])),
        contract=load_contract(inputs["contract"] / CONTRACT_FILE),
        reference=(inputs["reference"] / REFERENCE_FILE).read_bytes(),
        lineage=settings["lineage"],
        card_html=card_html(trained, about),
        features=settings.get("features"),
        fixed=settings.get("fixed", ()),
        seed=settings["seed"],
    )
    if signer is not None:
        sign_package(folder / PACKAGE_FOLDER, signer.pem, signer.place)
    certificate = json.loads((folder / PACKAGE_FOLDER / "parity.json").read_bytes())
    files = [path for path in (folder / PACKAGE_FOLDER).iterdir() if path.is_file()]
    return {
        "version": manifest.version,
        "created": settings["created"],
        "files": manifest.files,
        "bytes": sum(path.stat().st_size for path in files),
        "parity": certificate,
    }


def gate_step(
    folder: Path, settings: dict[str, Any], inputs: dict[str, Path], *, serving: Path | None
) -> dict[str, Any]:
    """Holds a package against all that its lifecycle requires, on the held-out rows.

    Args:
        folder: Gets `gate.json`.
        settings: `spec`, what the lifecycle file requires; `champion`, the serving package, or None;
            `trusted`, the public keys of which one must have signed it, where there are any.
        inputs: `package`, `dataset`, `frame`, `contract`.
        serving: The folder of the package that serves, or None.

    Returns:
        The gate's result.
    """
    spec = LifecycleSpec.model_validate(settings["spec"])
    frame = Frame.load(inputs["frame"])
    rows = held_out(Dataset.load(inputs["dataset"]))
    worth = worth_of(spec.goal.value, frame, rows)
    result = judge(
        Question(
            candidate=Candidate(inputs["package"] / PACKAGE_FOLDER, rows, frame, worth),
            champion=Candidate(serving, rows, frame, worth) if serving else None,
            today=values_today(spec.goal, rows, frame, worth),
            contract=load_contract(inputs["contract"] / CONTRACT_FILE),
            spec=spec,
            trusted=tuple(settings.get("trusted", ())),
        )
    )
    facts: dict[str, Any] = to_jsonable(result.to_dict())
    write_file(folder / GATE_FILE, json.dumps(facts, indent=2).encode())
    return facts


def worth_facts(
    goal: GoalSpec, rows: pl.DataFrame, frame: Frame, decisions: NDArray[Any]
) -> dict[str, float]:
    """Gives what decisions on labelled rows are worth: `value_per_decision`, `today` and `gain`."""
    worth = worth_of(goal.value, frame, rows)
    if worth is None:
        return {}
    values = worth.values(actuals_of(rows[frame.target], frame), decisions)
    facts = {"value_per_decision": float(values.mean())}
    today = values_today(goal, rows, frame, worth)
    if today is not None:
        facts |= {"today": float(today.mean()), "gain": float((values - today).mean())}
    return facts


def _rows_of_a_window(goal: GoalSpec, window: WindowSpec) -> int:
    """Gives how many predictions a live window is expected to have: noise is compared with like noise."""
    if window.predictions is not None:
        return min(MOST_WINDOW_ROWS, window.predictions)
    if goal.volume is None or window.time is None:
        return MOST_WINDOW_ROWS
    months = window.time.total_seconds() / (30 * 86400)
    return max(30, min(MOST_WINDOW_ROWS, round(goal.volume.per_month * months)))


def held_out(dataset: Dataset) -> pl.DataFrame:
    """Gives the rows that nothing was fitted on or chosen by: the test part, else the validation part."""
    return dataset.table("test" if "test" in dataset.counts else "validation")


def values_today(
    goal: GoalSpec, rows: pl.DataFrame, frame: Frame, worth: Worth | None
) -> NDArray[np.float64] | None:
    """Gives what today's decisions are worth on labelled rows, (rows,); None where that is not stated."""
    if worth is None or goal.today is None:
        return None
    return worth.values(actuals_of(rows[frame.target], frame), today_decisions(goal.today, rows, frame))
