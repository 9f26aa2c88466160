"""Steps that connect phases: what none of them could do alone."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.clock import parse_time
from everloop.core.files import write_file
from everloop.core.tasks import TASKS, decides_by
from everloop.core.values import to_jsonable
from everloop.deploy.gate import Question, judge
from everloop.deploy.release import PACKAGE_FOLDER
from everloop.loop.served_worth import ITEM_WORTH, taken_values
from everloop.loop.stakes import Stakes
from everloop.model.card import card_html
from everloop.model.card_facts import CardFacts
from everloop.model.card_origin import MadeBy
from everloop.model.packaging import write_package
from everloop.model.trained import Trained
from everloop.monitor.references import ReferenceRules, reference
from everloop.runtime.decision import watched_score
from everloop.runtime.signing import sign_package
from everloop.spec import DriftSpec, GoalSpec, LifecycleSpec, WindowSpec
from everloop.spec.frame import Frame
from everloop.table.contract import load_contract
from everloop.table.dataset import Dataset, Part
from everloop.table.labels import actuals_of, label_texts
from everloop.table.list_worth import mean_hits
from everloop.table.weights import counted_rows

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.loop.signing import Signer

CONTRACT_FILE = "contract.yaml"
GATE_FILE = "gate.json"
REFERENCE_FILE = "reference.json"
MOST_WINDOW_ROWS = 100_000


def reference_step(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> dict[str, Any]:
    """Keeps what windows will be compared with: inputs that were held out, and scores of the test part.

    The last fit learns from the validation part too (docs/decisions/0050-scores-of-a-reference.md).

    Args:
        folder: Gets `reference.json`.
        settings: `goal`, `window`, `drift`, `seed`.
        inputs: `trained`, `dataset`.

    Returns:
        How many rows and windows it rests on, and what a decision was worth on them.
    """
    goal, window = GoalSpec.model_validate(settings["goal"]), WindowSpec.model_validate(settings["window"])
    trained = Trained.load(inputs["trained"])
    frame = trained.frame
    dataset = Dataset.load(inputs["dataset"])
    rows, learned = _reference_rows(dataset)
    unseen = rows[learned:]
    said = trained.scores(unseen)
    judged = frame.is_labelled and not decides_by(frame.task, "items")
    actuals = actuals_of(rows[frame.target], frame) if judged else None
    drift = DriftSpec.model_validate(settings["drift"])
    made = reference(
        rows,
        tuple(item.name for item in trained.plan.inputs),
        scores=np.append(np.full(learned, np.nan), watched_score(said, frame.task)),
        actuals=actuals,
        times=rows[frame.time] if frame.time else None,
        rules=ReferenceRules(
            window=window,
            alarm=drift.budget,
            window_rows=_rows_of_a_window(goal, window),
            seed=settings["seed"],
            segments=drift.segments,
        ),
        facts=_reference_facts(goal, unseen, trained, said) | _list_facts(goal, rows, trained, dataset),
    )
    made.save(folder)
    told = {name: number for name, number in made.facts.items() if name != ITEM_WORTH}
    return {"rows": made.rows, "cut": made.cut, "watched": len(made.watched), **told}


def package_step(
    folder: Path, settings: dict[str, Any], inputs: dict[str, Path], *, signer: Signer | None
) -> dict[str, Any]:
    """Makes a package of what was trained, compiled where it can be, and proves it equal.

    Args:
        folder: Gets the folder `package`.
        settings: `lifecycle`, `version`, `created`, `lineage`, `seed`; `card`, facts for the model card, or
            None for a package without one; `features`, the snapshot's, where it has any; `later`, the
            columns that no request has, since they tell what came of its row; `signed_by`, the name of the
            key that signs.
        inputs: `trained`, `dataset`, `contract`, `reference`.
        signer: The key itself, if any.

    Returns:
        The package's digest, its size and its parity certificate.
    """
    trained = Trained.load(inputs["trained"])
    created = parse_time(settings["created"])
    contract, later = load_contract(inputs["contract"] / CONTRACT_FILE), settings.get("later", ())
    manifest = write_package(
        trained,
        folder / PACKAGE_FOLDER,
        lifecycle=settings["lifecycle"],
        version=settings["version"],
        created=created,
        sample=held_out(Dataset.load(inputs["dataset"])),
        contract=contract.only([rule.name for rule in contract.columns if rule.name not in later]),
        reference=(inputs["reference"] / REFERENCE_FILE).read_bytes(),
        lineage=settings["lineage"],
        card=None if settings["card"] is None else partial(_card, trained, settings),
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
        "runtime": manifest.runtime,
    }


def _card(trained: Trained, settings: dict[str, Any], runtime: str) -> str:
    card = dict(settings["card"])
    steps = {name: MadeBy.from_dict(made) for name, made in card.pop("steps").items()}
    # Packages of two equal trainings are equal, so what a clock measured stays out of them.
    about = CardFacts(
        settings["lifecycle"],
        settings["version"],
        parse_time(settings["created"]),
        **card,
        steps=steps,
        timed=False,
        runtime=runtime,
    )
    return card_html(trained, about)


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
    rows = counted_rows(held_out(Dataset.load(inputs["dataset"])), frame)
    stakes = Stakes.of(spec.goal, rows, frame)
    candidate = stakes.candidate(inputs["package"] / PACKAGE_FOLDER)
    result = judge(
        Question(
            candidate=candidate,
            champion=stakes.candidate(serving) if serving else None,
            today=stakes.today(candidate),
            contract=load_contract(inputs["contract"] / CONTRACT_FILE),
            spec=spec,
            trusted=tuple(settings.get("trusted", ())),
        )
    )
    facts: dict[str, Any] = to_jsonable(result.to_dict())
    write_file(folder / GATE_FILE, json.dumps(facts, indent=2).encode())
    return facts


def _reference_facts(
    goal: GoalSpec, rows: pl.DataFrame, trained: Trained, scores: NDArray[np.float64]
) -> dict[str, Any]:
    """Gives what decisions were worth; where a row has no actual of its own, what the evaluation says."""
    found, frame = trained.evaluation, trained.frame
    if TASKS[frame.task].supervised:
        return worth_facts(goal, rows, frame, trained.decide(scores, rows))
    if found is None or found.value is None or found.value_today is None or found.gain is None:
        return {}
    return {
        "value_per_decision": found.value.estimate,
        "today": found.value_today.estimate,
        "gain": found.gain.estimate,
    }


def _list_facts(goal: GoalSpec, rows: pl.DataFrame, trained: Trained, dataset: Dataset) -> dict[str, Any]:
    """Gives what lists are worth as windows will price them, from events that no list was made of."""
    import polars as pl

    frame = trained.frame
    if goal.value is None or not decides_by(frame.task, "items"):
        return {}
    prices, events = mean_hits(goal.value, frame, rows), held_out(dataset)
    entity = str(frame.entity)
    stranger = events[:1].with_columns(pl.lit(None, events.schema[entity]).alias(entity))
    ours, popular = (trained.decide(trained.scores(asked), asked) for asked in (events, stranger))
    places = {item: float(place) for place, item in enumerate(frame.classes)}
    items = label_texts(events[frame.target]).fill_null("").to_list()
    taken = np.array([places.get(item, np.nan) for item in items])
    money = np.array([prices.get(item, 0.0) for item in items])
    values, usual = (
        taken_values(goal.value, money, taken, lists)
        for lists in (ours, np.repeat(popular, events.height, axis=0))
    )
    facts = {"value_per_decision": values.mean(), "today": usual.mean(), "gain": (values - usual).mean()}
    return {name: float(number) for name, number in facts.items()} | {ITEM_WORTH: prices}


def worth_facts(
    goal: GoalSpec, rows: pl.DataFrame, frame: Frame, decisions: NDArray[Any]
) -> dict[str, float]:
    """Gives what decisions on labelled rows are worth: `value_per_decision`, `today` and `gain`."""
    stakes = Stakes.of(goal, rows, frame)
    if stakes.worth is None:
        return {}
    values = stakes.worth.values(actuals_of(rows[frame.target], frame), decisions)
    facts = {"value_per_decision": float(values.mean())}
    today = stakes.decided_today()
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


def _reference_rows(dataset: Dataset) -> tuple[pl.DataFrame, int]:
    """Gives the rows of validation and test, and how many of them, at the beginning, were learned from."""
    import polars as pl

    parts: list[Part] = [part for part in ("validation", "test") if dataset.counts.get(part)]
    tables = [dataset.table(part) for part in parts or ("train",)]
    return pl.concat(tables), tables[0].height if len(tables) > 1 else 0


def held_out(dataset: Dataset) -> pl.DataFrame:
    """Gives the rows that nothing was fitted on or chosen by: the test part, else the validation part."""
    return dataset.table("test" if "test" in dataset.counts else "validation")
