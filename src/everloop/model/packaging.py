"""From a trained model to a package: a folder that serves, proven equal to what was trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from msgspec import structs

from everloop.core.errors import UsageFault
from everloop.core.files import publish_folder, scratch_folder, write_file
from everloop.core.tasks import TASKS, decides_by
from everloop.core.values import to_jsonable
from everloop.model.input_features import InputFeatures
from everloop.model.reference_row import reference_row
from everloop.model.served_form import served_form
from everloop.runtime.encoders import NumberEncoder
from everloop.runtime.features.definitions import FEATURES_NAME
from everloop.table.expression.onnx_form import MISSING_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import polars as pl

    from everloop.model.served_form import Runtime, ServedForm
    from everloop.model.trained import Trained
    from everloop.runtime.manifest import Manifest
    from everloop.table.schema import ColumnType


def write_package(  # noqa: PLR0913  (each is a file or a field of the package)
    trained: Trained,
    folder: Path | str,
    *,
    lifecycle: str,
    version: int,
    created: datetime,
    sample: Any = None,
    contract: Any = None,
    reference: bytes | Mapping[str, Any] | None = None,
    lineage: Mapping[str, Any] | None = None,
    card: Callable[[str], str] | None = None,
    features: Mapping[str, Any] | None = None,
    fixed: Sequence[str] = (),
    runtime: Runtime | None = None,
    seed: int = 0,
) -> Manifest:
    """Writes a package, whole or not at all, and proves it on the way.

    The same arguments give the same bytes.

    Args:
        trained: The model.
        folder: The package's future place; it must not be there yet, or be empty.
        lifecycle: The lifecycle's name.
        version: The version's number.
        created: When it is made, aware.
        sample: Rows with the plan's raw columns, such as the test part: parity is shown on them, and the
            reasons' typical values are taken from them. Without any, rows are invented within the plan's
            bounds.
        contract: What a row must satisfy (a `table.contract.Contract` or its ``to_dict``), of which the
            target is left out; without it the types of the plan's columns.
        reference: What monitoring compares with: JSON bytes, or what JSON can carry.
        lineage: Ids of what it was made from.
        card: Gives the model card as HTML. It is told what serves a model that was not compiled, of another
            an empty text.
        features: Which of the inputs are features and not the row's own (`Snapshot.features`); their
            definitions become `features.json`.
        fixed: Columns that nobody can change, beside the frame's sensitive ones, its entity and its time.
        runtime: ``graph`` refuses what does not compile, ``python`` compiles nothing; without it a model
            that has no compiled form serves in a Python runtime, and the package says so.
        seed: What the choice of rows for parity is drawn from.

    Returns:
        The manifest.

    Raises:
        ModelFault: When the estimator can neither be compiled nor be kept safely.
        PackageRefused: When the package does not answer as the trained model.
        UsageFault: When the folder is there already.
        StorageFull: When the disk has no room; nothing is left behind.
    """
    from everloop.runtime.manifest import write_manifest
    from everloop.table.tables import as_frame

    final = free_place(folder)
    rows = _invented(trained, seed) if sample is None else as_frame(sample)
    form = served_form(trained, rows, runtime)
    with scratch_folder(final.absolute().parent) as work:
        made = InputFeatures.of(features or {}, tuple(item.name for item in trained.plan.inputs))
        rules = _contract(trained, form, contract, made)
        manifest = manifest_of(trained, lifecycle, version, created, lineage or {}, rules, made)
        manifest = form.stated(structs.replace(manifest, fixed=_fixed(trained, fixed)))
        trained.plan.save(work / "plan.json")
        form.write(work, created, f"{lifecycle} {version}")
        write_json(work / "contract.json", rules)
        write_explanation(work, trained, rows)
        if made.joined is not None:
            write_json(work / FEATURES_NAME, made.joined)
        if reference is not None:
            content = reference if isinstance(reference, bytes) else _json_bytes(reference)
            write_file(work / "reference.json", content)
        if card is not None:
            write_file(work / "card.html", card(form.told).encode())
        write_manifest(work, manifest)
        write_json(work / "parity.json", form.certify(work, rows, seed).require().to_dict())
        written = write_manifest(work, manifest)
        publish_folder(work, final)
    return written


def free_place(folder: Path | str) -> Path:
    """Gives where a package goes.

    Raises:
        UsageFault: When something is there already.
    """
    final = Path(folder)
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise UsageFault(f"{final} is there already; a package is never changed.", hint="give another folder")
    return final


def read_certificate(folder: Path | str) -> dict[str, Any]:
    """Reads a package's ``parity.json``."""
    data: dict[str, Any] = json.loads((Path(folder) / "parity.json").read_bytes())
    return data


INVENTED_ROWS = 500


def _invented(trained: Trained, seed: int) -> pl.DataFrame:
    from everloop.model.parity_rows import invented_rows, table_of

    return table_of(trained.plan, invented_rows(trained.plan, INVENTED_ROWS, seed))


def write_explanation(work: Path, trained: Trained, rows: pl.DataFrame) -> None:
    """Writes what reasons need, `explain.npz`, from rows such as the model sees."""
    from everloop.runtime.explain import EXPLAIN_NAME, save_reference_row

    save_reference_row(work / EXPLAIN_NAME, reference_row(trained.plan, rows))


def manifest_of(
    trained: Trained,
    lifecycle: str,
    version: int,
    created: datetime,
    lineage: Mapping[str, Any],
    contract: Mapping[str, Any],
    made: InputFeatures,
) -> Manifest:
    """Gives what a package says of itself, its files left out."""
    from everloop.runtime.decision import PLAIN
    from everloop.runtime.manifest import Manifest, ManifestColumn

    frame = trained.frame
    nullable = {rule.get("name"): rule.get("nullable", True) for rule in contract.get("columns", ())}
    number, event = decides_by(frame.task, "number"), decides_by(frame.task, "threshold")
    threshold = trained.threshold
    if event and threshold is None:
        threshold = 0.5
    return Manifest(
        lifecycle=lifecycle,
        version=version,
        created=str(to_jsonable(created)),
        task=frame.task,
        target=frame.target,
        classes=tuple(frame.classes),
        positive=frame.positive if event else None,
        threshold=threshold,
        decision=None if trained.decision == PLAIN else trained.decision,
        inputs=tuple(
            ManifestColumn(
                item.name, item.type, bool(nullable.get(item.name, True)), made.origins.get(item.name, "row")
            )
            for item in trained.plan.inputs
        ),
        outputs={"prediction": "number" if number else trained.target_type, "score": "number"},
        entity=frame.entity,
        time=frame.time,
        metrics=_metrics(trained),
        lineage=to_jsonable(dict(lineage)),
        missing_text=MISSING_TEXT,
        listed=frame.listed,
        files={},
    )


def _fixed(trained: Trained, stated: Sequence[str]) -> tuple[str, ...]:
    frame = trained.frame
    named = (*stated, *frame.sensitive, *(name for name in (frame.entity, frame.time) if name is not None))
    return tuple(name for name in dict.fromkeys(named) if name in trained.columns)


def _metrics(trained: Trained) -> dict[str, float | None]:
    if trained.evaluation is None:
        return {}
    return {name: to_jsonable(float(found.estimate)) for name, found in trained.evaluation.metrics.items()}


def _contract(trained: Trained, form: ServedForm, contract: Any, made: InputFeatures) -> dict[str, Any]:
    """Gives what a row must satisfy, as JSON-able data; a row that is asked about has no target yet.

    A feature may be missing, whatever the contract says of what it is made of.
    """
    from everloop.table.contract import ColumnRule, Contract

    if contract is None or not TASKS[trained.frame.task].alone:
        # A request has no other column of an event, and may name an entity that no event was of.
        rules = (
            ColumnRule(
                item.name, cast("ColumnType", item.type), nullable=_may_be_missing(trained, form, item.name)
            )
            for item in trained.plan.inputs
        )
        contract = Contract(tuple(rules))
    elif not isinstance(contract, Contract):
        contract = Contract.from_dict(contract)
    later = {trained.frame.target, trained.frame.label_time, *made.origins}
    asked = contract.only([rule.name for rule in contract.columns if rule.name not in later])
    free = (
        ColumnRule(item.name, cast("ColumnType", item.type))
        for item in trained.plan.inputs
        if item.name in made.origins
    )
    asked = replace(asked, columns=(*asked.columns, *free))
    return dict(to_jsonable(asked.to_dict()))


def _may_be_missing(trained: Trained, form: ServedForm, column: str) -> bool:
    """What reads no missing number has no answer where nothing stands in for a missing number."""
    needed = form.slots_without_missing()
    return all(
        encoder.fill is not None
        for encoder in trained.plan.encoders
        if isinstance(encoder, NumberEncoder) and encoder.column == column and encoder.offset in needed
    )


def _json_bytes(value: Any) -> bytes:
    return json.dumps(to_jsonable(value), indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def write_json(path: Path, value: Any) -> None:
    """Writes a value as the JSON of a package's files."""
    write_file(path, _json_bytes(value))
